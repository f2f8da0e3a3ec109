/** After an answer that held, now and then: a scorer that was not asked scores it, or what was made of it (spec-judge.md §7.13). */
import { AuditDraw, auditSecret } from '#protocol/audit';
import { canonicalJson } from '#protocol/canonical';
import { ProtocolError } from '#protocol/errors';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { jackpotNano, scoreNano } from '#protocol/jackpot';
import type { Seat } from '../committee/seat.ts';
import { tolerancesOf } from '../judge/classes.ts';
import { judgeTrial, type TrialPart, trialOf } from '../judge/trial.ts';
import { reserveFreeNano } from '../store/ledger-repo.ts';
import type { PipelineDeps, Running } from './accept.ts';
import { askReferee, askScorer } from './ask-trial.ts';
import type { AttemptResult } from './attempt.ts';
import { chunkSizesOf, scorePassesOf } from './chunk-plan.ts';
import type { LateJournal } from './late-journal.ts';
import type { AttemptPlan } from './plan.ts';
import type { ScoringDeps, TakenScore } from './scoring.ts';
import { uninvolved } from './uninvolved.ts';
import { lateJournalOf, latePlan } from './witness.ts';
import type { JudgedPass } from './witness-panel.ts';

/** Tries one scorer where the epoch's audit key says so. Its order is one like any other; a scorer that fails teaches nothing. */
export async function tryScorer(
  deps: PipelineDeps,
  running: Running,
  choice: number,
  result: AttemptResult,
): Promise<void> {
  const { epoch, drawIndex, request } = running;
  // Of an audited answer nothing is known yet: where the referee finds something else than it says, nothing is tried.
  const mayTeach = result.verdict === 'agreed' || request.policy.mode === 'audited';
  if (epoch.auditPpm === 0 || !mayTeach) return;
  const { bodyHash, model } = request;
  const audit = new AuditDraw(auditSecret(epoch.secret, epoch.epoch), { drawIndex, choice, bodyHash });
  const referee = deps.registry.referee(model.digest);
  if (!audit.isDue(epoch.auditPpm) || referee === null) return;
  const [seat] = await uninvolved(deps, running, choice, audit);
  if (seat === undefined) return;
  const parts = trialOf(heldOf(deps, running, choice, result), (word, below) => audit.number(word, below));
  const prizeNano = prizeOf(running, choice, result, parts);
  // Whoever finds the error is paid at once: where that cannot be, it is not planted.
  if (prizeNano > (await deps.store.read(reserveFreeNano))) return;
  const journal = lateJournalOf(deps, { ...running.choices[choice]!, policy: request.policy, choice });
  const { passes } = running.choices[choice]!.attempt;
  try {
    await judge(
      { ...deps, journal },
      { plan: planFor(deps, running, choice), index: choice, result, parts, passes, prizeNano, referee, seat },
      journal,
    );
  } catch (error) {
    // A reserve that pays for no trial is no reason to fail anything: the answer has left.
    if (!(error instanceof ProtocolError && error.code === 'reserve_empty')) throw error;
  }
}

/** The prize for the error that is planted; 0 where none is. */
function prizeOf(
  { epoch, request: { policy }, choices, audit }: Running,
  choice: number,
  { served }: AttemptResult,
  parts: readonly TrialPart[],
): bigint {
  if (!parts.some(({ answer }) => answer === 'reject')) return 0n;
  const { promptIds, inputNanoPerMtok } = choices[choice]!.plan;
  const costNano = scoreNano(inputNanoPerMtok, { prompt: promptIds.length, output: served.tokens.length });
  return jackpotNano(costNano, epoch.auditPpm, policy, audit);
}

/** Orders about an audited answer name the newest checkpoint, as those of its audit do; others the one of their round. */
function planFor(deps: PipelineDeps, { request, choices }: Running, choice: number): AttemptPlan {
  const { plan } = choices[choice]!;
  return request.policy.mode === 'audited' ? latePlan(deps, plan) : plan;
}

function heldOf({ pipeline }: PipelineDeps, { request, choices }: Running, choice: number, { served }: AttemptResult) {
  const { plan, attempt } = choices[choice]!;
  const { model, maxTokens, policy } = request;
  return {
    tokens: served.tokens,
    shortEvidence: attempt.members
      .filter(({ standing }) => standing === 'counted')
      .map((member) => member.shortEvidence),
    sampling: plan.sampling,
    eosIds: model.text.eosIds,
    chunkEnds: orderEnds(pipeline, policy.mode, maxTokens, attempt.passes),
    mode: policy.mode,
  };
}

/** Where orders about such a choice end. */
function orderEnds(
  { streamChunks }: PipelineDeps['pipeline'],
  mode: string,
  maxTokens: number,
  passes: readonly JudgedPass[],
): readonly number[] {
  if (mode === 'audited') return [];
  if (mode === 'witnessed') return passes.map(({ tokens }) => tokens);
  const witnessed = { mode: 'witnessed', release: 'verified' } as const;
  return scorePassesOf(witnessed, chunkSizesOf(witnessed, { stream: true, maxTokens }, streamChunks), maxTokens)!;
}

interface Trial {
  readonly plan: AttemptPlan;
  readonly index: number;
  readonly result: AttemptResult;
  readonly parts: readonly TrialPart[];
  readonly passes: readonly JudgedPass[];
  /** For who finds what is planted. */
  readonly prizeNano: bigint;
  readonly referee: Seat;
  readonly seat: Seat;
}

async function judge(deps: PipelineDeps & ScoringDeps, trial: Trial, journal: LateJournal): Promise<void> {
  const { plan, index, result, parts, passes, prizeNano, referee, seat } = trial;
  const calibration = plan.calibration?.calibration ?? null;
  const about = result.served.seat;
  const orders = { plan, parts, about, passes };
  const taken: TakenScore[] = [];
  try {
    const known = await askReferee(deps, orders, referee, deps.stopping);
    taken.push(...known.scores);
    // Only what the referee finds too is known.
    if (!known.isKnown) return;
    const scored = await askScorer(deps, orders, seat, deps.stopping);
    taken.push(...scored.filter((score) => score !== null));
    if (scored.some((score) => score === null)) return;
    const outcome = judgeTrial(
      scored.map((score, at) => ({ ...parts[at]!, reference: known.evidence[at]!, scored: score!.reply.evidence })),
      plan,
      {
        member: tolerancesOf(calibration, seat.numericClass, about.numericClass),
        referee: tolerancesOf(calibration, seat.numericClass, referee.numericClass),
      },
    );
    if (outcome === 'unsure') return;
    const evidenceHash = hashOf([...scored, ...known.scores]);
    const { requestId } = plan;
    const jackpot = { jackpotNano: outcome === 'right' ? prizeNano : 0n };
    await deps.scorers.add({ provider: seat.address, requestId, choice: index, outcome, evidenceHash, ...jackpot });
  } finally {
    await journal.payFor(null, taken, 'witness');
  }
}

/** The scorer's signed scores, then the referee's. */
function hashOf(scores: readonly (TakenScore | null)[]): Hash {
  const signed = scores.map((score) => ({ score: { ...score!.reply.score }, signature: score!.reply.signature }));
  return toHex(sha256(utf8(canonicalJson(signed))));
}
