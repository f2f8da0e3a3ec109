/** One audit of one choice: a score of its tokens, or the whole answer by somebody else (SPEC.md §8.1, spec-judge.md §7.14). */
import type { AuditKind, AuditOutcome } from '#protocol/audit-words';
import { canonicalJson } from '#protocol/canonical';
import { type Address, type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { patientPacing } from '../committee/deadlines.ts';
import type { OpenedEvidence } from '../evidence/opened.ts';
import type { ShapeRules } from '../judge/shape.ts';
import type { PipelineDeps } from '../round/accept.ts';
import type { Accusation } from '../round/attempt.ts';
import { clustersOf, groupsOf, memberShapeProblem } from '../round/compare.ts';
import { countScores } from '../round/count-evidence.ts';
import { type Contender, type Split, type SplitOutcome, settleSplit } from '../round/escalate.ts';
import type { LateJournal } from '../round/late-journal.ts';
import { transcriptIn } from '../round/lone-transcript.ts';
import type { SealedMember } from '../round/member.ts';
import type { AttemptPlan } from '../round/plan.ts';
import { orderScore, type TakenScore, targetOf } from '../round/scoring.ts';
import { Wave } from '../round/wave.ts';
import { latePlan } from '../round/witness.ts';
import type { AuditedAnswer } from './audit-work.ts';
import type { Auditors } from './auditors.ts';
import { hasIdleRoom } from './idle-room.ts';

/** Candidates that one try asks in vain before the audit is put off. */
const ASKED_MAX = 4;

/** Of an accusation by an audit. */
export const AUDIT_REASON = 'rejected_by_audit';

export interface AuditTask extends AuditedAnswer {
  readonly kind: AuditKind;
  readonly rules: ShapeRules;
  readonly auditors: Auditors;
  /** What the audited member opened of its evidence. */
  readonly opened: OpenedEvidence | null;
  /** Whether it may wait for a better moment: its time is not over. */
  readonly canWait: boolean;
  readonly journal: LateJournal;
  /** Of scores that confirm what surprises the auditor alone: paid apart. */
  readonly confirming: LateJournal;
  /** Why whoever is rejected is accused. */
  readonly reason: string;
}

/** What an audit brought; `wave` and `scores` are to be paid. */
export interface AuditFound {
  readonly auditor: Address;
  readonly outcome: AuditOutcome;
  readonly evidenceHash: Hash;
  readonly skipped: readonly number[];
  readonly accused: readonly { readonly accusation: Accusation; readonly plan: AttemptPlan }[];
  /** Transcripts that the scores were about, with how they stand now. */
  readonly transcripts: readonly SealedMember[];
  readonly wave: Wave | null;
  readonly scores: readonly TakenScore[];
}

/** @returns null where nobody could be had now, or whose turn it is has no time for a whole answer */
export function performAudit(deps: PipelineDeps, task: AuditTask): Promise<AuditFound | null> {
  return task.kind === 'score' ? byScore(deps, task) : byRegeneration(deps, task);
}

/** The same; what was ordered is paid for where it brought nothing, but for a stop: then the next start does that. */
export async function tryAudit(deps: PipelineDeps, task: AuditTask): Promise<AuditFound | null> {
  const found = await performAudit(deps, task).catch(async (error: unknown) => {
    if (!deps.stopping.aborted) await task.journal.payFor(null, [], 'witness');
    throw error;
  });
  if (found === null) await task.journal.payFor(null, [], 'witness');
  return found;
}

async function byScore(deps: PipelineDeps, task: AuditTask): Promise<AuditFound | null> {
  const { member, auditors, confirming } = task;
  const plan = latePlan(deps, task.plan);
  const late = { ...deps, journal: task.journal };
  const first = await firstScore(late, plan, task);
  if (first === null) return null;
  const { skipped } = auditors;
  const scores = [first];
  let outcome: AuditOutcome = first.judgement.vote === 'accept' ? 'held' : 'unsure';
  if (first.judgement.vote === 'reject') {
    const ballots = [{ operator: first.scorer.operator, referee: false, votes: [first.judgement.vote] }];
    const { decision, scores: more } = await settle(late, plan, task, [contenderOf(member)], ballots);
    scores.push(...more);
    if (decision.rejected.includes(0)) outcome = 'rejected';
    else if (decision.step === 'serve') outcome = 'held';
  }
  const counted = scores.filter(({ role, tokens }) => role === 'member' && tokens.length === member.tokens.length);
  const { plan: answered, opened } = task;
  await countScores(deps, { plan: answered, member, scores: counted, opened, journal: confirming, pool: auditors });
  return {
    auditor: first.scorer.address,
    outcome,
    evidenceHash: hashOf(scores, null),
    skipped,
    accused: outcome === 'rejected' ? [accusing(member, task.plan, task.reason)] : [],
    transcripts: [member],
    wave: null,
    scores,
  };
}

async function firstScore(
  deps: PipelineDeps & { readonly journal: LateJournal },
  plan: AttemptPlan,
  { member, auditors }: AuditTask,
): Promise<TakenScore | null> {
  for (let asked = 0; asked < ASKED_MAX; asked++) {
    const seat = await auditors.next();
    if (seat === null) return null;
    const taken = await orderScore(deps, plan, { seat, role: 'member' }, targetOf(member), deps.stopping);
    if (!('failed' in taken)) return taken;
    await auditors.passOver(seat.address, taken.failed, taken.ticketHash);
  }
  return null;
}

async function byRegeneration(deps: PipelineDeps, task: AuditTask): Promise<AuditFound | null> {
  const { member, auditors, rules } = task;
  // Cut as the answer was: what is audited is ordered like what is not.
  const plan = { ...latePlan(deps, task.plan), chunkSizes: task.plan.chunkSizes };
  const { breakers, registry } = deps;
  const { jobMs } = deps.pipeline;
  const limits = { ...deps.limits, roundTimeoutMs: jobMs };
  const late = { ...deps, journal: task.journal, limits, pacing: patientPacing(jobMs) };
  for (let asked = 0; asked < ASKED_MAX; asked++) {
    const seat = await auditors.next();
    if (seat === null) return null;
    // Not passed over: who audits is drawn, and is the same when it has time.
    if (task.canWait && !hasIdleRoom(breakers.runningAt(seat.address), registry.concurrencyOf(seat.address)))
      return null;
    const wave = new Wave(late, plan, deps.stopping);
    try {
      const answered = await transcriptIn(wave, seat);
      if (answered === null) {
        const [lost] = wave.members;
        // One that never sat was logged by the wave itself.
        auditors.passedOver(wave.skipped);
        if (lost) await auditors.passOver(seat.address, lost.fault ?? 'timeout', lost.issued.ticketHash);
        await task.journal.payFor(wave, [], 'witness');
        continue;
      }
      const { skipped } = auditors;
      const problem = memberShapeProblem(answered, rules);
      const compared =
        problem === null
          ? await compare(late, plan, task, answered)
          : { outcome: 'unsure' as const, scores: [], accused: [accusing(answered, plan, `shape:${problem}`)] };
      const evidenceHash = hashOf(compared.scores, answered);
      return { auditor: seat.address, evidenceHash, skipped, wave, transcripts: [member, answered], ...compared };
    } finally {
      wave.close();
    }
  }
  return null;
}

type LateDeps = PipelineDeps & { readonly journal: LateJournal; readonly pacing: ReturnType<typeof patientPacing> };

/** The same tokens, or an honest near-tie, hold; else the two are a split as any other. */
async function compare(deps: LateDeps, plan: AttemptPlan, task: AuditTask, answered: SealedMember) {
  const { member } = task;
  const groups = groupsOf([member, answered]);
  const isSame = groups.length === 1 || (await clustersOf(deps, plan, groups, deps.stopping)).length === 1;
  if (isSame) return { outcome: 'held' as const, scores: [], accused: [] };
  const contenders = [contenderOf(member), contenderOf(answered)];
  const { decision, scores } = await settle(deps, plan, task, contenders, []);
  const [isWrong, isAuditorWrong] = [decision.rejected.includes(0), decision.rejected.includes(1)];
  const outcome: AuditOutcome = isWrong ? 'rejected' : isAuditorWrong ? 'held' : 'unsure';
  return {
    outcome,
    scores,
    accused: [
      ...(isWrong ? [accusing(member, task.plan, task.reason)] : []),
      ...(isAuditorWrong ? [accusing(answered, plan, AUDIT_REASON)] : []),
    ],
  };
}

/** Nobody is accused by one vote: others of the same draw, then the referee, are asked as for any split (spec-judge.md §7.5). */
function settle(
  deps: PipelineDeps & { readonly journal: LateJournal },
  plan: AttemptPlan,
  { auditors }: AuditTask,
  contenders: readonly Contender[],
  ballots: Split['ballots'],
): Promise<SplitOutcome> {
  const pool = { referee: deps.registry.referee(plan.modelDigest), nextScorer: () => auditors.nextScorer() };
  return settleSplit(deps, plan, { n: 1, agree: 1, contenders, ballots, pool }, deps.stopping);
}

function contenderOf(member: SealedMember): Contender {
  return { size: 1, target: targetOf(member) };
}

function accusing(member: SealedMember, plan: AttemptPlan, reason: string) {
  return { accusation: { member, fault: 'wrong_output' as const, reason, contradiction: null }, plan };
}

/** Of what was signed: the scores in the order of asking, and the auditor's claim where it answered itself. */
function hashOf(scores: readonly TakenScore[], answered: SealedMember | null): Hash {
  const signed = {
    scores: scores.map(({ reply: { score, signature } }) => ({ score: { ...score }, signature })),
    claim: answered?.claim ? { value: { ...answered.claim.value }, signature: answered.claim.signature } : null,
  };
  return toHex(sha256(utf8(canonicalJson(signed))));
}
