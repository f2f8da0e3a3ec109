/** All generating jobs of one provider: starts them, finds them again, restores them from the store (SPEC.md §6). */
import { evidencePath } from '#protocol/evidence-tree';
import type { Hash } from '#protocol/hash';
import type { EvidenceItem, JobOrder, PermissionOrder } from '#protocol/messages';
import { generateJobHash } from '#protocol/request';
import { CHUNKS_MAX } from '#protocol/schema';
import { TICKET_KINDS } from '#protocol/typed';
import type { ProviderDeps, ServedModel } from '../deps.ts';
import { engineCodeOf } from '../engine/engine.ts';
import { ProviderError } from '../errors.ts';
import { errorOf, joinTrace } from '../job-trace.ts';
import { errorFields } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { StoredJob } from '../store/store.ts';
import type { Admission, Admitted } from './admission.ts';
import { type JobEnd, SealedJob } from './sealed-job.ts';
import type { Place, Slots } from './slots.ts';

/** Most chunks that an output of `maxTokens` takes under this schedule; the last size repeats. */
export function chunkCountMax(chunkSizes: readonly number[], maxTokens: number): number {
  let covered = 0;
  for (const [i, size] of chunkSizes.entries()) {
    covered += size;
    if (covered >= maxTokens) return i + 1;
  }
  return chunkSizes.length + Math.ceil((maxTokens - covered) / chunkSizes.at(-1)!);
}

export class JobService {
  readonly #deps: ProviderDeps;
  readonly #admission: Admission;
  readonly #slots: Slots;
  readonly #metrics: () => Metrics;
  readonly #live = new Map<Hash, SealedJob>();

  constructor(deps: ProviderDeps, parts: { admission: Admission; slots: Slots; metrics: () => Metrics }) {
    this.#deps = deps;
    this.#admission = parts.admission;
    this.#slots = parts.slots;
    this.#metrics = parts.metrics;
  }

  /** Jobs in memory. */
  get openCount(): number {
    return this.#live.size;
  }

  /**
   * Starts the ordered job, or resumes it where its ticket is known.
   * @throws {ProviderError} as `Admission.check`, and `invalid_request`, `job_lost`, `queue_full`, `storage_unavailable`
   */
  order(order: JobOrder, traceparent?: string): SealedJob {
    const admitted = this.#admission.check(order, {
      kind: TICKET_KINDS.generate,
      jobHash: generateJobHash(order.chunkSizes, order.logprobs),
      outputTokens: order.maxTokens,
      logprobs: order.logprobs,
    });
    const { refused: ticket } = admitted;
    if (chunkCountMax(order.chunkSizes, order.maxTokens) > CHUNKS_MAX) {
      throw new ProviderError('invalid_request', { ticket });
    }
    if (admitted.known) return this.#resume(admitted);
    const place = this.#live.size < this.#deps.limits.openMax ? this.#slots.enter() : null;
    if (place === null) throw new ProviderError('queue_full', { ticket });
    try {
      this.#admission.record(admitted);
    } catch (error) {
      place.release();
      throw error;
    }
    return this.#start(order, admitted, place, traceparent);
  }

  /** @throws {ProviderError} `job_unknown`, and as `SealedJob.permit` */
  permit(jobId: Hash, order: PermissionOrder): void {
    this.#find(jobId).permit(order);
  }

  /** @throws {ProviderError} `job_unknown` */
  cancel(jobId: Hash): void {
    this.#find(jobId).cancel();
  }

  /**
   * Evidence at opened positions, with proofs.
   * @throws {ProviderError} `job_unknown`, `evidence_expired`, `invalid_request` at a position that is not opened
   */
  evidence(jobId: Hash, positions: readonly number[]): EvidenceItem[] {
    const job = this.#find(jobId);
    if (this.#deps.clock.nowMs() > job.job.ticket.retainUntilMs) throw new ProviderError('evidence_expired');
    return positions.map((position) => {
      let firstPosition = 0;
      for (const chunk of job.opened) {
        const at = position - firstPosition;
        if (at < chunk.tokens.length) {
          const path = evidencePath(firstPosition, chunk.evidence, position);
          return { position, chunkIndex: chunk.opening.index, evidence: chunk.evidence[at]!, path };
        }
        firstPosition += chunk.tokens.length;
      }
      throw new ProviderError('invalid_request');
    });
  }

  /** Ends all streams; stored transcripts stay. */
  close(): void {
    for (const job of [...this.#live.values()]) job.fail('shutting_down');
  }

  #find(jobId: Hash): SealedJob {
    const live = this.#live.get(jobId);
    if (live !== undefined) return live;
    const stored = this.#deps.store.job(jobId);
    if (stored === undefined || stored.ticket.kind !== TICKET_KINDS.generate) throw new ProviderError('job_unknown');
    return this.#restore(stored).restored;
  }

  #restore(stored: StoredJob): { restored: SealedJob; end: () => JobEnd | null } {
    let end: JobEnd | null = null;
    const { jobId } = stored.ticket;
    // A transcript whose last chunk is open ends inside the constructor, before it could be in the map.
    const entry: { job: SealedJob | null } = { job: null };
    const restored = new SealedJob(this.#context(), stored, null, (reason) => {
      end = reason;
      if (entry.job !== null && this.#live.get(jobId) === entry.job) this.#live.delete(jobId);
    });
    entry.job = restored;
    return { restored, end: () => end };
  }

  #resume({ job, refused: ticket }: Admitted): SealedJob {
    const { jobId } = job.ticket;
    const live = this.#live.get(jobId);
    if (live !== undefined) return live;
    const { restored, end } = this.#restore(job);
    if (end() === 'storage_unavailable') throw new ProviderError('storage_unavailable', { ticket });
    // INVARIANT: never generated again. A second run draws other salts: a second commitment for one index.
    if (!restored.resumable) throw new ProviderError('job_lost', { ticket });
    if (end() === null && this.#deps.store.claim(jobId) === undefined) this.#live.set(jobId, restored);
    return restored;
  }

  #start(order: JobOrder, { job, model }: Admitted, place: Place, traceparent: string | undefined): SealedJob {
    const { clock, log, traces } = this.#deps;
    const { jobId } = job.ticket;
    const trace = joinTrace(traces, traceparent, { operation: 'chat', model: model.id, jobId });
    const { traceId } = trace;
    const startedAtMs = clock.nowMs();
    const stop = new AbortController();
    const noise = { temperature: order.sampling.temperature, seed: BigInt(order.seed) };
    const sealed = new SealedJob(this.#context(), job, { chunkSizes: order.chunkSizes, noise }, (end) => {
      stop.abort();
      place.release();
      if (this.#live.get(jobId) === sealed) this.#live.delete(jobId);
      const durationMs = clock.nowMs() - startedAtMs;
      this.#metrics().ended('generate', end);
      this.#metrics().duration({ operation: 'chat', model: model.id, durationMs });
      trace.end(errorOf(end));
      log.info('job_ended', { jobId, traceId, code: end, durationMs });
    });
    this.#live.set(jobId, sealed);
    this.#metrics().accepted('generate');
    log.info('job_accepted', { jobId, traceId, model: model.id, promptTokens: order.promptIds.length });
    trace.set({ 'gen_ai.usage.input_tokens': order.promptIds.length });
    const onTokens = (count: number) => trace.set({ 'gen_ai.usage.output_tokens': count });
    void this.#generate(order, model, sealed, { place, signal: stop.signal, onTokens });
    return sealed;
  }

  async #generate(
    order: JobOrder,
    model: ServedModel,
    sealed: SealedJob,
    { place, signal, onTokens }: { place: Place; signal: AbortSignal; onTokens: (count: number) => void },
  ) {
    const { promptIds, sampling, maxTokens, logprobs } = order;
    try {
      await place.ready;
      signal.throwIfAborted();
      const seed = BigInt(order.seed);
      const pace = this.#pace(model.id);
      let count = 0;
      for await (const token of model.engine.generate({ promptIds, sampling, seed, maxTokens, logprobs, signal })) {
        if (signal.aborted) return;
        count++;
        pace.token();
        sealed.push({ id: token.id, evidence: token.evidence, logprobs: token.logprobs }, token.finish);
        if (token.finish !== null) {
          this.#metrics().outputTokens(count);
          pace.finish();
          onTokens(count);
          return;
        }
      }
      sealed.fail('internal_error');
    } catch (error) {
      if (signal.aborted) return;
      this.#deps.log.error('generation_failed', {
        jobId: order.ticket.jobId,
        code: engineCodeOf(error),
        ...errorFields(error),
      });
      sealed.fail('internal_error');
    } finally {
      // The engine is free as soon as generation ends; waiting for permissions takes no slot.
      place.release();
    }
  }

  /** Times of the engine alone: from its slot to the first token, and between tokens. */
  #pace(model: string) {
    const { clock } = this.#deps;
    const startedMs = clock.nowMs();
    let firstMs: number | null = null;
    let count = 0;
    return {
      token: () => {
        count++;
        firstMs ??= clock.nowMs();
      },
      finish: () => {
        if (firstMs === null) return;
        const perTokenMs = count > 1 ? (clock.nowMs() - firstMs) / (count - 1) : null;
        this.#metrics().pace({ model, firstTokenMs: firstMs - startedMs, perTokenMs });
      },
    };
  }

  #context() {
    const { signer, recover, domain, store, clock, rng, limits } = this.#deps;
    return { signer, recover, domain, store, clock, rng, permissionTimeoutMs: limits.permissionTimeoutMs };
  }
}
