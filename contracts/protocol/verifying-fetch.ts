/**
 * A `fetch` for any OpenAI SDK that verifies every answer before the program may rely on it, and fails closed (SPEC.md §10.4).
 * Nothing in here is Node-only: it runs wherever `fetch`, streams and TextDecoder do.
 */
import { readRequest } from './asked.ts';
import type { Domain } from './eip712.ts';
import type { Address, Hash } from './hash.ts';
import type { LogKeys } from './log.ts';
import type { Recover } from './signer.ts';
import type { TextModel } from './text.ts';
import type { Verdict } from './verdict.ts';
import { type ItemName, type VerifyItem, verifyResponse } from './verify.ts';

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface VerifyingFetchOptions {
  /** Who must have signed; learn it from the operator over another channel. Without a pin nothing would be verified. */
  readonly gatewayAddress: Address;
  readonly logKeys?: LogKeys;
  readonly domain?: Domain;
  /** Tokenizer, template and digest of the model: with them a swapped text or an injected prompt shows. */
  readonly model?: { readonly text: TextModel; readonly digest: Hash };
  /** Verdicts that the program accepts; `agreed` and `equivalent` by default. */
  readonly verdicts?: readonly Verdict[];
  /** Hold a stream back until all of it is verified; by default its end is held back, and withheld if it fails. */
  readonly holdStreams?: boolean;
  /** Told of every checked answer, also of those that fail. */
  readonly onVerified?: (items: readonly VerifyItem[]) => void;
  readonly fetch?: Fetch;
  /** Faster recovery of signers, such as libsecp256k1's. */
  readonly recover?: Recover;
}

/** An answer did not hold up; it names what failed and holds no content. */
export class VerificationError extends Error {
  override readonly name = 'VerificationError';
  readonly failed: readonly ItemName[];

  constructor(failed: readonly ItemName[], reason: string) {
    super(`the answer was not verified: ${reason}`);
    this.failed = failed;
  }
}

const ACCEPTED: readonly Verdict[] = ['agreed', 'equivalent'];
/** Largest answer that is buffered: 64 MiB, the verifier's own limit. */
const ANSWER_LENGTH_MAX = 1 << 26;

/** @throws {TypeError} where the pinned address is missing or malformed */
export function createVerifyingFetch(options: VerifyingFetchOptions): Fetch {
  if (!/^0x[0-9a-f]{40}$/.test(options.gatewayAddress)) throw new TypeError('"gatewayAddress" must be pinned');
  const inner: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return async (input, init) => {
    const request = new Request(input, init);
    if (!isCompletion(request)) return inner(request);
    const body = await request.clone().text();
    const response = await inner(request);
    // Errors carry no answer to be verified; the SDK turns them into exceptions.
    if (!response.ok) return response;
    const check = (text: string) => checkAnswer(text, body, request.headers.get('assay-nonce'), options);
    const streamed = (response.headers.get('content-type') ?? '').includes('text/event-stream');
    if (streamed && !options.holdStreams) return passStream(response, check);
    const text = await readText(response);
    check(text);
    return new Response(text, { status: response.status, headers: copyHeaders(response) });
  };
}

function isCompletion(request: Request): boolean {
  return request.method === 'POST' && new URL(request.url).pathname.endsWith('/completions');
}

/** @throws {VerificationError} */
function checkAnswer(response: string, body: string, nonce: string | null, options: VerifyingFetchOptions): void {
  const { model } = options;
  const { items, verdict } = verifyResponse({
    response,
    asked: readRequest(body, model?.text ?? null, nonce),
    text: model?.text ?? null,
    modelDigest: model?.digest ?? null,
    trusted: { gatewayAddress: options.gatewayAddress, domain: options.domain, logKeys: options.logKeys },
    recover: options.recover,
  });
  options.onVerified?.(items);
  const failed = items.filter((item) => item.status === 'failed').map((item) => item.name);
  if (failed.length > 0) throw new VerificationError(failed, failed.join(', '));
  if (!(options.verdicts ?? ACCEPTED).some((accepted) => accepted === verdict)) {
    throw new VerificationError(['agreement'], `verdict ${verdict ?? 'unknown'}`);
  }
}

async function readText(response: Response): Promise<string> {
  const text = await response.text();
  if (text.length > ANSWER_LENGTH_MAX) throw new VerificationError(['response'], 'too long');
  return text;
}

/** Headers of the original; length and encoding are those of another body. */
function copyHeaders(response: Response): Headers {
  const headers = new Headers(response.headers);
  headers.delete('content-length');
  headers.delete('content-encoding');
  return headers;
}

/**
 * Passes a stream on as it comes, except for what says that it ended well: everything from the chunk with the `assay` member on
 * is held until the whole stream is verified. Where it fails, the stream errors, and no SDK takes it for complete.
 */
function passStream(response: Response, check: (text: string) => void): Response {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let all = '';
  let passed = 0;
  const held = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      all += decoder.decode(chunk, { stream: true });
      if (all.length > ANSWER_LENGTH_MAX) throw new VerificationError(['response'], 'too long');
      const safe = safeLength(all, passed);
      if (safe > passed) controller.enqueue(encoder.encode(all.slice(passed, safe)));
      passed = safe;
    },
    flush(controller) {
      check(all);
      controller.enqueue(encoder.encode(all.slice(passed)));
    },
  });
  const body = (response.body ?? new ReadableStream<Uint8Array>()).pipeThrough(held);
  return new Response(body, { status: response.status, headers: copyHeaders(response) });
}

/** How much may be passed on: whole events, none that finishes a choice, carries the attestation or ends the stream. */
function safeLength(all: string, passed: number): number {
  let end = passed;
  for (;;) {
    const next = all.indexOf('\n\n', end);
    if (next < 0) return end;
    const event = all.slice(end, next);
    if (/"finish_reason":"|"assay":\{|^data: \[DONE\]/m.test(event)) return end;
    end = next + 2;
  }
}
