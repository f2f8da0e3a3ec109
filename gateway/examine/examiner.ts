/**
 * Examines what a provider answered alone before its pay leaves for the first time, and before it leaves itself: what waits is durable with the
 * draw, so that a crash loses none of it, and ends in one transaction each, so that none is done twice (SPEC.md §8.4).
 */
import { type Address, type Hash, ZERO_HASH } from '#protocol/hash';
import type { LogEntry } from '#protocol/log';
import type { DueWork } from '../audit/due-work.ts';
import { enterFound, type FreshDeps, freshTask, freshWork } from '../audit/fresh-task.ts';
import type { AuditFound, AuditTask } from '../audit/perform-audit.ts';
import { tellVerified } from '../events/client-events.ts';
import type { PipelineDeps } from '../round/accept.ts';
import { argue } from '../round/accuse.ts';
import {
  dueExamined,
  type ExaminedRow,
  endExamined,
  examinationById,
  isExaminedOpen,
  putOffExamined,
} from '../store/examinations-repo.ts';
import type { Tx } from '../store/handle.ts';
import { dueProviders, endIfExamined, openExamination } from './open.ts';

/** From a try that found nobody to the next. */
const AGAIN_MS = 60_000;
/** From one look at who is due to the next, unless somebody was excluded meanwhile: other occasions are of days. */
const LOOK_MS = 60_000;
/** Of an accusation by an examination. */
const REASON = 'rejected_by_examination';

type Outcome = Pick<Extract<LogEntry, { type: 'examined' }>, 'kind' | 'auditor' | 'outcome' | 'evidenceHash'>;

export class Examiner {
  readonly #deps: FreshDeps;
  readonly #work: DueWork<ExaminedRow>;
  #looked = { atMs: Number.NEGATIVE_INFINITY, excluded: '' };

  constructor(deps: FreshDeps) {
    this.#deps = deps;
    this.#work = freshWork(deps, {
      due: dueExamined,
      taskOf: (now, row) => this.#taskOf(now, row),
      finish: (now, row, task, found) => this.#finish(now, row, task, found),
      putOff: (now, row) => this.#putOff(now, row),
    });
  }

  /** Opens what there is an occasion for, and begins what is due and not begun; called on a timer and at a start. */
  async runDue(): Promise<void> {
    const { clock, store, desk, log, rng, registry } = this.#deps.pipeline();
    const nowMs = clock.nowMs();
    const excluded = registry
      .excluded()
      .map(({ provider, reason }) => `${provider} ${reason}`)
      .join();
    if (nowMs - this.#looked.atMs >= LOOK_MS || excluded !== this.#looked.excluded) {
      const { reexamine } = desk;
      for (const provider of await store.read((handle) => dueProviders(handle, reexamine.windowMs, nowMs))) {
        await store.withTx((tx) => openExamination(tx, { log, rng }, provider, reexamine, nowMs));
      }
      this.#looked = { atMs: nowMs, excluded };
    }
    await this.#work.begin();
  }

  async #taskOf(deps: PipelineDeps, { requestId, choice, examinationId }: ExaminedRow): Promise<AuditTask> {
    const begun = await deps.store.read((handle) => examinationById(handle, examinationId));
    const { deadlineMs } = begun!;
    return freshTask(this.#deps, deps, { requestId, choice, deadlineMs, reason: REASON });
  }

  /** Money, disputes, the log's entry and the row's end: all of it or nothing. */
  async #finish(deps: PipelineDeps, row: ExaminedRow, task: AuditTask, found: AuditFound): Promise<void> {
    const { store, clock } = deps;
    for (const { accusation } of found.accused) accusation.member.standing = 'rejected';
    const isDone = await store.withTx(async (tx) => {
      if (!(await isExaminedOpen(tx, row))) return false;
      await enterFound(tx, deps, task, found, true);
      const { auditor, outcome, evidenceHash } = found;
      await enterExamined(tx, deps, row, { kind: task.kind, auditor, outcome, evidenceHash }, clock.nowMs());
      return true;
    });
    task.journal.paid();
    if (!isDone) return;
    argue(
      deps,
      found.accused.map(({ accusation }) => accusation),
    );
  }

  /** Later; or never, once its time is over: nobody's pay waits for scorers that do not come. */
  async #putOff(deps: PipelineDeps, row: ExaminedRow): Promise<void> {
    const { store, clock } = deps;
    const nowMs = clock.nowMs();
    await store.withTx(async (tx) => {
      if (!(await isExaminedOpen(tx, row))) return;
      const { deadlineMs } = (await examinationById(tx, row.examinationId))!;
      if (nowMs < deadlineMs) return putOffExamined(tx, row, Math.min(deadlineMs, nowMs + AGAIN_MS));
      const nothing = { kind: 'score', auditor: null, outcome: 'undone', evidenceHash: ZERO_HASH } as const;
      await enterExamined(tx, deps, row, nothing, nowMs);
    });
  }
}

async function enterExamined(
  tx: Tx,
  { log }: Pick<PipelineDeps, 'log'>,
  row: ExaminedRow,
  seen: Outcome,
  atMs: number,
): Promise<void> {
  const { requestId, choice, provider } = row;
  const examination = row.examinationId as Hash;
  const about = { examination, requestId, choice, provider: provider as Address };
  const logIndex = await log.append(tx, { type: 'examined', ...about, ...seen, atMs });
  await endExamined(tx, row, { outcome: seen.outcome, logIndex });
  if (seen.outcome === 'held') await tellVerified(tx, row, 'examination', atMs);
  await endIfExamined(tx, { log }, examination, atMs);
}
