/** HTTP towards an inference server: every phase has a deadline, every body a limit, no error holds any content. */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { createParser } from 'eventsource-parser';
import type { Clock } from '#protocol/env';
import { EngineError } from '../engine.ts';

/** Deadlines in milliseconds. */
export interface UpstreamLimits {
  readonly connectMs: number;
  /** From the connection to the first byte of the answer: the server's queue and, unless it streams, its whole work. */
  readonly firstByteMs: number;
  /** Between two events of a stream, or two pieces of another body. */
  readonly idleMs: number;
  /** Of one call as a whole, unless it streams. */
  readonly totalMs: number;
  /** How often a refused connection is tried again, the delay doubling each time. */
  readonly retriesMax: number;
  readonly retryDelayMs: number;
}

export const UPSTREAM_LIMITS: UpstreamLimits = {
  connectMs: 5_000,
  firstByteMs: 120_000,
  idleMs: 60_000,
  totalMs: 600_000,
  // 250 + 500 + 1,000 ms: a restart behind a proxy, well inside a round's deadline.
  retriesMax: 3,
  retryDelayMs: 250,
};

/** One call. */
export interface UpstreamCall {
  /** Below the base URL, with its leading slash. */
  readonly path: string;
  /** Sent as JSON by POST; absent: GET. */
  readonly body?: unknown;
  readonly signal: AbortSignal;
  /** Largest answer in bytes; of a stream, all its events together. */
  readonly bytesMax: number;
  /** Whether a refused connection may be tried again: only before anything of a job was generated. */
  readonly mayRetry: boolean;
}

/** The calls of one server. */
export class UpstreamClient {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #clock: Clock;
  readonly #limits: UpstreamLimits;

  /** @param options.url base URL without a trailing slash. */
  constructor(options: { url: string; apiKey: string | null; clock: Clock; limits: UpstreamLimits }) {
    this.#base = options.url;
    this.#headers = options.apiKey === null ? {} : { authorization: `Bearer ${options.apiKey}` };
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  /** The parsed JSON body of a successful answer. @throws EngineError `upstream_…`, `aborted` */
  async json(call: UpstreamCall): Promise<unknown> {
    const exchange = await this.#open(call);
    const total = exchange.deadline(this.#limits.totalMs, `${call.path} did not end`);
    try {
      const pieces: Buffer[] = [];
      for await (const piece of exchange.pieces(this.#limits.idleMs)) pieces.push(piece);
      return parseJson(Buffer.concat(pieces).toString('utf8'), call.path);
    } finally {
      total.abort();
      exchange.close();
    }
  }

  /**
   * The parsed data of server-sent events up to `[DONE]` or the end of the stream, whichever is first; comments keep no
   * stream alive.
   * @throws EngineError `upstream_…`, `aborted`
   */
  async *events(call: UpstreamCall): AsyncGenerator<unknown, void, void> {
    const exchange = await this.#open(call);
    try {
      const ready: string[] = [];
      const parser = createParser({ onEvent: ({ data }) => ready.push(data) });
      const decoder = new TextDecoder();
      let idle = exchange.deadline(this.#limits.idleMs, `no event of ${call.path}`);
      for await (const piece of exchange.pieces(null)) {
        parser.feed(decoder.decode(piece, { stream: true }));
        if (ready.length === 0) continue;
        idle.abort();
        for (const data of ready.splice(0)) {
          if (data === '[DONE]') return;
          yield withoutError(parseJson(data, call.path), call.path);
        }
        idle = exchange.deadline(this.#limits.idleMs, `no event of ${call.path}`);
      }
    } finally {
      exchange.close();
    }
  }

  async #open(call: UpstreamCall): Promise<Exchange> {
    for (let tries = 0; ; tries++) {
      const exchange = new Exchange(call, this.#clock);
      try {
        await exchange.start(`${this.#base}${call.path}`, this.#headers, this.#limits);
        return exchange;
      } catch (error) {
        exchange.close();
        const refused = error instanceof EngineError && isRefused(error.cause);
        if (!refused || !call.mayRetry || tries >= this.#limits.retriesMax) throw error;
      }
      try {
        await this.#clock.sleep(this.#limits.retryDelayMs * 2 ** tries, call.signal);
      } catch {
        throw new EngineError('aborted', 'the job was aborted');
      }
    }
  }
}

/** One connection, one request, one answer; whatever ends it early ends it for good. */
class Exchange {
  readonly #call: UpstreamCall;
  readonly #clock: Clock;
  readonly #timers = new Set<AbortController>();
  #forgetSignal: () => void = () => undefined;
  #failure: EngineError | null = null;
  #request: ClientRequest | null = null;
  #response: IncomingMessage | null = null;

  constructor(call: UpstreamCall, clock: Clock) {
    this.#call = call;
    this.#clock = clock;
  }

  /** Sends the request and waits for a successful status. */
  async start(url: string, headers: Readonly<Record<string, string>>, limits: UpstreamLimits): Promise<void> {
    const { path, body, signal } = this.#call;
    if (signal.aborted) throw new EngineError('aborted', 'the job was aborted');
    const abort = () => this.#fail(new EngineError('aborted', 'the job was aborted'));
    signal.addEventListener('abort', abort, { once: true });
    this.#forgetSignal = () => signal.removeEventListener('abort', abort);
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const isTls = url.startsWith('https:');
      const request = (isTls ? requestHttps : requestHttp)(url, {
        method: payload === null ? 'GET' : 'POST',
        // A connection a call: a reset of a kept one looks the same whether the server has begun to work or not.
        agent: false,
        headers: {
          accept: 'application/json, text/event-stream',
          ...headers,
          ...(payload === null ? {} : { 'content-type': 'application/json', 'content-length': payload.length }),
        },
      });
      this.#request = request;
      let phase = this.deadline(limits.connectMs, 'no connection');
      request.once('socket', (socket) => {
        socket.once(isTls ? 'secureConnect' : 'connect', () => {
          phase.abort();
          phase = this.deadline(limits.firstByteMs, `no answer to ${path}`);
        });
      });
      request.once('response', (answer) => {
        phase.abort();
        resolve(answer);
      });
      request.on('error', (cause) => {
        phase.abort();
        reject(this.#failure ?? new EngineError('upstream_unreachable', 'the upstream cannot be reached', { cause }));
      });
      request.end(payload);
    });
    this.#response = response;
    // From here on the body's reader hears of errors; without any listener they would end the process.
    response.on('error', () => undefined);
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return;
    // The body is not read: servers quote what they were sent.
    const code = statusCode >= 400 && statusCode < 500 ? 'upstream_refused' : 'upstream_failed';
    throw new EngineError(code, `the upstream answered ${statusCode} to ${path}`);
  }

  /** Ends the exchange when `ms` have passed, unless the returned controller is aborted before. */
  deadline(ms: number, what: string): AbortController {
    const timer = new AbortController();
    this.#timers.add(timer);
    timer.signal.addEventListener('abort', () => this.#timers.delete(timer), { once: true });
    const late = () => this.#fail(new EngineError('upstream_timeout', `upstream: ${what} within ${ms} ms`));
    this.#clock.sleep(ms, timer.signal).then(late, () => undefined);
    return timer;
  }

  /** The body. @param idleMs longest wait for the next piece; null leaves that to the caller. */
  async *pieces(idleMs: number | null): AsyncGenerator<Buffer, void, void> {
    const { path, bytesMax } = this.#call;
    const next = () => (idleMs === null ? null : this.deadline(idleMs, `no more of ${path}`));
    let idle = next();
    let bytes = 0;
    try {
      for await (const piece of this.#response! as AsyncIterable<Buffer>) {
        idle?.abort();
        bytes += piece.length;
        if (bytes > bytesMax) {
          throw new EngineError('upstream_too_large', `the upstream's answer to ${path} exceeds ${bytesMax} bytes`);
        }
        yield piece;
        idle = next();
      }
      if (this.#failure !== null) throw this.#failure;
    } catch (cause) {
      if (this.#failure !== null) throw this.#failure;
      if (cause instanceof EngineError) throw cause;
      throw new EngineError('upstream_failed', `the upstream's answer to ${path} broke off`, { cause });
    } finally {
      idle?.abort();
    }
  }

  /** Ends everything that is still open; called more than once without harm. */
  close(): void {
    this.#forgetSignal();
    for (const timer of this.#timers) timer.abort();
    this.#response?.destroy();
    this.#request?.destroy();
  }

  #fail(error: EngineError): void {
    this.#failure ??= error;
    // Destroying the request alone would report a reset of its answer in place of the reason.
    if (this.#response === null) this.#request?.destroy(error);
    else this.#response.destroy(error);
  }
}

/** Nobody listened, so nothing can have begun; any other failure may have come after the work. */
function isRefused(cause: unknown): boolean {
  const all = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause];
  return all.every((error) => error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED');
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new EngineError('upstream_malformed', `the upstream's answer to ${path} is not JSON`);
  }
}

/** Servers that fail after their headers say so inside the stream. */
function withoutError(data: unknown, path: string): unknown {
  const isError =
    typeof data === 'object' && data !== null && ('error' in data || ('object' in data && data.object === 'error'));
  if (isError) throw new EngineError('upstream_failed', `the upstream failed in the middle of ${path}`);
  return data;
}
