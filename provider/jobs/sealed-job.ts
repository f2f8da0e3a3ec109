/**
 * One generating job as a state machine: generated tokens and permissions go in, stream events come out (SPEC.md §5, §6).
 * Every step is durable in the store before it is signed or emitted; all steps are synchronous, so none interleave.
 */
import type { Domain } from '#protocol/eip712';
import type { Clock, Rng } from '#protocol/env';
import type { ErrorCode } from '#protocol/errors';
import { toHex } from '#protocol/hash';
import type { ClaimEvent, CommitmentEvent, PermissionOrder, RevealEventWire } from '#protocol/messages';
import type { Recover, Signer } from '#protocol/signer';
import type { Claim, FinishKind } from '#protocol/typed';
import { isRetryable, ProviderError } from '../errors.ts';
import type { ProviderStore, StoredChunk, StoredJob, StoredRoot } from '../store/store.ts';
import { checkPermission } from './permission.ts';
import { buildClaim, claimEvent, commitmentEvent, type GeneratedToken, revealEvent, sealChunk } from './transcript.ts';

/** Bytes of a commitment's salt: 2^256 guesses. */
const SALT_BYTES = 32;

/** One event of the job's stream. */
export type JobEvent =
  | { readonly type: 'commitment'; readonly data: CommitmentEvent }
  | { readonly type: 'reveal'; readonly data: RevealEventWire }
  | { readonly type: 'claim'; readonly data: ClaimEvent }
  | { readonly type: 'error'; readonly data: { readonly code: ErrorCode; readonly retryable: boolean } };

/** One open stream. */
export interface Listener {
  event(event: JobEvent): void;
  end(): void;
}

export interface SealedJobContext {
  readonly signer: Signer;
  readonly recover: Recover;
  readonly domain: Domain;
  readonly store: ProviderStore;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly permissionTimeoutMs: number;
}

/** How a job is cut and what its noise is keyed by; absent on a job that was restored from the store. */
export interface SealPlan {
  readonly chunkSizes: readonly number[];
  readonly noise: { readonly temperature: number; readonly seed: bigint };
}

/** Why a job left memory: its claim, an error, or nobody listening any more. */
export type JobEnd = FinishKind | ErrorCode | 'detached';

export class SealedJob {
  readonly job: StoredJob;
  readonly #context: SealedJobContext;
  readonly #plan: SealPlan | null;
  readonly #chunks: StoredChunk[];
  readonly #roots: StoredRoot[];
  readonly #listeners = new Set<Listener>();
  /** Generated ahead of the last sealed chunk. */
  readonly #ahead: GeneratedToken[] = [];
  readonly #onEnd: (end: JobEnd) => void;
  #finish: FinishKind | null = null;
  #claim: Claim | undefined;
  #ended: boolean;
  #timer: AbortController | null = null;

  /** A new job (with a plan), or one read back from the store (without). */
  constructor(context: SealedJobContext, job: StoredJob, plan: SealPlan | null, onEnd: (end: JobEnd) => void) {
    const { jobId } = job.ticket;
    this.job = job;
    this.#context = context;
    this.#plan = plan;
    this.#onEnd = onEnd;
    this.#chunks = context.store.chunks(jobId);
    this.#roots = context.store.roots(jobId);
    this.#claim = context.store.claim(jobId);
    this.#ended = this.#claim !== undefined || context.store.isClosed(jobId);
    this.#advance();
  }

  /** Whether a stream of this job can still come to its claim without generating anything. */
  get resumable(): boolean {
    if (this.#claim !== undefined) return true;
    return !this.#ended && (this.#finish !== null || this.#isSealed);
  }

  /** Chunks that were opened, in order. */
  get opened(): readonly StoredChunk[] {
    return this.#chunks.slice(0, this.#roots.length);
  }

  get #isSealed(): boolean {
    return this.#chunks.at(-1)?.opening.last === true;
  }

  /** Takes the next generated token; `finish` on the last one. */
  push(token: GeneratedToken, finish: FinishKind | null): void {
    if (this.#ended || this.#finish !== null) return;
    this.#ahead.push(token);
    this.#finish = finish;
    this.#advance();
  }

  /** Ends the stream with an error; what is stored stays. */
  fail(code: ErrorCode): void {
    if (this.#ended) return;
    this.#emit({ type: 'error', data: { code, retryable: isRetryable(code) } });
    this.#end(code);
  }

  /**
   * Opens the current chunk, or repeats an opening under the same root.
   * @throws {ProviderError} `invalid_signature`, `invalid_permission`, `permission_conflict`, `storage_unavailable`
   */
  permit(order: PermissionOrder): void {
    const state = { job: this.job, chunks: this.#chunks, roots: this.#roots, ended: this.#ended };
    const check = checkPermission(order, state, this.#context);
    if (check.outcome === 'refused') {
      if (check.code === 'permission_conflict') this.#keepTwoRoots(order);
      throw new ProviderError(check.code);
    }
    const { index } = check;
    if (check.outcome === 'open') {
      const root = { index, root: order.permission.roundRoot, slot: order.slot, signature: order.signature };
      try {
        this.#context.store.addRoot(this.job.ticket.jobId, root);
      } catch (cause) {
        throw new ProviderError('storage_unavailable', { cause });
      }
      this.#roots.push(root);
      this.#disarm();
    }
    this.#emit({ type: 'reveal', data: this.#reveal(this.#chunks[index]!) });
    this.#advance();
  }

  /** The gateway has signed two roots for one round: both signatures together convict it. */
  #keepTwoRoots({ permission, signature }: PermissionOrder): void {
    const { roundId, index, roundRoot } = permission;
    const { root, signature: before } = this.#roots[index]!;
    const first = { roundRoot: root, signature: before };
    try {
      this.#context.store.addTwoRoots({ roundId, index, first, second: { roundRoot, signature } });
    } catch {
      // The refusal stands without it: nothing is opened under the second root.
    }
  }

  /**
   * Stops: a claim over what was opened, or an error where nothing was.
   * @throws {ProviderError} `storage_unavailable`
   */
  cancel(): void {
    if (this.#ended) return;
    if (this.#roots.length > 0) {
      this.#makeClaim('cancelled');
      return;
    }
    // Nothing was opened, nothing is owed: the sealed chunk must not be opened by a later permission.
    try {
      this.#context.store.closeJob(this.job.ticket.jobId);
    } catch (cause) {
      throw new ProviderError('storage_unavailable', { cause });
    }
    this.fail('client_closed');
  }

  /** Adds a stream: all events so far, then those to come. */
  attach(listener: Listener): void {
    const { signer, domain } = this.#context;
    for (const chunk of this.#chunks) {
      listener.event({ type: 'commitment', data: commitmentEvent(signer, domain, chunk) });
      if (chunk.opening.index < this.#roots.length) listener.event({ type: 'reveal', data: this.#reveal(chunk) });
    }
    if (this.#claim !== undefined) {
      listener.event({ type: 'claim', data: claimEvent(signer, domain, this.#claim) });
    }
    if (this.#ended) {
      listener.end();
      return;
    }
    this.#listeners.add(listener);
    // A restored job starts to wait when somebody listens.
    if (this.#timer === null && this.#chunks.length > this.#roots.length) this.#arm();
  }

  /** Takes a stream away; without any, nothing is generated for nobody. */
  detach(listener: Listener): void {
    if (!this.#listeners.delete(listener) || this.#listeners.size > 0 || this.#ended) return;
    // What was generated to its end but is not sealed yet lives in memory alone: it waits for its deadline.
    if (this.#plan !== null && this.#finish !== null && !this.#isSealed) return;
    this.#end('detached');
  }

  #advance(): void {
    while (!this.#ended && this.#roots.length === this.#chunks.length) {
      const finish = this.#chunks.at(-1)?.finish ?? null;
      if (finish !== null) this.#makeClaim(finish);
      else if (!this.#sealNext()) return;
    }
  }

  /** Seals the next chunk if enough is generated. INVARIANT: called only when all chunks before are opened. */
  #sealNext(): boolean {
    if (this.#plan === null) return false;
    const { chunkSizes, noise } = this.#plan;
    const size = chunkSizes[Math.min(this.#chunks.length, chunkSizes.length - 1)]!;
    if (this.#ahead.length < size && this.#finish === null) return false;
    const isLast = this.#finish !== null && this.#ahead.length <= size;
    const { signer, domain, store, rng } = this.#context;
    const chunk = sealChunk({
      provider: signer.address,
      jobId: this.job.ticket.jobId,
      before: { chunks: this.#chunks, roots: this.#roots },
      tokens: this.#ahead.splice(0, size),
      finish: isLast ? this.#finish : null,
      noise,
      salt: toHex(rng.bytes(SALT_BYTES)),
    });
    try {
      store.addChunk(chunk);
    } catch {
      // Not durable, so never signed: whether the row is there or not, this job seals nothing more.
      this.fail('storage_unavailable');
      return false;
    }
    this.#chunks.push(chunk);
    this.#emit({ type: 'commitment', data: commitmentEvent(signer, domain, chunk) });
    this.#arm();
    return true;
  }

  #makeClaim(finish: FinishKind): void {
    const { signer, domain, store } = this.#context;
    const claim = buildClaim({
      provider: signer.address,
      job: this.job,
      opened: this.opened,
      roots: this.#roots,
      finish,
    });
    try {
      store.addClaim(claim);
    } catch {
      this.fail('storage_unavailable');
      return;
    }
    this.#claim = claim;
    this.#emit({ type: 'claim', data: claimEvent(signer, domain, claim) });
    this.#end(finish);
  }

  #reveal(chunk: StoredChunk): RevealEventWire {
    return revealEvent(this.#context.signer, this.#context.domain, chunk);
  }

  #emit(event: JobEvent): void {
    for (const listener of this.#listeners) listener.event(event);
  }

  #end(end: JobEnd): void {
    this.#ended = true;
    this.#disarm();
    for (const listener of this.#listeners) listener.end();
    this.#listeners.clear();
    this.#onEnd(end);
  }

  /** Starts the time that the sealed chunk waits for its permission. */
  #arm(): void {
    this.#disarm();
    const timer = new AbortController();
    this.#timer = timer;
    const late = () => this.#timer === timer && this.fail('deadline_exceeded');
    this.#context.clock.sleep(this.#context.permissionTimeoutMs, timer.signal).then(late, () => {});
  }

  #disarm(): void {
    this.#timer?.abort();
    this.#timer = null;
  }
}
