/** Scoring of claimed tokens by one prefill pass; a used ticket gets the stored reply again (SPEC.md §6, §7). */
import { evidenceRoot } from '#protocol/evidence-tree';
import type { Hash } from '#protocol/hash';
import type { ScoreOrder, ScoreReply } from '#protocol/messages';
import { scoredHash } from '#protocol/request';
import { digests, TICKET_KINDS } from '#protocol/typed';
import type { ProviderDeps } from '../deps.ts';
import { engineCodeOf } from '../engine/engine.ts';
import { ProviderError } from '../errors.ts';
import { joinTrace } from '../job-trace.ts';
import type { Admission, Admitted } from '../jobs/admission.ts';
import type { Place, Slots } from '../jobs/slots.ts';
import { errorFields } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { StoredScore } from '../store/store.ts';

export class ScoreService {
  readonly #deps: ProviderDeps;
  readonly #admission: Admission;
  readonly #slots: Slots;
  readonly #metrics: () => Metrics;
  /** A repeated order waits for the run that is on its way instead of starting another. */
  readonly #running = new Map<Hash, Promise<StoredScore>>();
  readonly #stop = new AbortController();

  constructor(deps: ProviderDeps, parts: { admission: Admission; slots: Slots; metrics: () => Metrics }) {
    this.#deps = deps;
    this.#admission = parts.admission;
    this.#slots = parts.slots;
    this.#metrics = parts.metrics;
  }

  get openCount(): number {
    return this.#running.size;
  }

  /**
   * Scores the claimed tokens. The run does not stop when the caller leaves: its reply is there for the next call.
   * @throws {ProviderError} as `Admission.check`, and `job_lost`, `queue_full`, `storage_unavailable`, `internal_error`
   */
  async score(order: ScoreOrder, traceparent?: string): Promise<ScoreReply> {
    const transcriptHash = scoredHash(order.promptIds, order.outputIds);
    const outputTokens = order.outputIds.length;
    const terms = { kind: TICKET_KINDS.score, jobHash: transcriptHash, outputTokens };
    const admitted = this.#admission.check(order, terms);
    const { jobId } = order.ticket;
    // No engine can read such an id back; the gateway refuses the claim itself.
    if (order.outputIds.some((id) => id >= admitted.model.engine.info.vocabSize)) {
      throw new ProviderError('invalid_request', { ticket: admitted.refused });
    }
    if (!admitted.known) this.#running.set(jobId, this.#start(order, admitted, transcriptHash, traceparent));
    const stored = this.#running.get(jobId) ?? this.#deps.store.score(jobId);
    if (stored === undefined) throw new ProviderError('job_lost', { ticket: admitted.refused });
    return this.#reply(await stored);
  }

  /** Stops all runs. */
  close(): void {
    this.#stop.abort();
  }

  #start(
    order: ScoreOrder,
    admitted: Admitted,
    transcriptHash: Hash,
    traceparent: string | undefined,
  ): Promise<StoredScore> {
    const { jobId } = order.ticket;
    const place = this.#slots.enter();
    if (place === null) throw new ProviderError('queue_full', { ticket: admitted.refused });
    try {
      this.#admission.record(admitted);
    } catch (error) {
      place.release();
      throw error;
    }
    this.#metrics().accepted('score');
    const { clock, log, traces } = this.#deps;
    const startedAtMs = clock.nowMs();
    const model = admitted.model.id;
    const trace = joinTrace(traces, traceparent, { operation: 'score', model, jobId });
    const { traceId } = trace;
    trace.set({ 'gen_ai.usage.input_tokens': order.promptIds.length + order.outputIds.length });
    log.info('score_accepted', { jobId, traceId, model, promptTokens: order.promptIds.length });
    const run = this.#run(order, admitted, transcriptHash, place).finally(() => {
      place.release();
      this.#running.delete(jobId);
    });
    run.then(
      () => {
        this.#metrics().ended('score', 'scored');
        this.#metrics().duration({ operation: 'score', model, durationMs: clock.nowMs() - startedAtMs });
        trace.end();
      },
      (error: unknown) => {
        this.#metrics().ended('score', 'failed');
        trace.end(engineCodeOf(error));
        this.#deps.log.error('score_failed', { jobId, traceId, code: engineCodeOf(error), ...errorFields(error) });
      },
    );
    return run;
  }

  async #run(order: ScoreOrder, admitted: Admitted, transcriptHash: Hash, place: Place): Promise<StoredScore> {
    const { store, signer } = this.#deps;
    const { promptIds, outputIds, sampling } = order;
    const signal = this.#stop.signal;
    await place.ready;
    const seed = BigInt(order.seed);
    const evidence = await admitted.model.engine.score({ promptIds, outputIds, sampling, seed, signal });
    // Missing evidence is never something to sign around.
    if (evidence.length !== outputIds.length) throw new ProviderError('internal_error');
    const score = {
      jobId: order.ticket.jobId,
      ticketHash: admitted.job.ticketHash,
      provider: signer.address,
      transcriptHash,
      evidenceRoot: evidenceRoot(0, evidence),
      outputTokens: outputIds.length,
    };
    try {
      store.addScore({ score, evidence });
    } catch (cause) {
      throw new ProviderError('storage_unavailable', { ticket: admitted.refused, cause });
    }
    this.#metrics().outputTokens(outputIds.length);
    // Read back, so that the first reply and every later one are the same bytes.
    return store.score(score.jobId) ?? { score, evidence };
  }

  #reply({ score, evidence }: StoredScore): ScoreReply {
    const signature = this.#deps.signer.sign(digests.score(this.#deps.domain, score));
    return { score, signature, evidence: [...evidence] };
  }
}
