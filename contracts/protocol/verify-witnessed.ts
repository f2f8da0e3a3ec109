/** Checks on an answer that one seat generated and others scored: who had to, what they said, what follows (SPEC.md §10.4). Pure. */
import type { AssayMember } from './assay-member.ts';
import type { Statement } from './attestation.ts';
import type { Snapshot } from './draw.ts';
import type { TokenEvidence } from './evidence.ts';
import { evidenceRoot } from './evidence-tree.ts';
import type { Address, Hash } from './hash.ts';
import type { Policy } from './policy.ts';
import type { PolicyJson } from './policy-json.ts';
import { outputHash } from './request.ts';
import type { Sampling } from './sampling.ts';
import { finding, notChecked, type VerifyItem } from './verify-item.ts';
import { hasRepeats, isBehind, seatsOf } from './verify-record.ts';
import type { Vote } from './voices.ts';
import { decideWitnessed } from './witnessed.ts';

/**
 * Judges a claimed transcript by a scorer's evidence (spec-judge.md §7.4).
 * @param how both classes, and the calibration that the gateway judged by, which must be used; null where it had none
 * @returns null where the evidence is none that a scorer could have; undefined where the judge has not that calibration
 */
export type ScoreJudge = (
  claimed: { readonly tokens: readonly number[]; readonly sampling: Sampling; readonly seed: bigint },
  evidence: readonly TokenEvidence[],
  how: { readonly scorer: string; readonly member: string; readonly calibration: Hash | null },
) => Vote | null | undefined;

/** What evidence that came with an answer says. */
export interface OpenedScores {
  readonly problem: string | null;
  /** By scorer: the vote that its signed evidence comes to. */
  readonly votes: ReadonlyMap<Address, Vote>;
}

type ScoreRecord = Statement['scores'][number];

/** Scores of exactly the served tokens, in the order of asking. */
function wholeScores(statement: Statement): ScoreRecord[] {
  const transcript = outputHash(statement.outputIds);
  return statement.scores.filter(
    ({ outputHash: scored, about }) => scored === transcript && about === statement.served,
  );
}

/** Opens and judges the evidence of one choice that came with the answer. */
export function openScores(
  statement: Statement,
  index: number,
  shown: {
    readonly scores: NonNullable<AssayMember['scores']>;
    readonly snapshot: Snapshot | null;
    readonly judge: ScoreJudge | null;
  },
): OpenedScores {
  const votes = new Map<Address, Vote>();
  const { outputIds, request } = statement;
  const whole = wholeScores(statement);
  const mine = shown.scores.filter((score) => score.index === index);
  for (const { provider, evidence } of mine) {
    const record = whole.find((score) => score.provider === provider);
    if (record === undefined) return failed(`there is evidence of ${provider}, and no score of what was served`);
    if (evidence.length !== outputIds.length || evidenceRoot(0, evidence) !== record.score.evidenceRoot) {
      return failed(`the evidence of ${provider} is not what it signed`);
    }
    const [scorer, member] = [provider, statement.served].map((address) => classOf(statement, shown.snapshot, address));
    if (shown.judge === null || !scorer || !member) continue;
    const claimed = { tokens: outputIds, sampling: request.sampling, seed: BigInt(request.seed) };
    const vote = shown.judge(claimed, evidence, { scorer, member, calibration: statement.calibration ?? null });
    if (vote === undefined) continue;
    if (vote === null) return failed(`the evidence of ${provider} is none that a scorer could have`);
    votes.set(provider, vote);
  }
  return { problem: null, votes };
}

function failed(problem: string): OpenedScores {
  return { problem, votes: new Map() };
}

/** The class that the registry holds; null where it holds none. */
function classOf({ request }: Statement, snapshot: Snapshot | null, provider: Address): string | null {
  const entry = snapshot?.entries.find(({ address }) => address === provider);
  return entry?.numericClasses?.[entry.modelDigests.indexOf(request.modelDigest)] ?? null;
}

/** Decides again what the gateway decided: by the same rule, from the votes that the statement names and the evidence opens. */
export function checkWitnessed(statement: Statement, policy: PolicyJson, opened: OpenedScores): VerifyItem {
  const item = (problem: string) => finding('agreement', problem, '');
  const members = seatsOf(statement).map(({ member }) => member);
  const behind = members.filter(isBehind);
  if (behind.length !== 1 || behind[0]!.provider !== statement.served) return item('not one seat has generated it');
  const whole = wholeScores(statement);
  const operators = whole.map(({ operator }) => operator);
  if (hasRepeats([...operators, behind[0]!.operator])) return item('an operator has two voices');
  const misread = whole.find(({ provider, accepted }) => {
    const vote = opened.votes.get(provider);
    return vote !== undefined && vote !== voteOf(accepted);
  });
  if (misread) return item(`the evidence of ${misread.provider} says something else than the gateway read in it`);
  const witnesses = whole.filter(({ role }) => role === 'member');
  const text = `1 seat generated, ${whole.filter(({ accepted }) => accepted === true).length} of ${whole.length} who scored accept`;
  if (statement.verdict === 'inconclusive') {
    return policy.on_inconclusive === 'best_effort'
      ? notChecked('agreement', `verdict: inconclusive: ${text}`)
      : item('inconclusive, and the policy asked for an error instead');
  }
  if (statement.verdict !== 'agreed') return item('no such verdict follows from witnesses');
  const referee = whole.find(({ role }) => role === 'referee');
  const decision = decideWitnessed({
    n: policy.n,
    agree: policy.agree,
    votes: witnesses.map(({ accepted }) => voteOf(accepted)),
    referee: referee ? voteOf(referee.accepted) : null,
    moreScorers: false,
    moreReferee: false,
  });
  if (decision.step !== 'serve') return item('these votes do not let the answer stand');
  const { needed, standing, of } = statement.agreement;
  if (needed !== decision.needed || standing !== decision.standing || of !== decision.of) {
    return item(`${decision.standing} seats stand behind it, ${decision.needed} are needed`);
  }
  const found = `verdict: agreed: ${text}, ${needed} needed`;
  return whole.every(({ provider }) => opened.votes.has(provider))
    ? finding('agreement', null, `${found}; judged again by their evidence`)
    : notChecked('agreement', `${found}; what they found is the gateway's reading, without their evidence`);
}

function voteOf(accepted: boolean | null): Vote {
  if (accepted === null) return 'abstain';
  return accepted ? 'accept' : 'reject';
}

/**
 * Witnesses are those that the draw gives after the generator: a gateway that left one out could ask until it likes the answer.
 * @param drawn candidates after the generator that were not passed over, in the order of the draw
 */
export function witnessDrawProblem(statement: Statement, policy: Policy, drawn: readonly Address[]): string | null {
  const scorers = statement.scores.filter(({ role }) => role === 'member');
  const asked = [...new Set(scorers.map(({ provider }) => provider))];
  const places = asked.map((provider) => drawn.indexOf(provider));
  if (places.some((place) => place < 0 || place >= asked.length)) return 'the witnesses are not those that were drawn';
  const voices = wholeScores(statement).filter(({ role }) => role === 'member');
  const order = voices.map(({ provider }) => drawn.indexOf(provider));
  if (order.some((place, at) => at > 0 && place <= order[at - 1]!))
    return 'the witnesses are not in the order of the draw';
  const isShort = voices.length < policy.n - 1 && drawn.length > asked.length;
  return isShort && statement.verdict !== 'inconclusive' ? 'a witness is missing that could be had' : null;
}
