/** The journal of work after a request's end: every job under a cover of its own, paid for what it brings (SPEC.md §11.9). */
import type { Hash } from '#protocol/hash';
import type { Standing } from '#protocol/verdict';
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
    const { store, clock, requestId } = this.#deps;
    const late = rows.map((row) => ({ ...row, wave: 1 }));
    await store.withTx((tx) => recordLateJobs(tx, requestId, late, clock.nowMs()));
    for (const { jobId } of rows) this.#issued.add(jobId);
  }

  override async roundSealed(round: Parameters<RoundJournal['roundSealed']>[0]): Promise<void> {
    const { store, requestId } = this.#deps;
    const { roundId, index, roundRoot, atMs } = round;
    await store.withTx((tx) => recordLateRound(tx, { roundId, roundIndex: index, requestId, roundRoot, atMs }));
  }

  /** No draw rests on it: a witness that cannot be heard is passed over without an entry. */
  override candidateSkipped(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Writes down what jobs brought since the last call, pays it, and gives back what was set aside beyond. */
  async payFor(wave: Wave | null, scores: readonly TakenScore[], standing: Standing): Promise<void> {
    const { store, clock } = this.#deps;
    const steps = this.lastSteps(wave?.members ?? [], scores);
    await store.withTx(async (tx) => {
      await recordSteps(tx, steps);
      for (const jobId of this.#issued) {
        await payLateWork(tx, jobId, clock.nowMs());
        await updateJob(tx, jobId, { standing });
      }
    });
    this.#issued.clear();
  }
}
