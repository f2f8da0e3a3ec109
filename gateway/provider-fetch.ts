/**
 * Calls to providers straight on undici's dispatcher: `fetch` without web streams, of which a call used a dozen objects and more
 * time than all of its bytes. It follows no redirect, decompresses nothing, and reads no faster than it is read from.
 */
import type { Dispatcher } from 'undici';
import type { Reply, ReplyBody, ReplyFetch } from './round/reply.ts';

/** Bytes that wait unread before the socket is paused: one full read of a socket. */
const UNREAD_BYTES_MAX = 64 * 1024;

/** @param dispatcher whose connections are used, an `Agent` say */
export function createProviderFetch(dispatcher: Dispatcher): ReplyFetch {
  return (url, init) =>
    new Promise((resolve, reject) => {
      const { method = 'GET', headers, body, signal } = init;
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const pathAt = url.indexOf('/', url.indexOf('//') + 2);
      const call = new Call(signal ?? null, resolve, reject);
      dispatcher.dispatch(
        {
          origin: url.slice(0, pathAt),
          path: url.slice(pathAt),
          method: method as Dispatcher.HttpMethod,
          headers: headers as Record<string, string>,
          body: (body ?? null) as string | null,
        },
        call,
      );
    });
}

/** One call: the handler of its events, its reply and its body. */
class Call implements Dispatcher.DispatchHandler, Reply, ReplyBody {
  status = 0;
  ok = false;
  readonly #signal: AbortSignal | null;
  readonly #started: (reply: Reply) => void;
  readonly #failed: (error: unknown) => void;
  readonly #onAbort = () => this.#abort(this.#signal?.reason);
  #headers: Readonly<Record<string, string | string[] | undefined>> = {};
  #controller: Dispatcher.DispatchController | null = null;
  #pieces: Uint8Array[] = [];
  #unreadBytes = 0;
  #isOver = false;
  #error: unknown = null;
  #reading: { resolve: (step: Awaited<ReturnType<Call['read']>>) => void; reject: (error: unknown) => void } | null =
    null;

  constructor(signal: AbortSignal | null, started: (reply: Reply) => void, failed: (error: unknown) => void) {
    this.#signal = signal;
    this.#started = started;
    this.#failed = failed;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get headers() {
    return {
      get: (name: string): string | null => {
        const value = this.#headers[name];
        return Array.isArray(value) ? value.join(', ') : (value ?? null);
      },
    };
  }

  get body(): ReplyBody {
    return this;
  }

  getReader() {
    return this;
  }

  /** The next piece. @throws what broke the connection, or the signal's reason */
  read(): Promise<{ done: boolean; value?: Uint8Array }> {
    const value = this.#pieces.shift();
    if (value) {
      this.#unreadBytes -= value.byteLength;
      if (this.#unreadBytes <= UNREAD_BYTES_MAX && this.#controller?.paused) this.#controller.resume();
      return Promise.resolve({ done: false, value });
    }
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#isOver) return Promise.resolve({ done: true });
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject };
    });
  }

  /** Gives the rest of the body up, with its connection. */
  async cancel(): Promise<void> {
    if (!this.#isOver) this.#abort(new Error('the body is not wanted'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#error !== null) controller.abort(asError(this.#error));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // 1xx says that a reply will come.
    if (status < 200) return;
    this.status = status;
    this.ok = status < 300;
    this.#headers = headers;
    this.#started(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Uint8Array): void {
    if (this.#reading) {
      const { resolve } = this.#reading;
      this.#reading = null;
      resolve({ done: false, value: piece });
      return;
    }
    this.#pieces.push(piece);
    this.#unreadBytes += piece.byteLength;
    if (this.#unreadBytes > UNREAD_BYTES_MAX) controller.pause();
  }

  onResponseEnd(): void {
    this.#end();
    this.#reading?.resolve({ done: true });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error);
  }

  #abort(reason: unknown): void {
    this.#fail(reason);
    this.#controller?.abort(asError(reason));
  }

  /** The first failure counts; what aborting the connection brings afterwards is its echo. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#error = error;
    this.#end();
    this.#pieces = [];
    this.#failed(error);
    this.#reading?.reject(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted');
}
