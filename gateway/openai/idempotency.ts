/** `Idempotency-Key`: one call, one result, one charge, however often it is sent (DESIGN §11, SPEC.md §Money, "Idempotency keys"). */
import { promisify } from 'node:util';
import { deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib';
import { canonicalJson } from '#protocol/canonical';
import { ProtocolError } from '#protocol/errors';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import type { SecretBox } from '../committee/epochs.ts';
import { Recording } from '../http/recording.ts';
import type { AnswerKeep, KeyedCall, SealedAnswer } from './answer.ts';
import { finishAnswer, type UnfinishedAnswer } from './unfinished-answer.ts';

/** How long a key stands for its call: as long as clients go on repeating one by themselves. */
export const IDEMPOTENCY_MS = 24 * 3600 * 1000;
/** Longest key in characters, as elsewhere in the trade. */
const KEY_LENGTH_MAX = 255;
const PRINTABLE = /^[\x20-\x7e]+$/;

const deflateElsewhere = promisify(deflateRaw);
const inflateElsewhere = promisify(inflateRaw);
/** Largest input in bytes that is packed in place: up to here, about 1 ms, a trip to the thread pool brings little. */
const IN_PLACE_BYTES_MAX = 64 * 1024;

/** What the store knows of a call, before anything is held for it. */
export type EarlierCall =
  /** Nobody made it, or it failed or expired: it runs. */
  | { readonly outcome: 'next' }
  | { readonly outcome: 'repeated'; readonly requestId: string; readonly sealedAnswer: string | null }
  | { readonly outcome: 'key_reused' };

export interface IdempotencyDeps {
  readonly box: SecretBox;
  /** Looks a call up. */
  readonly find: (keyId: string, call: KeyedCall) => Promise<EarlierCall>;
  /** Replaces the kept answer of a call. */
  readonly keep: (keyId: string, call: KeyedCall, requestId: string, sealedAnswer: string) => Promise<void>;
  /** The seal of an answer that was settled. */
  readonly sealedAnswer: (requestId: string) => Promise<SealedAnswer>;
  /** Receives what goes on without a client. */
  readonly background: (work: Promise<void>) => void;
  /** Largest input that is packed in place; 64 KiB where absent. Simulations set no limit: no seed can order a second thread. */
  readonly inPlaceBytesMax?: number | undefined;
}

/** An answer that is being made. */
export interface MadeAnswer {
  readonly headers: Readonly<Record<string, string>>;
  /** Text of a JSON body, or the frames of a stream. */
  readonly body: string | AsyncGenerator<string, void, undefined>;
}

/** An answer as one of its callers gets it. */
export interface SharedAnswer {
  readonly recording: Recording;
  /** Whether somebody else made it, now or before. */
  readonly isShared: boolean;
  /** Ends with what this caller set going; never rejects. */
  readonly ended: Promise<void>;
}

/** What an answer that is being made is kept by; the texts it returns are sealed. */
export type Keeper = (requestId: string, unfinished: UnfinishedAnswer) => Promise<AnswerKeep>;

interface RunningCall {
  readonly fingerprint: Hash;
  readonly recording: Recording;
  /** Whether the call runs or is replayed, rather than refused because the key is another call's. */
  readonly isOwn: Promise<boolean>;
}

/**
 * The client's key for this call, or null.
 * @param parts everything that decides the answer: body, route, headers
 * @throws {ProtocolError} invalid_request
 */
export function keyedCall(
  header: string | undefined,
  parts: Readonly<Record<string, string | null>>,
  nowMs: number,
): KeyedCall | null {
  if (header === undefined) return null;
  if (header.length > KEY_LENGTH_MAX || !PRINTABLE.test(header)) {
    const message = `Idempotency-Key must have 1 to ${KEY_LENGTH_MAX} printable ASCII characters.`;
    throw new ProtocolError('invalid_request', message, { param: 'idempotency-key' });
  }
  const fingerprint = toHex(sha256(utf8(canonicalJson(parts))));
  return { key: header, fingerprint, expiresAtMs: nowMs + IDEMPOTENCY_MS };
}

/** Calls that run in this process are shared, earlier ones are replayed from the store. */
export class IdempotencyDesk {
  readonly #deps: IdempotencyDeps;
  readonly #running = new Map<string, RunningCall>();

  constructor(deps: IdempotencyDeps) {
    this.#deps = deps;
  }

  /**
   * The answer of a call, whoever made it; it goes on when the client leaves.
   * @param make runs it; what it throws goes to everybody who waits, and is not kept: the next call runs the next attempt
   * @throws {ProtocolError} idempotency_key_reused
   */
  async answer(keyId: string, call: KeyedCall, make: (keeper: Keeper) => Promise<MadeAnswer>): Promise<SharedAnswer> {
    // Both parts are bounded and neither holds a line feed.
    const id = `${keyId}\n${call.key}`;
    for (;;) {
      const running = this.#running.get(id);
      if (!running) break;
      if (running.fingerprint === call.fingerprint) {
        return { recording: running.recording, isShared: true, ended: Promise.resolve() };
      }
      // The other call may itself be the wrong one; then it is gone in a moment, and this one is looked up.
      if (await running.isOwn) throw keyReused();
    }
    const recording = new Recording();
    const looked = this.#deps.find(keyId, call);
    const isOwn = looked.then(
      ({ outcome }) => outcome !== 'key_reused',
      () => false,
    );
    this.#running.set(id, { fingerprint: call.fingerprint, recording, isOwn });
    const ended = looked
      .then((earlier) => this.#fill(recording, keyId, call, earlier, make))
      .catch((error: unknown) => recording.fail(error))
      .finally(() => this.#running.delete(id));
    this.#deps.background(ended);
    return { recording, ended, isShared: (await looked.catch(() => null))?.outcome === 'repeated' };
  }

  async #fill(
    recording: Recording,
    keyId: string,
    call: KeyedCall,
    earlier: EarlierCall,
    make: (keeper: Keeper) => Promise<MadeAnswer>,
  ): Promise<void> {
    if (earlier.outcome === 'key_reused') throw keyReused();
    if (earlier.outcome === 'repeated') return this.#replay(recording, keyId, call, earlier);
    const { headers, body } = await make((requestId, unfinished) => this.#keep(requestId, unfinished, recording));
    recording.open({ headers, isStream: typeof body !== 'string' });
    if (typeof body === 'string') recording.push(body);
    else for await (const frame of body) recording.push(frame);
    recording.end();
  }

  async #replay(
    recording: Recording,
    keyId: string,
    call: KeyedCall,
    { requestId, sealedAnswer }: Extract<EarlierCall, { outcome: 'repeated' }>,
  ): Promise<void> {
    if (sealedAnswer === null) {
      throw new ProtocolError('storage_unavailable', 'The first call has not ended yet.', { retryable: true });
    }
    let kept = await this.#open(requestId, sealedAnswer);
    if (kept.tail.length > 0) {
      // Settled, and then the gateway was killed: the end is made now, and kept, so that it stays the same.
      kept = { ...finishAnswer(kept, await this.#deps.sealedAnswer(requestId)), tail: [] };
      await this.#deps.keep(keyId, call, requestId, await this.#seal(requestId, kept));
    }
    recording.open({ headers: kept.headers, isStream: kept.form === 'events' });
    for (const frame of kept.frames) recording.push(frame);
    recording.end();
  }

  async #keep(requestId: string, unfinished: UnfinishedAnswer, recording: Recording): Promise<AnswerKeep> {
    const whole = { ...unfinished, frames: [...recording.frames] };
    return {
      unfinished: await this.#seal(requestId, whole),
      finished: (sealed) => this.#seal(requestId, { ...finishAnswer(whole, sealed), tail: [] }),
    };
  }

  /** SAFETY: the request's id is inside, so that one call's row does not open as another's. */
  async #seal(requestId: string, answer: UnfinishedAnswer): Promise<string> {
    const bytes = utf8(JSON.stringify({ requestId, answer }));
    return this.#deps.box.seal(this.#isSmall(bytes) ? deflateRawSync(bytes) : await deflateElsewhere(bytes));
  }

  async #open(requestId: string, sealed: string): Promise<UnfinishedAnswer> {
    const packed = this.#deps.box.open(sealed);
    const text = (this.#isSmall(packed) ? inflateRawSync(packed) : await inflateElsewhere(packed)).toString('utf8');
    const opened = JSON.parse(text) as { requestId: string; answer: UnfinishedAnswer };
    if (opened.requestId !== requestId) throw new Error('the kept answer is another request’s');
    return opened.answer;
  }

  #isSmall(bytes: Uint8Array): boolean {
    return bytes.length <= (this.#deps.inPlaceBytesMax ?? IN_PLACE_BYTES_MAX);
  }
}

function keyReused(): ProtocolError {
  return new ProtocolError(
    'idempotency_key_reused',
    'This Idempotency-Key was used for another request: another body, route or policy.',
    { param: 'idempotency-key' },
  );
}
