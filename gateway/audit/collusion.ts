/** Probabilities that accomplices sit where it matters, drawn without replacement from a finite registry. Pure. */

import { PPM } from '#protocol/log';
import type { Vote } from '#protocol/voices';
import { REJECTIONS_NEEDED } from '#protocol/voices';
import { decideWitnessed } from '#protocol/witnessed';
import { type Ballot, decide } from '../judge/decide.ts';

/** The operators that can be drawn, one seat each; each as likely as the other. */
export interface OperatorPool {
  readonly operators: number;
  /** How many of them are in one hand; at most all. */
  readonly colluding: number;
}

/** A share of the operators, rounded up: of five operators a fifth is one. @param share 0 to 1 */
export function poolOf(operators: number, share: number): OperatorPool {
  // The slack keeps 0.2 · 5 from becoming 2.
  return { operators, colluding: Math.min(operators, Math.max(0, Math.ceil(operators * share - 1e-9))) };
}

/**
 * Probability that every auditor of an accomplice's answer is an accomplice too, in millionths, rounded up. The audited operator does not
 * audit itself, so `colluding` − 1 of `operators` − 1 are left.
 * @param auditors distinct operators that look, at least 1
 * @returns 1,000,000 where there are not as many others: nobody honest looks
 */
export function auditCollusionPpm({ operators, colluding }: OperatorPool, auditors = 1): number {
  if (operators - 1 < auditors) return PPM;
  const [others, accomplices] = [operators - 1, Math.max(0, colluding - 1)];
  const all = choose(others, auditors);
  return Number((choose(accomplices, auditors) * BigInt(PPM) + all - 1n) / all);
}

/**
 * Hypergeometric: probability of exactly `hits` accomplices among `drawn` operators, exact but for the last division.
 */
export function drawnProbability({ operators, colluding }: OperatorPool, drawn: number, hits: number): number {
  return ratio(choose(colluding, hits) * choose(operators - colluding, drawn - hits), choose(operators, drawn));
}

/** How accomplices come up where some are drawn after others. */
interface Draws {
  /** How many can be drawn at most. */
  readonly size: number;
  /** Probability of exactly `hits` accomplices among the next `drawn`. */
  readonly of: (drawn: number, hits: number) => number;
  /** What is left after such a draw. */
  readonly after: (drawn: number, hits: number) => Draws;
}

/** From a registry as it is, without replacement. */
function drawsFrom(pool: OperatorPool): Draws {
  return {
    size: pool.operators,
    of: (drawn, hits) => drawnProbability(pool, drawn, hits),
    after: (drawn, hits) => drawsFrom({ operators: pool.operators - drawn, colluding: pool.colluding - hits }),
  };
}

/** From a registry without end, of which a share are accomplices. */
function drawsOfShare(share: number): Draws {
  const draws: Draws = {
    size: Number.POSITIVE_INFINITY,
    of: (drawn, hits) => Number(choose(drawn, hits)) * share ** hits * (1 - share) ** (drawn - hits),
    after: () => draws,
  };
  return draws;
}

/**
 * Probability that accomplices get a wrong answer served, by the very rule that decides splits. Worst case: they give one wrong
 * answer, no honest member finds an excuse to join it, as many fresh scorers as the pool has left (two at most) can be had, and no
 * referee. One honest seat splits a committee; then the fresh scorers must be accomplices too.
 * @param n seats, 1 to 15, at most the operators of the pool @param agree seats that must stand behind the answer
 */
export function quorumCapture(pool: OperatorPool, n: number, agree: number): number {
  return quorumCaptured(drawsFrom(pool), n, agree);
}

/** The same in a registry without end. @param share of the operators, 0 to 1 */
export function captureProbability(n: number, agree: number, share: number): number {
  return quorumCaptured(drawsOfShare(share), n, agree);
}

/**
 * The same where one seat generates and n − 1 score: the generator is an accomplice and lies, accomplices accept, honest
 * witnesses reject.
 */
export function witnessedCapture(pool: OperatorPool, n: number, agree: number): number {
  return witnessedCaptured(drawsFrom(pool), n, agree);
}

/** The same in a registry without end. @param share of the operators, 0 to 1 */
export function witnessedCaptureProbability(n: number, agree: number, share: number): number {
  return witnessedCaptured(drawsOfShare(share), n, agree);
}

function quorumCaptured(draws: Draws, n: number, agree: number): number {
  return captured(draws, n, (colluders, lying, fresh) => isQuorumCaptured(n, agree, colluders, lying, fresh));
}

function witnessedCaptured(draws: Draws, n: number, agree: number): number {
  const generates = draws.of(1, 1);
  if (generates === 0) return 0;
  const share = captured(draws.after(1, 1), n - 1, (accepting, lying, fresh) => {
    const orders = votesOf(lying, fresh);
    const served = orders.filter((late) => isWitnessedCaptured(n, agree, accepting, late));
    return served.length / orders.length;
  });
  return generates * share;
}

/** Sum over accomplices in the seats and among the fresh scorers. @param share how much of such a draw is captured */
function captured(
  draws: Draws,
  seats: number,
  share: (colluders: number, lying: number, fresh: number) => number,
): number {
  const fresh = Math.min(REJECTIONS_NEEDED, draws.size - seats);
  let sum = 0;
  for (let colluders = 0; colluders <= seats; colluders++) {
    const seated = draws.of(seats, colluders);
    if (seated === 0) continue;
    const left = draws.after(seats, colluders);
    for (let lying = 0; lying <= fresh; lying++) {
      const likely = seated * left.of(fresh, lying);
      if (likely > 0) sum += likely * share(colluders, lying, fresh);
    }
  }
  return Math.min(1, sum);
}

/** The colluders' cluster comes first; colluding scorers accept it alone, honest ones the other alone. */
function isQuorumCaptured(n: number, agree: number, colluders: number, lying: number, fresh: number): number {
  if (colluders === 0) return 0;
  const clusters = colluders === n ? [n] : [colluders, n - colluders];
  const ballots = Array.from({ length: fresh }, (_, i): Ballot => {
    const lies = i < lying;
    return { operator: `scorer-${i}`, referee: false, votes: [lies ? 'accept' : 'reject', lies ? 'reject' : 'accept'] };
  });
  const state = { n, agree, clusters, ballots: [], moreScorers: fresh > 0, moreReferee: false };
  const first = decide(state);
  const end = first.step === 'ask_scorers' ? decide({ ...state, ballots, moreScorers: false }) : first;
  return end.step === 'serve' && end.behind.includes(0) ? 1 : 0;
}

/** Every order in which `lying` of the fresh members accept; each is as likely. */
function votesOf(lying: number, fresh: number): Vote[][] {
  const all = Array.from({ length: 2 ** fresh }, (_, pattern) =>
    Array.from({ length: fresh }, (_, at): Vote => ((pattern >> at) & 1 ? 'accept' : 'reject')),
  );
  return all.filter((votes) => votes.filter((vote) => vote === 'accept').length === lying);
}

function isWitnessedCaptured(n: number, agree: number, accepting: number, late: readonly Vote[]): boolean {
  const witnesses = Array.from({ length: n - 1 }, (_, i): Vote => (i < accepting ? 'accept' : 'reject'));
  const cast = [...witnesses, ...late];
  for (let asked = n - 1; ; asked++) {
    const votes = cast.slice(0, asked);
    const moreScorers = asked < cast.length;
    const decision = decideWitnessed({ n, agree, votes, moreScorers, referee: null, moreReferee: false });
    if (decision.step !== 'ask_scorers') return decision.step === 'serve';
  }
}

/** Binomial coefficient; 0 outside of 0 to n. */
function choose(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  let result = 1n;
  for (let i = 1; i <= k; i++) result = (result * BigInt(n - k + i)) / BigInt(i);
  return result;
}

/** A quotient of at most 1 as a float64, right to 2^-53. */
function ratio(dividend: bigint, divisor: bigint): number {
  if (dividend === 0n) return 0;
  return Number((dividend * 2n ** 80n) / divisor) / 2 ** 80;
}
