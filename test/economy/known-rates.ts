/** The audit rate in a world, as the gateway finds it; kept by what it depends on, for it is asked for by the million. */
import type { DetectionTable } from '../../gateway/audit/detection.ts';
import { type AuditRules, auditRate, type Incentive } from '../../gateway/audit/equilibrium.ts';
import { C_NANO, PRICES_NANO } from './answer-prices.ts';

/** How often a provider is audited: by the equilibrium, or at a rate that an experiment sets. */
export type RatePolicy =
  | { readonly kind: 'equilibrium'; readonly table: DetectionTable; readonly rules: AuditRules }
  | { readonly kind: 'fixed'; readonly ppm: number };

/** What a rate depends on. */
export interface RatedWorld {
  readonly stakeNano: bigint;
  readonly rate: RatePolicy;
  /** Probability that an auditor is an accomplice. */
  readonly collusionPpm: number;
  /** Answers until an audit has landed: uniform from 0 to this; the stake is frozen when it lands. */
  readonly lagMax: number;
}

/** Rates by audits passed, length and retained pay, of all lives in one world. */
const knownRates = new WeakMap<RatedWorld, Map<string, number>>();

/** Audits passed that count one by one; beyond, by steps of a twentieth. */
const RECORD_EXACT = 200;
const RECORD_STEP = 1.05;

/** @param length index in `LENGTHS` @param passed audits @returns millionths */
export function ratePpmOf(world: RatedWorld, length: number, passed: number, retainedNano: bigint): number {
  const { rate, stakeNano, collusionPpm, lagMax } = world;
  if (rate.kind === 'fixed') return rate.ppm;
  const rates = knownRates.get(world) ?? new Map<string, number>();
  knownRates.set(world, rates);
  // To a whole price, and a long record to a twentieth, rounded down: a rate that is a little high.
  const retained = retainedNano / C_NANO;
  const record =
    passed < RECORD_EXACT ? passed : Math.floor(RECORD_STEP ** Math.floor(Math.log(passed) / Math.log(RECORD_STEP)));
  const key = `${record} ${length} ${retained}`;
  const known = rates.get(key);
  if (known !== undefined) return known;
  const incentive: Incentive = {
    priceNano: PRICES_NANO[length]!,
    stakeNano,
    freeNano: stakeNano,
    lagNano: C_NANO * BigInt(lagMax + 1),
    retainedNano: retained * C_NANO,
    collusionPpm,
  };
  const { ratePpm } = auditRate(incentive, { passed: record, isFlagged: false }, rate.table, rate.rules);
  rates.set(key, ratePpm);
  return ratePpm;
}
