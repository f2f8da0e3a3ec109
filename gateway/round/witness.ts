/** Members that missed a round are heard after the release; one that disagrees opens a dispute (DESIGN §4, spec-judge.md §7.9). */
import type { Policy } from '#protocol/policy';
import type { Verdict } from '#protocol/verdict';
import { patientPacing } from '../committee/deadlines.ts';
import type { Seat } from '../committee/seat.ts';
import { updateJob } from '../store/jobs-repo.ts';
import type { PipelineDeps } from './accept.ts';
import { argue, openDisputeAbout } from './accuse.ts';
import type { Accusation, Attempt } from './attempt.ts';
import { clustersOf, groupsOf, memberShapeProblem } from './compare.ts';
import { settleSplit } from './escalate.ts';
import { LateJournal } from './late-journal.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { recordEnd } from './record-end.ts';
import { scorerStandings } from './scorer-standing.ts';
import { type ScoringDeps, type TakenScore, targetOf, voteOf } from './scoring.ts';
import { Wave, type WaveDeps } from './wave.ts';

/** An answer that was released while some of its members were still to be heard. */
export interface Answered {
  readonly plan: AttemptPlan;
  readonly attempt: Attempt;
  readonly served: SealedMember;
  /** Of the choice. */
  readonly verdict: Verdict;
  readonly policy: Policy;
  /** Index of the choice. */
  readonly choice: number;
}

interface Heard extends Answered {
  readonly journal: LateJournal;
  /** What was heard so far, of witnesses that were right or wrong. */
  readonly transcripts: SealedMember[];
  readonly scores: TakenScore[];
}

type LateDeps = WaveDeps & ScoringDeps;

/**
 * Hears every late member in turn, until the answer has fallen. What a witness seals and opens is a wave of its own: its first
 * job stays outside its rounds for ever (SPEC.md §5.3).
 */
export async function hearWitnesses(deps: PipelineDeps, answer: Answered): Promise<void> {
  const { attempt, policy } = answer;
  // Elsewhere nobody is promised that answers are compared, and the reserve pays for no second one.
  const late = policy.mode !== 'quorum' ? [] : attempt.members.filter((member) => member.standing === 'late');
  if (late.length === 0) return;
  const heard: Heard = { ...answer, journal: lateJournalOf(deps, answer), transcripts: [], scores: [] };
  const { journal } = heard;
  // Nobody waits for it any more: it has as long as a whole job for its one chunk.
  const { jobMs } = deps.pipeline;
  const limits = { ...deps.limits, roundTimeoutMs: jobMs };
  const lateDeps = { ...deps, journal, limits, pacing: patientPacing(jobMs) };
  const opened: Accusation[] = [];
  for (const { seat } of late) {
    const plan = latePlan(deps, heard.plan);
    const wave = new Wave(lateDeps, plan, deps.stopping);
    try {
      opened.push(...(await hear(deps, lateDeps, heard, { seat, wave, plan })));
    } finally {
      wave.close();
    }
    if (opened.some(({ member }) => member.seat.address !== seat.address)) break;
  }
  argue(deps, opened);
}

/** The journal of what a choice still costs after its answer. */
export function lateJournalOf(
  { store, clock, log }: PipelineDeps,
  { plan, policy, choice }: Pick<Answered, 'plan' | 'policy' | 'choice'>,
): LateJournal {
  const { requestId, promptIds, maxTokens } = plan;
  const shape = { price: plan, seats: policy.n, choices: 1, inputTokens: promptIds.length, maxTokens };
  return new LateJournal({ store, clock, log, requestId, choice, shape });
}

interface Hearing {
  readonly seat: Seat;
  readonly wave: Wave;
  readonly plan: AttemptPlan;
}

async function hear(
  deps: PipelineDeps,
  lateDeps: LateDeps,
  heard: Heard,
  { seat, wave, plan }: Hearing,
): Promise<readonly Accusation[]> {
  const { attempt, journal, served } = heard;
  let witness: SealedMember | null = null;
  try {
    witness = await transcriptOf(wave, seat);
  } finally {
    // Revealed work is paid whatever it says, and whatever breaks off; who lies loses far more.
    await recordEnd(deps, () => journal.payFor(wave, [], 'witness'));
  }
  if (witness === null) return [];
  const problem = memberShapeProblem(witness, attempt.order.rules);
  if (problem !== null) {
    return accuse(deps, heard, [], { plan, accused: [accusation(witness, `shape:${problem}`)], witness });
  }
  const groups = groupsOf([served, witness]);
  if (groups.length === 1) return [];
  if ((await clustersOf(lateDeps, plan, groups, deps.stopping)).length === 1) return [];
  const { rejected, scores } = await judge(lateDeps, heard, plan, witness, deps.stopping);
  // Who of them was right is known once somebody is accused.
  await journal.payFor(null, scores, 'witness');
  if (rejected.includes(0)) {
    witness.standing = rejected.includes(1) ? 'witness' : 'counted';
    await deps.store.withTx((tx) => updateJob(tx, witness.jobId, { standing: witness.standing }));
    const accused = behind(heard).map((member) => accusation(member, 'rejected_after_witness'));
    return accuse(deps, heard, scores, { plan: heard.plan, accused, witness });
  }
  const accused = rejected.includes(1) ? [accusation(witness, 'rejected_by_scorers')] : [];
  return accuse(deps, heard, scores, { plan, accused, witness });
}

/** The whole transcript of the witness under its own seal, or null. */
async function transcriptOf(wave: Wave, seat: Seat): Promise<SealedMember | null> {
  if ((await wave.seat([seat], 1)) === 0) return null;
  await wave.round();
  await wave.claims(wave.counted);
  const [witness] = wave.counted;
  return witness ?? null;
}

/** The served transcript against the witness's, as any split: fresh scorers of other operators, then the referee. */
async function judge(
  deps: LateDeps,
  heard: Heard,
  plan: AttemptPlan,
  witness: SealedMember,
  stopping: AbortSignal,
): Promise<{ rejected: readonly number[]; scores: readonly TakenScore[] }> {
  const { n, agree } = heard.policy;
  const { decision, scores } = await settleSplit(
    deps,
    plan,
    {
      n,
      agree,
      contenders: [
        { size: behind(heard).length, target: targetOf(heard.served) },
        { size: 1, target: targetOf(witness) },
      ],
      ballots: [],
      pool: heard.attempt.freshPool(),
    },
    stopping,
  );
  return { rejected: decision.rejected, scores };
}

/** Members whose own transcript is the one that was served. */
function behind({ attempt, served }: Heard): SealedMember[] {
  const text = served.tokens.join(',');
  return attempt.members.filter(({ standing, tokens }) => standing === 'counted' && tokens.join(',') === text);
}

function accusation(member: SealedMember, reason: string): Accusation {
  return { member, fault: 'wrong_output', reason, contradiction: null };
}

interface Charge {
  readonly plan: AttemptPlan;
  readonly accused: readonly Accusation[];
  readonly witness: SealedMember;
}

/** Opens the disputes; who is accused, and the scorers who had taken its side, no longer count among those who were right. */
async function accuse(
  deps: PipelineDeps,
  heard: Heard,
  scores: readonly TakenScore[],
  { plan, accused, witness }: Charge,
): Promise<readonly Accusation[]> {
  const { served, attempt, verdict } = heard;
  for (const { member } of accused) member.standing = 'rejected';
  if (accused.length > 0) heard.transcripts.push(witness);
  heard.scores.push(...scores);
  const standings = scorerStandings(
    [...attempt.members, ...heard.transcripts],
    [...attempt.scores, ...heard.scores].map(voteOf),
    verdict !== 'inconclusive',
  );
  await deps.store.withTx(async (tx) => {
    for (const one of accused) {
      await openDisputeAbout(tx, deps, { plan, scores }, one, served);
      await updateJob(tx, one.member.jobId, { standing: 'rejected' });
    }
    for (const [jobId, standing] of standings) await updateJob(tx, jobId, { standing });
  });
  return accused;
}

/** The same order with times of its own; the whole answer is one chunk. */
export function latePlan({ clock, log, pipeline }: PipelineDeps, plan: AttemptPlan): AttemptPlan {
  const nowMs = clock.nowMs();
  return {
    ...plan,
    chunkSizes: [plan.maxTokens],
    issuedAtMs: nowMs,
    jobsEndAtMs: nowMs + pipeline.jobMs,
    expiresAtMs: nowMs + pipeline.requestMs,
    retainUntilMs: nowMs + pipeline.retentionMs,
    checkpoint: log.latestHash(),
  };
}
