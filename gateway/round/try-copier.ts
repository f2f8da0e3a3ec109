/**
 * After an answer, now and then: another provider answers the same prompt under another seed. Who sends what an accomplice had written, or what it has
 * kept, writes tokens that its own noise would hardly ever give (spec-judge.md §7.15).
 */
import { AuditDraw, auditSecret } from '#protocol/audit';
import { pairOf } from '#protocol/calibration';
import { ProtocolError } from '#protocol/errors';
import { toHex } from '#protocol/hash';
import type { Sampling } from '#protocol/sampling';
import { patientPacing } from '../committee/deadlines.ts';
import type { CountedEvidence } from '../evidence/counted.ts';
import { COPY_PROBABILITY_MAX, copyProbability } from '../judge/copying.ts';
import type { PipelineDeps, Running } from './accept.ts';
import type { AttemptResult } from './attempt.ts';
import { memberShapeProblem } from './compare.ts';
import { countScores } from './count-evidence.ts';
import type { LateJournal } from './late-journal.ts';
import { transcriptIn } from './lone-transcript.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { type TakenScore, takeScore, targetOf } from './scoring.ts';
import { uninvolved } from './uninvolved.ts';
import { Wave } from './wave.ts';
import { lateJournalOf, latePlan } from './witness.ts';

/** For four scorers that are tried one provider is tried for copying: a whole answer costs some three scores. */
const TRIALS_PER_ROUND = 4;

/** Whether the epoch's audit key asks for such a round. @param trialPpm of scorers, by the epoch */
export function isReseededBy(draw: AuditDraw, trialPpm: number): boolean {
  return draw.number('reseed', 1_000_000 * TRIALS_PER_ROUND) < trialPpm;
}

/** One round; what cannot be had teaches nothing. */
export async function tryCopier(
  deps: PipelineDeps,
  running: Running,
  choice: number,
  result: AttemptResult,
): Promise<void> {
  const { epoch, drawIndex, request } = running;
  const { plan } = running.choices[choice]!;
  const draw = new AuditDraw(auditSecret(epoch.secret, epoch.epoch), {
    drawIndex,
    choice,
    bodyHash: request.bodyHash,
  });
  const mayTeach = result.verdict === 'agreed' || request.policy.mode === 'audited';
  if (!mayTeach || plan.calibration === null) return;
  if (!isReseededBy(draw, epoch.auditPpm)) return;
  const journal = lateJournalOf(deps, { ...running.choices[choice]!, policy: request.policy, choice });
  try {
    await compareSeeds({ ...deps, journal }, running, { choice, draw, served: result.served });
  } catch (error) {
    // A reserve that pays for nothing more is no reason to fail anything: the answer has left.
    if (!(error instanceof ProtocolError && error.code === 'reserve_empty')) throw error;
  }
}

type LateDeps = PipelineDeps & { readonly journal: LateJournal };

interface Served {
  readonly choice: number;
  readonly draw: AuditDraw;
  readonly served: SealedMember;
}

async function compareSeeds(deps: LateDeps, running: Running, { choice, draw, served }: Served): Promise<void> {
  const { registry, journal } = deps;
  const { plan, attempt } = running.choices[choice]!;
  // The first of the order may be tried as a scorer, and must not see the prompt twice.
  const other = reseeded(deps, plan);
  const [, seat, ...scorers] = await uninvolved(deps, running, choice, draw, other.sampling);
  const referee = registry.referee(plan.modelDigest);
  if (seat === undefined || referee === null || scorers.length === 0 || served.claim === null) return;
  const known = await takeScore(deps, plan, { seat: referee, role: 'referee' }, targetOf(served), deps.stopping);
  await journal.payFor(null, known ? [known] : [], 'witness');
  const bounds = pairOf(plan.calibration!.calibration, seat.numericClass, referee.numericClass);
  if (known?.judgement.vote !== 'accept' || bounds === null) return;
  if (copyProbability(known.reply.evidence, other.sampling, bounds) > COPY_PROBABILITY_MAX) return;
  const { jobMs } = deps.pipeline;
  const limits = { ...deps.limits, roundTimeoutMs: jobMs };
  const wave = new Wave({ ...deps, limits, pacing: patientPacing(jobMs) }, other, deps.stopping);
  const scores: TakenScore[] = [];
  const nextScorer = () => scorers.shift() ?? null;
  try {
    const member = await transcriptIn(wave, seat);
    if (member === null || memberShapeProblem(member, attempt.order.rules) !== null) return;
    const scorer = nextScorer()!;
    const score = await takeScore(deps, other, { seat: scorer, role: 'member' }, targetOf(member), deps.stopping);
    if (score === null) return;
    scores.push(score);
    const peer = peerOf(served, known);
    const confirming = lateJournalOf(deps, { ...running.choices[choice]!, policy: running.request.policy, choice });
    await countScores(deps, {
      plan: other,
      member,
      scores,
      opened: null,
      peer,
      journal: confirming,
      pool: { nextScorer },
    });
  } finally {
    await journal.payFor(wave, scores, 'witness');
    wave.close();
  }
}

/**
 * The same request as another one: other noise, and hashes that say nothing of the first. Without noise the same tokens are the only right ones: there it
 * gets some, and nothing that cuts tokens off, since evidence of temperature 0 does not say what would have been.
 */
function reseeded(deps: PipelineDeps, plan: AttemptPlan): AttemptPlan {
  const bytes = deps.rng.bytes(8);
  const seed = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
  return {
    ...latePlan(deps, plan),
    chunkSizes: plan.chunkSizes,
    seed,
    sampling: noisy(plan.sampling),
    nonce: toHex(deps.rng.bytes(32)),
  };
}

function noisy(sampling: Sampling): Sampling {
  return sampling.temperature > 0 ? sampling : { ...sampling, temperature: 1, topK: 0, topP: 1 };
}

function peerOf({ tokens, claim }: SealedMember, { scorer, reply }: TakenScore): CountedEvidence['peer'] {
  return {
    tokens: [...tokens],
    claim: { value: { ...claim!.value }, signature: claim!.signature },
    score: { numericClass: scorer.numericClass, reply },
  };
}
