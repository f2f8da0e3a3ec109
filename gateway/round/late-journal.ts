/** The journal of work after a request's end: every job under a cover of its own, paid for what it brings (SPEC.md §11.9). */
import type { Hash } from '#protocol/hash';
import type { Standing } from '#protocol/verdict';
import type { Tx } from '../store/handle.ts';
import { updateJob } from '../store/jobs-repo.ts';
import { payLateWork, recordLateJobs, recordLateRound } from '../store/late-work.ts';
import { type NewJob, recordSteps } from '../store/record-work.ts';
import type { TakenScore } from './scoring.ts';
import { type JournalDeps, StoreJournal } from './store-journal.ts';
import type { RoundJournal, Wave } from './wave.ts';

export class LateJournal extends StoreJournal {
  readonly #deps: JournalDeps;
  readonly #issued = new Set<Hash>();

  constructor(deps: JournalDeps) {
    super(deps);
    this.#deps = deps;
  }

  protected override async recordRows(rows: readonly NewJob[]): Promise<void> {
    await this.#deps.store.withTx((tx) => this.recordIn(tx, rows, this.#deps.clock.nowMs()));
    for (const { jobId } of rows) this.#issued.add(jobId);
  }

  protected async recordIn(tx: Tx, rows: readonly NewJob[], nowMs: number): Promise<void> {
    const late = rows.map((row) => ({ ...row, wave: 1 }));
    await recordLateJobs(tx, this.#deps.requestId, late, nowMs);
  }

  override async roundSealed(round: Parameters<RoundJournal['roundSealed']>[0]): Promise<void> {
    const { store, requestId } = this.#deps;
    const { roundId, index, roundRoot, atMs } = round;
    await store.withTx((tx) => recordLateRound(tx, { roundId, roundIndex: index, requestId, roundRoot, atMs }));
  }

  /** No draw rests on it: a witness that cannot be heard is passed over without an entry. */
  override candidateSkipped(_skip: Parameters<RoundJournal['candidateSkipped']>[0]): Promise<number> {
    return Promise.resolve(0);
  }

  /** Writes down what jobs brought since the last call, pays it, and gives back what was set aside beyond. */
  async payFor(wave: Wave | null, scores: readonly TakenScore[], standing: Standing): Promise<void> {
    await this.#deps.store.withTx((tx) => this.payIn(tx, wave, scores, standing));
    this.#issued.clear();
  }

  /** The same within a transaction that holds more; call `paid` once it is durable. */
  async payIn(tx: Tx, wave: Wave | null, scores: readonly TakenScore[], standing: Standing): Promise<void> {
    await recordSteps(tx, this.lastSteps(wave?.members ?? [], scores));
    for (const jobId of this.#issued) {
      await payLateWork(tx, jobId, this.#deps.clock.nowMs());
      await updateJob(tx, jobId, { standing });
    }
  }

  paid(): void {
    this.#issued.clear();
  }
}
