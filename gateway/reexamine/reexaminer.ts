/**
 * Looks again at what a convicted account has answered: what waits is durable with the conviction, so that a crash loses none of it, and
 * ends in one transaction each, so that none is done twice (SPEC.md §8.3).
 */
import type { SeenOutcome } from '#protocol/aftermath';
import type { AuditKind, AuditOutcome } from '#protocol/audit-words';
import { type Address, type Hash, ZERO_HASH } from '#protocol/hash';
import type { LogEntry } from '#protocol/log';
import type { DueWork } from '../audit/due-work.ts';
import { enterFound, type FreshDeps, freshTask, freshWork } from '../audit/fresh-task.ts';
import type { AuditFound, AuditTask } from '../audit/perform-audit.ts';
import { tellVerified } from '../events/client-events.ts';
import type { PipelineDeps, Running } from '../round/accept.ts';
import { argue } from '../round/accuse.ts';
import type { AttemptResult } from '../round/attempt.ts';
import { disputeById } from '../store/disputes-repo.ts';
import type { Tx } from '../store/handle.ts';
import { isWaiting, type ReexaminedRow, reexaminationOf, updateItem, waitingItems } from '../store/reexamine-repo.ts';
import { keepAnswers } from './keep-answers.ts';
import { endIfDone, ITEM_OUTCOMES } from './open.ts';

/** From a try that found nobody to the next: clients wait for their money, and after a start providers are there within seconds. */
const AGAIN_MS = 5_000;
/** Of an accusation by a re-examination. */
const REASON = 'rejected_by_reexamination';

const SEEN: Readonly<Record<AuditOutcome, SeenOutcome>> = {
  held: 'held',
  rejected: 'rejected',
  unsure: 'inconclusive',
  undone: 'inconclusive',
};

export class Reexaminer {
  readonly #deps: FreshDeps;
  readonly #work: DueWork<ReexaminedRow>;

  constructor(deps: FreshDeps) {
    this.#deps = deps;
    this.#work = freshWork(deps, {
      due: waitingItems,
      taskOf: (now, row) => this.#taskOf(now, row),
      finish: (now, row, task, found) => this.#finish(now, row, task, found),
      putOff: (now, row) => this.#putOff(now, row),
    });
  }

  /** Keeps what an answer may be looked at again by, in the transaction that settles it. */
  keep(tx: Tx, running: Running, results: readonly AttemptResult[], answeredAtMs: number): Promise<void> {
    const { windowMs } = this.#deps.pipeline().desk.reexamine;
    return keepAnswers(tx, { box: this.#deps.box, windowMs }, running, results, answeredAtMs);
  }

  /** Begins what is due and not begun; called after rulings, on a timer and at a start. */
  async runDue(): Promise<void> {
    await this.#work.begin();
  }

  async #taskOf(deps: PipelineDeps, { requestId, choice, disputeId }: ReexaminedRow): Promise<AuditTask> {
    const begun = await deps.store.read((handle) => reexaminationOf(handle, disputeId));
    const { deadlineMs } = begun!;
    return freshTask(this.#deps, deps, { requestId, choice, deadlineMs, reason: REASON });
  }

  /** Money, dispute, the log's entry and the row's end: all of it or nothing. */
  async #finish(deps: PipelineDeps, row: ReexaminedRow, task: AuditTask, found: AuditFound): Promise<void> {
    const { store, clock } = deps;
    for (const { accusation } of found.accused) accusation.member.standing = 'rejected';
    const isDone = await store.withTx(async (tx) => {
      if (!(await isWaiting(tx, row))) return false;
      // The conviction answers for the account's past.
      const accusedIn = await enterFound(tx, deps, task, found, false);
      const { auditor, evidenceHash } = found;
      const seen = { kind: task.kind, auditor, outcome: SEEN[found.outcome], evidenceHash, accusedIn };
      await enterSeen(tx, deps, row, seen, clock.nowMs());
      return true;
    });
    task.journal.paid();
    if (!isDone) return;
    const accused = found.accused.map(({ accusation }) => accusation);
    argue(deps, accused);
    if (accused.length === 0) deps.background(deps.desk.settleDue());
  }

  /** Later; or never, once its time is over. */
  async #putOff(deps: PipelineDeps, row: ReexaminedRow): Promise<void> {
    const { store, clock } = deps;
    const nowMs = clock.nowMs();
    const hasEnded = await store.withTx(async (tx) => {
      if (!(await isWaiting(tx, row))) return false;
      const { deadlineMs } = (await reexaminationOf(tx, row.disputeId))!;
      if (nowMs < deadlineMs) {
        await updateItem(tx, row, { dueAtMs: Math.min(deadlineMs, nowMs + AGAIN_MS) });
        return false;
      }
      const nothing = { kind: 'score', auditor: null, outcome: 'inconclusive', evidenceHash: ZERO_HASH } as const;
      await enterSeen(tx, deps, row, { ...nothing, accusedIn: null }, nowMs);
      return true;
    });
    if (hasEnded) await deps.desk.settleDue();
  }
}

interface Seen {
  readonly kind: AuditKind;
  readonly auditor: Address | null;
  readonly outcome: SeenOutcome;
  readonly evidenceHash: Hash;
  /** The dispute about it, which then says what becomes of it. */
  readonly accusedIn: Hash | null;
}

/** What was seen goes into the log; what nobody argues about has ended with that. */
async function enterSeen(
  tx: Tx,
  { log }: Pick<PipelineDeps, 'log'>,
  row: ReexaminedRow,
  { accusedIn, ...seen }: Seen,
  atMs: number,
): Promise<void> {
  const { requestId, choice, provider, disputeId } = row;
  const about = { requestId, choice, provider: provider as Address, disputeId: disputeId as Hash };
  const entry: LogEntry = { type: 'reexamined', ...about, ...seen, atMs };
  const logIndex = await log.append(tx, entry);
  const outcome = accusedIn === null ? UNARGUED[seen.outcome] : await ruledIn(tx, accusedIn);
  await updateItem(tx, row, { logIndex, accusedIn, outcome });
  if (outcome === 'stands') await tellVerified(tx, row, 'reexamination', atMs);
  if (outcome !== null) await endIfDone(tx, disputeId, atMs);
}

/** Of what nobody argues about. */
const UNARGUED = { held: 'stands', rejected: 'inconclusive', inconclusive: 'inconclusive' } as const;

/** By the ruling, where somebody was faster with the same accusation and it is ruled; null while it is open. */
async function ruledIn(tx: Tx, disputeId: Hash): Promise<ReexaminedRow['outcome']> {
  const ruling = (await disputeById(tx, disputeId))?.ruling ?? null;
  return ruling === null ? null : ITEM_OUTCOMES[ruling];
}
