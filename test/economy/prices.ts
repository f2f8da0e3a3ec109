/** What clients pay for hidden audits, by stake and record. */
import type { DetectionTable } from '../../gateway/audit/detection.ts';
import { AUDIT_RULES, auditRate, type Incentive } from '../../gateway/audit/equilibrium.ts';
import { jobPrice } from '../../gateway/ledger/price.ts';
import { rounded } from './statistics.ts';
import { auditSurchargeNano } from './surcharge.ts';

/** The demo's prices; a prompt as long as the answer, so that scoring reads twice the answer. */
const PRICE = { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n };
const TOKENS = 256;

export interface PriceRow {
  readonly table: string;
  readonly stake: number;
  /** Answers that may be served until an audit has landed. */
  readonly lag: number;
  /** Answers of which a provider's pay is retained once it has a record; a new one has none. */
  readonly payDelay: number;
  readonly newPpm: number;
  readonly recordPpm: number;
  /** The whole price over that of a single answer. */
  readonly newMultiple: number;
  readonly recordMultiple: number;
  readonly undeterred: readonly string[];
}

/** Audits that a good record has passed. */
export const GOOD_RECORD = 500;

export function priceRow(
  name: string,
  table: DetectionTable,
  stake: number,
  collusionPpm: number,
  lagAnswers: number,
  payDelay: number,
): PriceRow {
  const work = { inputTokens: TOKENS, outputTokens: TOKENS, scoredTokens: 0 };
  const priceNano = jobPrice(PRICE, work).chargeNano;
  const scoreNano = jobPrice(PRICE, { ...work, outputTokens: 0, scoredTokens: TOKENS }).chargeNano;
  const stakeNano = priceNano * BigInt(stake);
  const lagNano = priceNano * BigInt(lagAnswers);
  const incentive: Incentive = { priceNano, stakeNano, freeNano: stakeNano, lagNano, collusionPpm };
  const at = (passed: number, retained: number) => {
    const retainedNano = priceNano * BigInt(retained);
    return auditRate({ ...incentive, retainedNano }, { passed, isFlagged: false }, table, AUDIT_RULES);
  };
  const multiple = (ratePpm: number) => {
    const surcharge = auditSurchargeNano({ scoreNano, regenerationNano: priceNano }, ratePpm);
    return rounded(1 + Number(surcharge) / Number(priceNano));
  };
  const [fresh, known] = [at(0, 0), at(GOOD_RECORD, payDelay)];
  return {
    table: name,
    stake,
    lag: lagAnswers,
    payDelay,
    newPpm: fresh.ratePpm,
    recordPpm: known.ratePpm,
    newMultiple: multiple(fresh.ratePpm),
    recordMultiple: multiple(known.ratePpm),
    undeterred: known.undeterred,
  };
}
