/**
 * How often a lone provider must be audited for cheating to lose money (spec-money.md §11.11; DESIGN §9 `audited`). Pure.
 *
 * Derivation. A provider serves answers of the price P one by one. It cheats on a share φ of them and saves s·P on each, so g = φ·s·P an
 * answer. Every answer is audited with probability p, independently and unseen; the auditor colludes with probability f, and then
 * the audit finds nothing. K honest audits convict it on average. So a conviction takes K / (p·(1 − f)) answers on average (Wald's identity:
 * audits are drawn independently of what was answered). Until the slash is frozen it serves answers of the value V more, and saves
 * φ·s·V on them. It loses the slash σ. It loses money wherever
 *
 *     g·K / (p·(1 − f)) + φ·s·V < σ + R,   that is   p > g·K / ((1 − f)·(σ + R − φ·s·V)).
 *
 * R is the pay for answers of lone seats that has not left yet: a conviction takes it beside the slash (spec-money.md §11.8). It stays for longer than an audit
 * takes, so that it contains the pay for what was served meanwhile, which is more than what was saved on it. With K = 1/d, R = V = 0 this is p > g / (d·(1 − f)·S), the condition of "Proof of Sampling" (2405.00295) without its reward term: the
 * audit comes after the pay, so no reward is left to be lost. V is the condition S ≥ g·(1/(p·d·(1 − f)) + L) of the networks reference, with L
 * answers counted by their value, so that large and small requests weigh as they should.
 *
 * The price is that of this very request: who cheats only on long answers is audited there more often, in proportion to what it saves.
 * What is outside of it: a provider that stops before it is convicted keeps what it has taken. Where one audit convicts there is no
 * such moment (every next answer loses by itself); where K is large there is, and `takenNano` bounds what it keeps.
 */
import { PPM } from '#protocol/log';
import { penaltyNano } from '../ledger/penalties.ts';
import { isForfeiting } from '../ledger/retained.ts';
import type { CheatFigures, DetectionTable } from './detection.ts';

const MILLION = BigInt(PPM);
const MILLI = 1_000n;

/** The operator's side of the rate; millionths. */
export interface AuditRules {
  /** No provider is audited less: figures may be wrong, and records have to grow. */
  readonly floorPpm: number;
  /** None is audited more, whatever deterrence asks for: bounds the price. */
  readonly ceilingPpm: number;
  /** What the equilibrium is multiplied by for a provider with a long record, at least 1,000,000. */
  readonly marginPpm: number;
  /** The same for one without a record, at least `marginPpm`. */
  readonly newPpm: number;
  /** Passed audits after which half of the difference is gone, at least 1. */
  readonly recordHalf: number;
}

/**
 * Floor 1%: at a price of four tenths for a score it costs 0.4%. Ceiling 25%: costs a tenth. A margin of a quarter, so that a table that is wrong by
 * a quarter still deters. New: four times the equilibrium, halved by 20 audits: some hundred answers at the rates of a stake of 100 requests.
 */
export const AUDIT_RULES: AuditRules = Object.freeze({
  floorPpm: 10_000,
  ceilingPpm: 250_000,
  marginPpm: 1_250_000,
  newPpm: 4_000_000,
  recordHalf: 20,
});

/** What the provider stands to win and lose. */
export interface Incentive {
  /** What the answer of one seat costs, at most; above 0. */
  readonly priceNano: bigint;
  /** The bonded stake, frozen parts included: what `penaltyNano` takes a share of. */
  readonly stakeNano: bigint;
  /** What of it no other dispute has frozen: no slash takes more. */
  readonly freeNano: bigint;
  /** Price of all that it may serve between an answer and the moment at which a slash for it is frozen: in flight, and until the audit has run. */
  readonly lagNano: bigint;
  /** Pay that a conviction takes beside the slash; absent where none is retained. */
  readonly retainedNano?: bigint;
  /** Lone answers whose pay, all of it, waits for the provider's first examination; absent where none is ahead. The rate does not go by it. */
  readonly waiting?: number;
  /** Probability that the auditor is an accomplice, in millionths. */
  readonly collusionPpm: number;
}

/** What is known of the provider. */
export interface AuditRecord {
  /** Audits that it passed since it came, or since it was last flagged. */
  readonly passed: number;
  /** Under suspicion: it is audited at the ceiling. */
  readonly isFlagged: boolean;
}

export interface AuditRate {
  /** Probability of an audit, in millionths. */
  readonly ratePpm: number;
  /** The least rate at which every cheat of the table loses money; null where no rate does. */
  readonly equilibriumPpm: number | null;
  /** Cheats that pay at this rate, so that nobody takes the rate for more than it is. */
  readonly undeterred: readonly string[];
}

/**
 * The rate for one provider and one request.
 * INVARIANT: never below min(equilibrium, ceiling), whatever the record: a record is no stake.
 * @throws {RangeError} on figures out of range
 */
export function auditRate(
  incentive: Incentive,
  record: AuditRecord,
  table: DetectionTable,
  rules: AuditRules = AUDIT_RULES,
): AuditRate {
  checkIncentive(incentive);
  checkRules(rules);
  const needs = table.cheats.map((cheat) => neededPpm(incentive, cheat));
  const equilibriumPpm = needs.some((need) => need === null) ? null : Math.max(0, ...needs.map((need) => need!));
  const wanted =
    record.isFlagged || equilibriumPpm === null
      ? rules.ceilingPpm
      : Math.ceil((equilibriumPpm * multiplePpm(record.passed, rules)) / PPM);
  const ratePpm = Math.min(rules.ceilingPpm, Math.max(rules.floorPpm, wanted));
  const undeterred = table.cheats.flatMap(({ cheat }, i) => {
    const need = needs[i]!;
    return need === null || need > ratePpm ? [cheat] : [];
  });
  return { ratePpm, equilibriumPpm, undeterred: [...new Set(undeterred)] };
}

/** The least rate at which this cheat loses money, 0 where it saves nothing; null where not even auditing everything makes it lose. */
export function neededPpm(incentive: Incentive, cheat: CheatFigures): number | null {
  const gain = savedBy(cheat, incentive.priceNano) * BigInt(cheat.auditsMilli);
  if (gain === 0n) return 0;
  const left = (lossNano(incentive, cheat) * MILLION * MILLION - savedBy(cheat, incentive.lagNano)) * MILLI;
  const honest = MILLION - BigInt(incentive.collusionPpm);
  if (left <= 0n || honest === 0n) return null;
  // Millionths, hence twice: of the rate and of the share of honest auditors. One more than the quotient, so that it is a loss and not a draw.
  const needed = (gain * MILLION * MILLION) / (left * honest) + 1n;
  return needed > MILLION ? null : Number(needed);
}

/**
 * What a provider that goes on cheating is expected to win until it is convicted, less what it loses by that; negative where cheating
 * does not pay. Rounded up.
 * @returns null where it is never convicted, and wins for ever
 */
export function runProfitNano(incentive: Incentive, cheat: CheatFigures, ratePpm: number): bigint | null {
  const taken = takenNano(incentive, cheat, ratePpm);
  return taken === null ? null : taken - lossNano(incentive, cheat);
}

/**
 * What it is expected to lose by each answer that it cheats on, less what it saves by it; negative where cheating pays. Rounded down. A conviction
 * comes once in K / (p·(1 − f)) answers, of which it cheats on φ.
 */
export function lossByAnswerNano(incentive: Incentive, cheat: CheatFigures, ratePpm: number): bigint {
  const left = lossNano(incentive, cheat) * MILLION * MILLION - savedBy(cheat, incentive.lagNano);
  const found = BigInt(ratePpm) * (MILLION - BigInt(incentive.collusionPpm)) * MILLI;
  const answers = BigInt(cheat.auditsMilli) * BigInt(cheat.fractionPpm);
  const savedNano = ceilDiv(incentive.priceNano * BigInt(cheat.savedPpm), MILLION);
  const [dividend, divisor] = [left * found, answers * MILLION * MILLION * MILLION];
  return (dividend >= 0n ? dividend / divisor : -ceilDiv(-dividend, divisor)) - savedNano;
}

/**
 * What it is expected to have saved by the time its slash is frozen, rounded up; who leaves earlier leaves with less.
 * @returns null where it is never convicted
 */
export function takenNano(incentive: Incentive, cheat: CheatFigures, ratePpm: number): bigint | null {
  const found = BigInt(ratePpm) * (MILLION - BigInt(incentive.collusionPpm));
  const saved = savedBy(cheat, incentive.priceNano);
  if (found === 0n) return saved === 0n ? 0n : null;
  const before = ceilDiv(saved * BigInt(cheat.auditsMilli) * MILLION * MILLION, found * MILLI);
  return ceilDiv(before + savedBy(cheat, incentive.lagNano), MILLION * MILLION);
}

/** Answers, cheated or not, until the conviction, on average; infinite where it never comes. */
export function answersToConviction(incentive: Pick<Incentive, 'collusionPpm'>, cheat: CheatFigures, ratePpm: number) {
  return cheat.auditsMilli / 1000 / ((ratePpm / PPM) * (1 - incentive.collusionPpm / PPM));
}

/** What the conviction costs: the penalty of the fault, as far as stake is free. */
export function slashNano({ stakeNano, freeNano }: Incentive, { fault }: CheatFigures): bigint {
  const penalty = penaltyNano(fault, stakeNano);
  return penalty < freeNano ? penalty : freeNano;
}

/** The slash and the pay that goes with it. */
function lossNano(incentive: Incentive, cheat: CheatFigures): bigint {
  return slashNano(incentive, cheat) + (isForfeiting(cheat.fault) ? (incentive.retainedNano ?? 0n) : 0n);
}

/** What is saved on requests of this price, times 10^12. */
function savedBy({ fractionPpm, savedPpm }: CheatFigures, priceNano: bigint): bigint {
  return priceNano * BigInt(savedPpm) * BigInt(fractionPpm);
}

/** From `newPpm` down to `marginPpm` as audits are passed; never below. */
function multiplePpm(passed: number, { marginPpm, newPpm, recordHalf }: AuditRules): number {
  return marginPpm + Math.ceil(((newPpm - marginPpm) * recordHalf) / (recordHalf + Math.max(0, passed)));
}

function ceilDiv(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}

/** @throws {RangeError} on figures out of range */
export function checkIncentive(incentive: Incentive): void {
  const { priceNano, stakeNano, freeNano, lagNano, retainedNano = 0n, waiting = 0, collusionPpm } = incentive;
  if ([priceNano, stakeNano, freeNano, lagNano, retainedNano].some((amount) => amount < 0n))
    throw new RangeError('negative amount');
  if (!Number.isSafeInteger(waiting) || waiting < 0) throw new RangeError('"waiting" out of range');
  if (!isShare(collusionPpm)) throw new RangeError('"collusionPpm" out of range');
}

function checkRules({ floorPpm, ceilingPpm, marginPpm, newPpm, recordHalf }: AuditRules): void {
  if (!isShare(floorPpm) || !isShare(ceilingPpm) || floorPpm > ceilingPpm) throw new RangeError('floor above ceiling');
  if (marginPpm < PPM || newPpm < marginPpm || recordHalf < 1) throw new RangeError('a record may not go below 1');
}

function isShare(ppm: number): boolean {
  return Number.isInteger(ppm) && ppm >= 0 && ppm <= PPM;
}
