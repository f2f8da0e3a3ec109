/** Honest providers in large numbers, as bad as their calibration allows: nobody may be convicted. */
import { type EvidenceAccount, feed, openAccount, standingOf } from '#protocol/evidence-account';
import { BETS } from '#protocol/wealth';
import { MarginMaker } from '../bench/nulls/margins.ts';
import { MARGIN_BETS } from '../bench/nulls/pool.ts';
import { poolOf, SCENARIOS } from '../bench/nulls/scenarios.ts';

export interface HonestCounts {
  readonly scenario: string;
  readonly audits: number;
  readonly providers: number;
  readonly quarantined: number;
  readonly slashed: number;
  readonly largestWealth: number;
}

const AUDITORS = ['auditor-a', 'auditor-b', 'auditor-c'] as const;
const CLIENTS = 20;
/** Share of the gateway's own requests. */
const OWN_SHARE = 0.2;

/** Scenarios of `bench:nulls` in turn, each with its share of the audits. @param perProvider audits of one provider */
export function auditHonest(audits: number, perProvider: number, scenarios = SCENARIOS): HonestCounts[] {
  const providers = Math.ceil(audits / perProvider / scenarios.length);
  return scenarios.map((scenario) => {
    const maker = new MarginMaker(scenario, poolOf(scenario.law), scenario.seed + 1);
    const counts = { quarantined: 0, slashed: 0, largestWealth: 1 };
    for (let provider = 0; provider < providers; provider++) {
      const account = openAccount();
      let [isQuarantined, isSlashed] = [false, false];
      let wealth = 1;
      for (let audit = 0; audit < perProvider; audit++) {
        const standing = next(account, maker, audit, wealth);
        const { stage } = standing;
        wealth = standing.wealth;
        counts.largestWealth = Math.max(counts.largestWealth, wealth);
        if (stage !== 'clear') isQuarantined = true;
        if (stage === 'slash') isSlashed = true;
      }
      if (isQuarantined) counts.quarantined++;
      if (isSlashed) counts.slashed++;
    }
    return { scenario: scenario.name, audits: providers * perProvider, providers, ...counts };
  });
}

function next(account: EvidenceAccount, maker: MarginMaker, audit: number, wealth: number) {
  maker.next(wealth);
  // The pool's responses are bet on by their margins; all other factors are 1.
  const factors = BETS.map((_, i) => (i < MARGIN_BETS.length ? maker.factors[i]! : 1));
  const { rng } = maker;
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
