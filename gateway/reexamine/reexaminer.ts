/**
 * Looks again at what a convicted account has answered: what waits is durable with the conviction, so that a crash loses none of it, and
 * ends in one transaction each, so that none is done twice (SPEC.md §8.3).
 */
import type { SeenOutcome } from '#protocol/aftermath';
import { AuditDraw } from '#protocol/audit';
import type { AuditKind, AuditOutcome } from '#protocol/audit-words';
import { ProtocolError } from '#protocol/errors';
import { type Address, type Hash, toHex, ZERO_HASH } from '#protocol/hash';
import type { LogEntry } from '#protocol/log';
import { policyJsonSchema, policyOfJson } from '#protocol/policy';
import { type AuditedAnswer, openWork } from '../audit/audit-work.ts';
import { auditorsOf } from '../audit/auditors.ts';
import { DueWork } from '../audit/due-work.ts';
import { type AuditFound, type AuditTask, tryAudit } from '../audit/perform-audit.ts';
import type { SecretBox } from '../committee/epochs.ts';
import { disputeIdOf } from '../dispute/bundle.ts';
import { tellVerified } from '../events/client-events.ts';
import type { ModelEntry } from '../openai/answer.ts';
import type { PipelineDeps, Running } from '../round/accept.ts';
import { argue, openDisputeAbout } from '../round/accuse.ts';
import type { AttemptResult } from '../round/attempt.ts';
import { LateJournal } from '../round/late-journal.ts';
import { scorerStandings } from '../round/scorer-standing.ts';
import { voteOf } from '../round/scoring.ts';
import { disputeById } from '../store/disputes-repo.ts';
import type { Tx } from '../store/handle.ts';
import { updateJob } from '../store/jobs-repo.ts';
import {
  isWaiting,
  keptAnswer,
  type ReexaminedRow,
  reexaminationOf,
  updateItem,
  waitingItems,
} from '../store/reexamine-repo.ts';
import { requestById } from '../store/requests-repo.ts';
import { keepAnswers } from './keep-answers.ts';
import { endIfDone, ITEM_OUTCOMES } from './open.ts';

/** From a try that found nobody to the next: clients wait for their money, and after a start providers are there within seconds. */
const AGAIN_MS = 5_000;
/** At one time: they wait behind what clients wait for. */
const RUNNING_MAX = 4;
/** Of an accusation by a re-examination. */
const REASON = 'rejected_by_reexamination';

export interface ReexaminerDeps {
  readonly box: SecretBox;
  /** By its id. */
  readonly modelOf: (id: string) => ModelEntry | null;
  /** Of the present: under the signing key of now. */
  readonly pipeline: () => PipelineDeps;
}

const SEEN: Readonly<Record<AuditOutcome, SeenOutcome>> = {
  held: 'held',
  rejected: 'rejected',
  unsure: 'inconclusive',
  undone: 'inconclusive',
};

export class Reexaminer {
  readonly #deps: ReexaminerDeps;
  readonly #work: DueWork<ReexaminedRow>;

  constructor(deps: ReexaminerDeps) {
    this.#deps = deps;
    this.#work = new DueWork({
      runningMax: RUNNING_MAX,
      keyOf: ({ requestId, choice }) => `${requestId}/${choice}`,
      due: (limit) => {
        const { store, clock } = deps.pipeline();
        return store.read((handle) => waitingItems(handle, clock.nowMs(), limit));
      },
      run: (row) => this.#run(row),
      background: (work) => deps.pipeline().background(work),
      // The next of the queue has waited for this place.
      onFree: () => (deps.pipeline().stopping.aborted ? undefined : this.runDue()),
    });
  }

  /** Keeps what an answer may be looked at again by, in the transaction that settles it. */
  keep(tx: Tx, running: Running, results: readonly AttemptResult[], answeredAtMs: number): Promise<void> {
    const { windowMs } = this.#deps.pipeline().desk.reexamine;
    return keepAnswers(tx, { box: this.#deps.box, windowMs }, running, results, answeredAtMs);
  }

  /** Begins what is due and not begun; called after rulings, on a timer and at a start. */
  runDue(): Promise<void> {
    return this.#work.begin();
  }

  async #run(row: ReexaminedRow): Promise<void> {
    const deps = this.#deps.pipeline();
    try {
      const task = await this.#taskOf(deps, row);
      const found = await tryAudit(deps, task);
      if (found === null) await this.#putOff(deps, row);
      else await this.#finish(deps, row, task, found);
    } catch (error) {
      if (deps.stopping.aborted) return;
      // A reserve that pays for nothing now is asked again, as is whoever could not be had.
      await this.#putOff(deps, row);
      if (!(error instanceof ProtocolError && error.code === 'reserve_empty')) throw error;
    }
  }

  async #taskOf(deps: PipelineDeps, row: ReexaminedRow): Promise<AuditTask> {
    const { store, clock, log, epochs, rng } = deps;
    const { request, kept, deadlineMs } = await store.read(async (handle) => ({
      request: (await requestById(handle, row.requestId))!,
      kept: await keptAnswer(handle, row),
      deadlineMs: (await reexaminationOf(handle, row.disputeId))!.deadlineMs,
    }));
    const model = this.#deps.modelOf(request.model);
    if (model === null) throw new ProtocolError('model_not_found', 'The model of an answer is not served any more.');
    const policy = policyOfJson(policyJsonSchema.parse(JSON.parse(request.policyJson)));
    const answer = openWork(this.#deps.box, kept!.sealedWork, request, model, deps);
    const { promptIds, maxTokens, sampling } = answer.plan;
    const shape = { price: request, seats: 1, choices: 1, inputTokens: promptIds.length, maxTokens };
    const { requestId, choice } = row;
    const journalOf = () => new LateJournal({ store, clock, log, requestId, choice, shape });
    const journal = journalOf();
    const kind = kindFor(answer);
    // Fresh randomness, unknown to everybody: the epoch's audit key may be public by now, and the convicted must not know who looks.
    const { drawIndex, bodyHash } = request;
    const draw = new AuditDraw(toHex(rng.bytes(32)), { drawIndex, choice, bodyHash: bodyHash as Hash });
    const { snapshot } = await epochs.current();
    const auditors = await auditorsOf(
      deps,
      journal,
      { draw, snapshot, filter: policy.filter },
      answer,
      kind === 'score',
    );
    const rules = { maxTokens, stop: sampling.stop, text: model.text };
    const canWait = clock.nowMs() < deadlineMs;
    const how = { kind, rules, auditors, canWait, opened: null, reason: REASON };
    return { ...answer, ...how, journal, confirming: journalOf() };
  }

  /** Money, dispute, the log's entry and the row's end: all of it or nothing. */
  async #finish(deps: PipelineDeps, row: ReexaminedRow, task: AuditTask, found: AuditFound): Promise<void> {
    const { store, clock } = deps;
    for (const { accusation } of found.accused) accusation.member.standing = 'rejected';
    const isDone = await store.withTx(async (tx) => {
      if (!(await isWaiting(tx, row))) return false;
      await task.journal.payIn(tx, found.wave, found.scores, 'witness');
      let accusedIn: Hash | null = null;
      for (const { accusation, plan } of found.accused) {
        const isOld = accusation.member === task.member;
        // The conviction answers for the account's past; an auditor that answered wrongly now answers for itself.
        await openDisputeAbout(tx, deps, { plan, scores: found.scores }, accusation, task.member, { freezes: !isOld });
        if (isOld) accusedIn = disputeIdOf(accusation.member.jobId, accusation.fault);
        await updateJob(tx, accusation.member.jobId, { standing: 'rejected' });
      }
      const standings = scorerStandings(found.transcripts, found.scores.map(voteOf), found.outcome !== 'unsure');
      for (const [jobId, standing] of standings) await updateJob(tx, jobId, { standing });
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

/** A score, but of a machine that is calibrated against none: its tokens say something only beside another whole answer. */
function kindFor({ plan, member }: AuditedAnswer): AuditKind {
  const pairs = plan.calibration?.calibration.pairs ?? [];
  const isKnown = pairs.some(({ generator }) => generator === member.seat.numericClass);
  return isKnown ? 'score' : 'regenerate';
}
