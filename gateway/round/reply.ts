/** What the gateway reads of a provider's reply: the part of `Response` that it needs, so that lighter clients serve too. */

export interface Reply {
  readonly status: number;
  /** A status of 200 to 299. */
  readonly ok: boolean;
  readonly headers: { get(name: string): string | null };
  readonly body: ReplyBody | null;
}

/** The part of `ReadableStream` that is used. */
export interface ReplyBody {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
    cancel(): Promise<void>;
  };
  cancel(): Promise<void>;
}

/** The part of `fetch` that is used; tests and the simulation join applications by the real one's shape, without sockets. */
export type ReplyFetch = (url: string, init: RequestInit) => Promise<Reply>;
