/** Honest providers in large numbers, by every way to be convicted: accounts with all their bets, and answers that convict by themselves. Nobody may be. */
import { type EvidenceAccount, feed, openAccount, standingOf } from '#protocol/evidence-account';
import { BETS } from '#protocol/wealth';
import { FACTOR_RULES } from '../../gateway/judge/factors.ts';
import { capped } from '../bench/nulls/fast-wealth.ts';
import type { MarginScenario } from '../bench/nulls/margins.ts';
import { OpenedMaker } from '../bench/nulls/opened.ts';
import { poolOf, SCENARIOS } from '../bench/nulls/scenarios.ts';
import { measuredScenarios, type SingleRules, singleFinding, WatchedMaker } from './honest-answers.ts';
import { copyFactorOf, openedFactors } from './honest-bets.ts';

export interface HonestCounts {
  readonly scenario: string;
  /** `bounds`: ranges as wide as a calibration allows, beyond all that was ever measured. `measured`: those of a calibrated pair. */
  readonly ranges: 'bounds' | 'measured';
  readonly audits: number;
  readonly providers: number;
  /** Providers whose account ever came to it. */
  readonly quarantined: number;
  readonly slashed: number;
  readonly largestWealth: number;
  /** Answers that a scorer rejects, and that convict by themselves then. */
  readonly rejected: number;
  readonly convicting: number;
}

/** One law of ranges, with the tolerances of its judges. */
export interface HonestScenario {
  readonly law: MarginScenario;
  readonly ranges: HonestCounts['ranges'];
  readonly rules: SingleRules;
}

/** Of the scenarios of `bench:nulls`, whose calibrations have the widest tie: margins count as rejections at the clip, evidence is grossly off by a logit. */
const WIDEST: SingleRules = { reject: 0.5, gross: 1 };

export const BOUNDED: readonly HonestScenario[] = SCENARIOS.map((law) => ({ law, ranges: 'bounds', rules: WIDEST }));

/** Every pair of the shipped calibration. */
export function measured(): HonestScenario[] {
  return measuredScenarios().map(({ law, rules }) => ({ law, rules, ranges: 'measured' }));
}

const AUDITORS = ['auditor-a', 'auditor-b', 'auditor-c'] as const;
const CLIENTS = 20;
const FIRST_OPENED = BETS.findIndex(({ test }) => test === 'opened');
/** Of the record. */
export const STRETCHES = [2, 5, 10, 20, 50] as const;
/** Share of the gateway's own requests. */
const OWN_SHARE = 0.2;

/** The scenarios in turn, each with its share of the audits. @param perProvider audits of one provider */
export function auditHonest(
  audits: number,
  perProvider: number,
  scenarios: readonly HonestScenario[] = BOUNDED,
): HonestCounts[] {
  const providers = Math.ceil(audits / perProvider / scenarios.length);
  return scenarios.map((scenario) => auditScenario(scenario, providers, perProvider));
}

function auditScenario({ law, ranges, rules }: HonestScenario, providers: number, perProvider: number): HonestCounts {
  const maker = new WatchedMaker(law, poolOf(law.law), law.seed + 1);
  const opened = new OpenedMaker(law);
  const counts = { quarantined: 0, slashed: 0, largestWealth: 1, rejected: 0, convicting: 0 };
  for (let provider = 0; provider < providers; provider++) {
    const account = openAccount();
    let [isQuarantined, isSlashed, wealth] = [false, false, 1];
    for (let audit = 0; audit < perProvider; audit++) {
      const standing = next(account, { maker, opened }, audit, wealth);
      wealth = standing.wealth;
      counts.largestWealth = Math.max(counts.largestWealth, wealth);
      isQuarantined ||= standing.stage !== 'clear';
      isSlashed ||= standing.stage === 'slash';
      const { isRejected, conviction } = singleFinding(maker, rules);
      if (isRejected) counts.rejected++;
      if (conviction !== null) counts.convicting++;
    }
    if (isQuarantined) counts.quarantined++;
    if (isSlashed) counts.slashed++;
  }
  return { scenario: law.name, ranges, audits: providers * perProvider, providers, ...counts };
}

export interface StretchedCounts {
  /** How many times as wide as measured every range is. */
  readonly stretch: number;
  readonly answers: number;
  readonly rejected: number;
  readonly convicting: number;
}

/**
 * How much wider than measured ranges would have to be for one answer to convict.
 * @param answers of all pairs together @param pairs that are asked, the first ones of all that differ in what decides
 */
export function stretched(answers: number, stretch: number, pairs = Number.POSITIVE_INFINITY): StretchedCounts {
  const byLaw = new Map(
    measuredScenarios(stretch).map((one) => [JSON.stringify([one.law.law.ranges, one.rules, one.law.client]), one]),
  );
  const scenarios = [...byLaw.values()].slice(0, pairs);
  const each = Math.ceil(answers / scenarios.length);
  let [rejected, convicting] = [0, 0];
  for (const { law, rules } of scenarios) {
    const maker = new WatchedMaker(law, poolOf(law.law), law.seed + 2);
    for (let at = 0; at < each; at++) {
      maker.next(1);
      const { isRejected, conviction } = singleFinding(maker, rules);
      if (isRejected) rejected++;
      if (conviction !== null) convicting++;
    }
  }
  return { stretch, answers: each * scenarios.length, rejected, convicting };
}

interface Making {
  readonly maker: WatchedMaker;
  readonly opened: OpenedMaker;
}

function next(account: EvidenceAccount, { maker, opened }: Making, audit: number, wealth: number) {
  maker.next(wealth);
  const { rng } = maker;
  const ofOpened = openedFactors(opened, maker);
  const copied = copyFactorOf(rng);
  // In the order of the bets. Surprise is bet on where noise is unknown, and such machines are ordered at temperature 0 alone: nothing feeds it.
  const factors = BETS.map(({ test }, i) => {
    if (test === 'margin') return maker.factors[i]!;
    if (test === 'opened') return ofOpened[i - FIRST_OPENED]!;
    return test === 'copied' ? capped(copied, FACTOR_RULES.responseMax) : 1;
  });
  feed(account, {
    responseId: `${audit}`,
    promptId: `${audit}`,
    client: `client-${rng.below(CLIENTS)}`,
    own: rng.unit() < OWN_SHARE,
    operator: AUDITORS[rng.below(AUDITORS.length)]!,
    factors,
  });
  return standingOf(account);
}
