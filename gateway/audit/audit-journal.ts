/** The journal of an audit: late work that clients have paid for beforehand, and candidates that are passed over for a reason (SPEC.md §8.1, §11.9). */

import { LateJournal } from '../round/late-journal.ts';
import type { JournalDeps } from '../round/store-journal.ts';
import type { RoundJournal } from '../round/wave.ts';
import { insertAuditJobs } from '../store/audits-repo.ts';

export class AuditJournal extends LateJournal {
  readonly #deps: JournalDeps;

  constructor(deps: JournalDeps) {
    super(deps);
    this.#deps = deps;
  }

  /** With the jobs themselves: a crash in between would leave the reserve to pay for them. */
  protected override async recordIn(...[tx, rows, nowMs]: Parameters<LateJournal['recordIn']>): Promise<void> {
    const { requestId, choice } = this.#deps;
    await super.recordIn(tx, rows, nowMs);
    await insertAuditJobs(
      tx,
      rows.map(({ jobId }) => jobId),
      { requestId, choice },
    );
  }

  /** Who audits follows from a draw: whoever could not is named in the log. */
  override async candidateSkipped(skip: Parameters<RoundJournal['candidateSkipped']>[0]): Promise<number> {
    const { store, log } = this.#deps;
    return store.withTx((tx) => log.append(tx, { type: 'skip', ...skip }));
  }
}
