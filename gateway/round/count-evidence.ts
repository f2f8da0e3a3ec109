/** Witnessed transcripts enter the account of who generated them, whatever came of the request (spec-judge.md §7.10). */
import type { AuditDraw } from '#protocol/audit';
import { pairOf } from '#protocol/calibration';
import type { Policy } from '#protocol/policy';
import { promptHash } from '#protocol/request';
import type { AccumulatedWire } from '../dispute/bundle.ts';
import { ACCUMULATED } from '../dispute/finding.ts';
import { type CountedEvidence, type PairBounds, usableScores, zCountedEvidence } from '../evidence/counted.ts';
import type { OpenedEvidence } from '../evidence/opened.ts';
import { needsConfirmation } from '../judge/judge-response.ts';
import { responsesOfAccount } from '../store/evidence-repo.ts';
import type { Tx } from '../store/handle.ts';
import type { PipelineDeps } from './accept.ts';
import { argue, openDisputeAbout } from './accuse.ts';
import { askOpenings } from './ask-openings.ts';
import type { Accusation, Attempt } from './attempt.ts';
import type { FreshPool } from './escalate.ts';
import { LateJournal } from './late-journal.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { type TakenScore, takeScore } from './scoring.ts';
import { latePlan } from './witness.ts';

/** Scorers of one response beyond the drawn one. */
const CONFIRMING_MAX = 15;
/** Responses of which the evidence goes with an accusation; of older ones their entries do. */
const KEPT_MAX = 256;

/** One choice of a witnessed answer after its end. */
export interface WitnessedChoice {
  readonly plan: AttemptPlan;
  readonly attempt: Attempt;
  readonly policy: Policy;
  readonly choice: number;
  /** Says whether and where the generator opens what it sealed. */
  readonly draw: AuditDraw;
}

/** Attempts that were counted, or will be: a request may be ended twice. */
const begun = new WeakSet<Attempt>();

/** A transcript with the scores of it that were decided on before it was known: the drawn witness's first. */
interface Witnessed {
  readonly member: SealedMember;
  readonly scores: readonly TakenScore[];
}

/**
 * Counts what the witnesses have said about the generator's transcript, also where it was not served: to count answers that held up
 * alone would choose by what they show.
 */
export async function countEvidence(deps: PipelineDeps, choice: WitnessedChoice): Promise<void> {
  const { plan, attempt, policy } = choice;
  const witnessed = policy.mode === 'witnessed' ? witnessedIn(attempt) : null;
  if (witnessed === null || plan.calibration === null || begun.has(attempt)) return;
  begun.add(attempt);
  const { store, clock, log } = deps;
  const shape = {
    price: plan,
    seats: policy.n,
    choices: 1,
    inputTokens: plan.promptIds.length,
    maxTokens: plan.maxTokens,
  };
  const journal = new LateJournal({ store, clock, log, requestId: plan.requestId, choice: choice.choice, shape });
  const pool = { nextScorer: () => attempt.freshPool().nextScorer() };
  const opened = await askOpenings(deps, witnessed.member, choice.draw);
  await countScores(deps, { plan, ...witnessed, opened, journal, pool });
}

/** Scores of one transcript that were decided on before it was known, and who may confirm what surprises one of them alone. */
export interface ScoredTranscript extends Witnessed {
  readonly plan: AttemptPlan;
  /** What its generator opened; null where it was not asked, or did not. */
  readonly opened: OpenedEvidence | null;
  /** What it may have copied, where that was looked for. */
  readonly peer?: CountedEvidence['peer'];
  readonly journal: LateJournal;
  readonly pool: Pick<FreshPool, 'nextScorer'>;
}

/** Counts them in the account of who wrote it; of a model that nobody has calibrated nothing is counted. */
export async function countScores(deps: PipelineDeps, transcript: ScoredTranscript): Promise<void> {
  const { plan, member } = transcript;
  if (plan.calibration === null) return;
  const { calibration, hash } = plan.calibration;
  const boundsOf: PairBounds = (generator, scorer) => pairOf(calibration, generator, scorer);
  const { seat, jobId } = member;
  const accused: Accusation[] = [];
  await deps.evidence.during(seat.operator, async () => {
    const scores = await confirmed(deps, transcript, boundsOf);
    const answer = {
      requestId: plan.requestId,
      responseHash: jobId,
      operator: seat.operator,
      provider: seat.address,
      modelDigest: plan.modelDigest,
      promptHash: promptHash(plan.promptIds),
      calibration: { hash, boundsOf },
      evidence: evidenceOf(transcript, scores),
      retainUntilMs: plan.retainUntilMs,
    };
    await deps.evidence.count(answer, async (tx) => {
      const accusation = { member, fault: 'model_substitution' as const, reason: ACCUMULATED, contradiction: null };
      const accumulated = await accountOf(tx, answer);
      await openDisputeAbout(tx, deps, { plan, scores }, accusation, null, { accumulated });
      accused.push(accusation);
    });
  });
  argue(deps, accused);
}

/** The generator's longest scored transcript; the scores of exactly that, in the order of asking. */
function witnessedIn({ members, scores }: Attempt): Witnessed | null {
  const byMembers = scores.filter(({ role }) => role === 'member');
  const longest = byMembers.reduce<TakenScore | null>(
    (most, score) => (most === null || score.tokens.length > most.tokens.length ? score : most),
    null,
  );
  const member = members.find(({ seat }) => seat.address === longest?.about.address);
  if (longest === null || member === undefined) return null;
  const text = longest.tokens.join();
  return { member, scores: byMembers.filter(({ tokens }) => tokens.join() === text) };
}

/** What surprises one operator's scorer alone is scored by another's; the smaller value enters. */
async function confirmed(
  deps: PipelineDeps,
  transcript: ScoredTranscript,
  boundsOf: PairBounds,
): Promise<readonly TakenScore[]> {
  const { plan, scores, journal, pool } = transcript;
  const isAlone = () => needsConfirmation(usableScores(evidenceOf(transcript, scores), boundsOf));
  if (!isAlone()) return scores;
  const { tokens, about } = scores[0]!;
  const seat = pool.nextScorer();
  if (seat === null) return scores;
  const late = { ...deps, journal };
  const taken = await takeScore(
    late,
    latePlan(deps, plan),
    { seat, role: 'member' },
    { seat: about, tokens },
    deps.stopping,
  );
  await journal.payFor(null, taken ? [taken] : [], 'witness');
  return taken ? [...scores, taken] : scores;
}

function evidenceOf({ plan, member, opened, peer }: ScoredTranscript, scores: readonly TakenScore[]): CountedEvidence {
  const { tokens } = scores[0]!;
  const isWhole = tokens.length === member.tokens.length;
  return {
    // It is about all that was sealed: a part that somebody scored has positions that nobody did.
    ...(isWhole && opened !== null && member.claim !== null ? { opened } : {}),
    ...(isWhole && peer !== undefined ? { peer } : {}),
    tokens: [...tokens],
    sampling: plan.sampling,
    seed: plan.seed.toString(),
    numericClass: member.seat.numericClass,
    claim: isWhole && member.claim ? { value: { ...member.claim.value }, signature: member.claim.signature } : null,
    scores: scores.slice(0, 1 + CONFIRMING_MAX).map(({ scorer, reply }) => {
      return { operator: scorer.operator, numericClass: scorer.numericClass, reply };
    }),
  };
}

/** The account since it was opened: after its last slash, that of this very response excepted. */
async function accountOf(
  tx: Tx,
  account: { readonly operator: string; readonly modelDigest: AttemptPlan['modelDigest'] },
): Promise<AccumulatedWire> {
  const all = await responsesOfAccount(tx, account);
  const opened = all.slice(0, -1).findLastIndex(({ entry }) => entry.stage === 'slash') + 1;
  const since = all.slice(opened);
  const kept = since.slice(-KEPT_MAX).flatMap(({ entry, evidenceJson }) => {
    if (evidenceJson === null) return [];
    return [{ responseHash: entry.responseHash, evidence: zCountedEvidence.parse(JSON.parse(evidenceJson)) }];
  });
  return { entries: since.map(({ entry }) => entry), kept };
}
