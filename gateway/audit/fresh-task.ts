/** Looking at a kept answer by auditors of the present, drawn by fresh randomness: for re-examinations and examinations (SPEC.md §8.3, §8.4). */
import { AuditDraw } from '#protocol/audit';
import type { AuditKind } from '#protocol/audit-words';
import { ProtocolError } from '#protocol/errors';
import { type Hash, toHex } from '#protocol/hash';
import { policyJsonSchema, policyOfJson } from '#protocol/policy-json';
import type { SecretBox } from '../committee/epochs.ts';
import { disputeIdOf } from '../dispute/bundle.ts';
import type { ModelEntry } from '../openai/answer.ts';
import type { PipelineDeps } from '../round/accept.ts';
import { openDisputeAbout } from '../round/accuse.ts';
import { LateJournal } from '../round/late-journal.ts';
import { scorerStandings } from '../round/scorer-standing.ts';
import { voteOf } from '../round/scoring.ts';
import type { Handle, Tx } from '../store/handle.ts';
import { updateJob } from '../store/jobs-repo.ts';
import { keptAnswer } from '../store/reexamine-repo.ts';
import { requestById } from '../store/requests-repo.ts';
import { type AuditedAnswer, openWork } from './audit-work.ts';
import { auditorsOf } from './auditors.ts';
import { DueWork } from './due-work.ts';
import { type AuditFound, type AuditTask, tryAudit } from './perform-audit.ts';

/** At one time, of each kind: they wait behind what clients wait for. */
const RUNNING_MAX = 4;

/** What looking at kept answers is made from. */
export interface FreshDeps {
  readonly box: SecretBox;
  /** By its id. */
  readonly modelOf: (id: string) => ModelEntry | null;
  /** Of the present: under the signing key of now. */
  readonly pipeline: () => PipelineDeps;
}

/** Which answer, until when it may wait, and why whoever is rejected is accused. */
export interface FreshLook {
  readonly requestId: string;
  readonly choice: number;
  readonly deadlineMs: number;
  readonly reason: string;
}

/** What a queue of kept answers is made of. */
export interface FreshWorkParts<Row> {
  readonly due: (handle: Handle, nowMs: number, limit: number) => Promise<readonly Row[]>;
  readonly taskOf: (deps: PipelineDeps, row: Row) => Promise<AuditTask>;
  readonly finish: (deps: PipelineDeps, row: Row, task: AuditTask, found: AuditFound) => Promise<void>;
  /** Nobody could be had. */
  readonly putOff: (deps: PipelineDeps, row: Row) => Promise<void>;
}

/** The queue of one kind of looks at kept answers. */
export function freshWork<Row extends Pick<FreshLook, 'requestId' | 'choice'>>(
  { pipeline }: FreshDeps,
  { due, taskOf, finish, putOff }: FreshWorkParts<Row>,
): DueWork<Row> {
  const run = async (row: Row): Promise<void> => {
    const deps = pipeline();
    try {
      const task = await taskOf(deps, row);
      const found = await tryAudit(deps, task);
      if (found === null) await putOff(deps, row);
      else await finish(deps, row, task, found);
    } catch (error) {
      if (deps.stopping.aborted) return;
      // A reserve that pays for nothing now is asked again, as is whoever could not be had.
      await putOff(deps, row);
      if (!(error instanceof ProtocolError && error.code === 'reserve_empty')) throw error;
    }
  };
  const work: DueWork<Row> = new DueWork({
    runningMax: RUNNING_MAX,
    keyOf: ({ requestId, choice }) => `${requestId}/${choice}`,
    due: (limit) => {
      const { store, clock } = pipeline();
      return store.read((handle) => due(handle, clock.nowMs(), limit));
    },
    run,
    background: (piece) => pipeline().background(piece),
    // The next of the queue has waited for this place.
    onFree: () => (pipeline().stopping.aborted ? undefined : work.begin()),
  });
  return work;
}

/** @throws {ProtocolError} model_not_found where its model is not served any more */
export async function freshTask({ box, modelOf }: FreshDeps, deps: PipelineDeps, look: FreshLook): Promise<AuditTask> {
  const { store, clock, log, epochs, rng } = deps;
  const { requestId, choice, deadlineMs, reason } = look;
  const [request, kept] = await store.read(
    async (handle) => [(await requestById(handle, requestId))!, await keptAnswer(handle, look)] as const,
  );
  const model = modelOf(request.model);
  if (model === null) throw new ProtocolError('model_not_found', 'The model of an answer is not served any more.');
  const policy = policyOfJson(policyJsonSchema.parse(JSON.parse(request.policyJson)));
  const answer = openWork(box, kept!.sealedWork, request, model, deps);
  const { promptIds, maxTokens, sampling } = answer.plan;
  const shape = { price: request, seats: 1, choices: 1, inputTokens: promptIds.length, maxTokens };
  const journalOf = () => new LateJournal({ store, clock, log, requestId, choice, shape });
  const journal = journalOf();
  const kind = kindFor(answer);
  // Fresh randomness, unknown to everybody: the epoch's audit key may be public by now, and who is looked at must not know by whom.
  const { drawIndex, bodyHash } = request;
  const draw = new AuditDraw(toHex(rng.bytes(32)), { drawIndex, choice, bodyHash: bodyHash as Hash });
  const { snapshot } = await epochs.current();
  const auditors = await auditorsOf(deps, journal, { draw, snapshot, filter: policy.filter }, answer, kind === 'score');
  const rules = { maxTokens, stop: sampling.stop, text: model.text };
  const canWait = clock.nowMs() < deadlineMs;
  return { ...answer, kind, rules, auditors, canWait, opened: null, reason, journal, confirming: journalOf() };
}

/**
 * Enters what was found: money, disputes, standings. Call `task.journal.paid()` once it is durable, then argue.
 * @param freezes whether the answer's own fault freezes stake; an auditor's always does
 * @returns the dispute about the answer, where there is one
 */
export async function enterFound(
  tx: Tx,
  deps: PipelineDeps,
  task: AuditTask,
  found: AuditFound,
  freezes: boolean,
): Promise<Hash | null> {
  await task.journal.payIn(tx, found.wave, found.scores, 'witness');
  let accusedIn: Hash | null = null;
  for (const { accusation, plan } of found.accused) {
    const isOwn = accusation.member === task.member;
    const how = { freezes: freezes || !isOwn };
    await openDisputeAbout(tx, deps, { plan, scores: found.scores }, accusation, task.member, how);
    if (isOwn) accusedIn = disputeIdOf(accusation.member.jobId, accusation.fault);
    await updateJob(tx, accusation.member.jobId, { standing: 'rejected' });
  }
  const standings = scorerStandings(found.transcripts, found.scores.map(voteOf), found.outcome !== 'unsure');
  for (const [jobId, standing] of standings) await updateJob(tx, jobId, { standing });
  return accusedIn;
}

/** A score, but of a machine that is calibrated against none: its tokens say something only beside another whole answer. */
function kindFor({ plan, member }: AuditedAnswer): AuditKind {
  const pairs = plan.calibration?.calibration.pairs ?? [];
  const isKnown = pairs.some(({ generator }) => generator === member.seat.numericClass);
  return isKnown ? 'score' : 'regenerate';
}
