/** What a policy is worth against accomplices and against a lone cheat, from the network's real state (spec-money.md §11.12). Pure. */
import { PPM } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import { penaltyNano } from '../ledger/penalties.ts';
import { drawnProbability, type OperatorPool, quorumCapture, witnessedCapture } from './collusion.ts';

/** The cheat that figures are about saves nine tenths of an answer (networks reference: g = 0.9 C), and is convicted of `wrong_output`. */
const SAVED_PPM = 900_000n;
/** Probabilities that are kept: one for each mode, n, agree and pool, some hundred for a registry. */
const KNOWN_MAX = 4_096;

type Seats = Pick<Policy, 'n' | 'agree'> & { readonly mode: string };

const known = new Map<string, number>();

/**
 * Probability that a wrong answer of accomplices is served as the policy's verdict, 0 to 1; hypergeometric over the operators. A pool with fewer
 * operators than seats is taken to be all seats.
 */
export function captureOf({ mode, n, agree }: Seats, pool: OperatorPool): number {
  const { operators, colluding } = { ...pool, operators: Math.max(n, pool.operators) };
  const key = `${mode}/${n}/${agree}/${operators}/${colluding}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const capture = mode === 'witnessed' && n > 1 ? witnessedCapture : quorumCapture;
  const probability = capture({ operators, colluding }, n, agree);
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(key, probability);
  return probability;
}

/** What a lone cheat meets. */
export interface LoneCheat {
  /** What the answer of one seat costs. */
  readonly seatNano: bigint;
  /** The least stake that can be drawn for a seat. */
  readonly stakeNano: bigint;
}

/**
 * What a provider is expected to lose by each answer that it cheats on: penalty times the probability that it is convicted, less what it saves.
 * Negative where cheating pays, as in `single`. Where others compare it is found unless accomplices capture the committee that it sits in. What
 * audits make of a lone seat is `worthOf`.
 */
export function cheatLossNano(seats: Seats, pool: OperatorPool, cheat: LoneCheat): bigint {
  const penalty = penaltyNano('wrong_output', cheat.stakeNano);
  const foundPpm = BigInt(Math.floor(foundProbability(seats, pool) * PPM));
  // What it loses is rounded down, what it saves up.
  const savedNano = (cheat.seatNano * SAVED_PPM + BigInt(PPM) - 1n) / BigInt(PPM);
  return (penalty * foundPpm) / BigInt(PPM) - savedNano;
}

function foundProbability(seats: Seats, pool: OperatorPool): number {
  if (seats.n === 1) return 0;
  const operators = Math.max(seats.n, pool.operators);
  // The cheat itself is one of them, or nobody would cheat.
  const accomplices = { operators, colluding: Math.max(1, pool.colluding) };
  const seated =
    seats.mode === 'witnessed' ? accomplices.colluding / operators : 1 - drawnProbability(accomplices, seats.n, 0);
  return Math.max(0, 1 - captureOf(seats, accomplices) / seated);
}
