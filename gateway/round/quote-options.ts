/** Every policy that could be seated now, with what it costs and is worth: what a quote's target chooses from (spec-money.md §11.12). Pure. */
import type { AuditTerms } from '#protocol/audit';
import type { SnapshotEntry } from '#protocol/draw';
import { PPM } from '#protocol/log';
import { POLICY_MODES_SERVED, type Policy, WITNESSED_AGREE_MIN } from '#protocol/policy';
import { isAlone } from '#protocol/policy-values';
import { SEATS_MAX } from '#protocol/schema';
import type { AuditOffer } from '../audit/audit-terms.ts';
import { cheapestOf, type PolicyOption, type SecurityTarget } from '../audit/cheapest.ts';
import type { AuditWorth } from '../audit/cheat-loss.ts';
import { auditCollusionPpm, type OperatorPool, poolOf } from '../audit/collusion.ts';
import { captureOf, cheatLossNano } from '../audit/figures.ts';
import { roundedUp, undeterredOf } from './security.ts';

export interface QuotedOption extends PolicyOption {
  readonly policy: Policy;
  readonly security: Readonly<Record<string, string | number>>;
}

export interface OptionFacts {
  /** What the request asks for beside the policy: release, filter and the rest stay. */
  readonly policy: Policy;
  /** Of the operators that can be seated, one entry each, the weakest of its own. */
  readonly entries: readonly SnapshotEntry[];
  /** What audited answers could promise. */
  readonly audits: AuditOffer | null;
  /** The quote of the same request under another policy, with what it promises. @throws {ProtocolError} where no account could hold it */
  readonly quoteNanoOf: (policy: Policy, terms: AuditTerms | null) => bigint;
  readonly finalitySecondsOf: (policy: Policy) => number;
}

/** A policy, and of an audited one the offer at its rate. */
interface Candidate {
  readonly policy: Policy;
  readonly offer: AuditOffer | null;
}

/** What all options are measured by. */
interface Scale {
  readonly pool: OperatorPool;
  /** In rising order. */
  readonly stakes: readonly bigint[];
  /** The quote of one seat alone. */
  readonly seatNano: bigint;
}

/** Rates that a policy can ask for are thousandths. */
const RATE_STEPS = 1_000;
const STEP_PPM = PPM / RATE_STEPS;

/** @returns null where no policy that can be seated meets the target */
export function cheapestPolicy(facts: OptionFacts, target: SecurityTarget): QuotedOption | null {
  return cheapestOf(optionsOf(facts, target), target);
}

function optionsOf(facts: OptionFacts, target: SecurityTarget): QuotedOption[] {
  const { policy, entries, quoteNanoOf } = facts;
  const stakes = entries.map(({ stakeNano }) => BigInt(stakeNano)).sort((a, b) => (a < b ? -1 : 1));
  const pool = poolOf(stakes.length, target.colludingShare);
  const bare = { ...policy, threshold: null, maxCostNano: null, evidence: undefined, auditRate: undefined };
  const seatNano = quoteNanoOf({ ...bare, mode: 'single', n: 1, agree: 1 }, null);
  const scale = { pool, stakes, seatNano };
  const compared = policiesOf(bare, stakes.length).map((one) => ({ policy: one, offer: null }));
  return [...compared, ...auditedCandidates(facts, bare, scale, target)].map((one) =>
    optionOf(facts, one, scale, target.colludingShare),
  );
}

function optionOf(facts: OptionFacts, candidate: Candidate, scale: Scale, share: number): QuotedOption {
  const { policy, offer } = candidate;
  const { pool, stakes, seatNano } = scale;
  const terms = offer?.most ?? null;
  const quoteNano = facts.quoteNanoOf(policy, terms);
  const captureProbability = captureOf(policy, pool);
  const stakeAtRiskNano = stakes.slice(0, policy.n).reduce((sum, stake) => sum + stake, 0n);
  const finalitySeconds = facts.finalitySecondsOf(policy);
  const worth = offer && worthAt(facts, offer, pool);
  const lossNano = worth?.lossNano ?? cheatLossNano(policy, pool, { seatNano, stakeNano: stakes[0]! });
  return {
    policy,
    quoteNano,
    priceMultiple: multipleOf(quoteNano, scale, policy),
    captureProbability,
    stakeAtRiskNano,
    cheatLossNano: lossNano,
    finalitySeconds,
    security: {
      stake_at_risk_nano: stakeAtRiskNano.toString(),
      colluding_share: share,
      colluding_operators: pool.colluding,
      operators: pool.operators,
      capture_probability: roundedUp(captureProbability),
      cheat_loss_nano: lossNano.toString(),
      ...undeterredOf(worth),
      ...(terms === null ? {} : { audit_rate: terms.ppm / PPM }),
      finality_seconds: finalitySeconds,
    },
  };
}

function multipleOf(quoteNano: bigint, { seatNano }: Scale, { n }: Policy): number {
  return seatNano === 0n ? n : Number((quoteNano * 1000n + seatNano - 1n) / seatNano) / 1000;
}

function worthAt({ entries }: OptionFacts, offer: AuditOffer, pool: OperatorPool): AuditWorth {
  return offer.worthOf(entries, auditCollusionPpm(pool));
}

/**
 * An audited answer at the rates of its own, at the least at which cheating loses, and at the most that the target's price allows: with the rate both price and loss rise
 * (`examinedLossNano` and `lossByAnswerNano` are one quotient each), and nothing else of a policy changes, so that no rate between them is cheaper or safer within the target.
 */
function auditedCandidates(facts: OptionFacts, bare: Policy, scale: Scale, target: SecurityTarget): Candidate[] {
  const { audits, quoteNanoOf } = facts;
  // Another operator than the one that answers must be left.
  if (audits === null || scale.stakes.length < 2) return [];
  const own: Policy = { ...bare, mode: 'audited', n: 1, agree: 1 };
  const at = (step: number): Candidate =>
    step === 0
      ? { policy: own, offer: audits.asking(0) }
      : { policy: { ...own, auditRate: step / RATE_STEPS }, offer: audits.asking(step * STEP_PPM) };
  const deters = (step: number) => worthAt(facts, at(step).offer!, scale.pool).lossNano > 0n;
  const isDear = (step: number) => {
    const { policy, offer } = at(step);
    const quoteNano = quoteNanoOf(policy, offer!.most);
    const { maxCostNano, priceMultipleMax } = target;
    const isAbove = maxCostNano !== null && quoteNano > maxCostNano;
    return isAbove || (priceMultipleMax !== null && multipleOf(quoteNano, scale, policy) > priceMultipleMax);
  };
  const least = firstStep(deters);
  const dear = firstStep(isDear);
  const most = dear === null ? RATE_STEPS : dear - 1;
  const steps = [0, ...(least === null ? [] : [least]), ...(most < 0 ? [] : [most])];
  return [...new Set(steps)].map(at);
}

/** The first of all steps at which something holds that holds from there on; null where it never does. */
function firstStep(holds: (step: number) => boolean): number | null {
  if (!holds(RATE_STEPS)) return null;
  let [below, first] = [-1, RATE_STEPS];
  while (first - below > 1) {
    const middle = Math.floor((below + first) / 2);
    if (holds(middle)) first = middle;
    else below = middle;
  }
  return first;
}

/** Every other mode and size that the operators suffice for, with every number of seats that may have to agree. */
function policiesOf(bare: Policy, operators: number): Policy[] {
  return POLICY_MODES_SERVED.filter((mode) => mode !== 'audited').flatMap((mode) => {
    const most = isAlone(mode) ? Math.min(1, operators) : Math.min(SEATS_MAX, operators);
    const sizes = Array.from({ length: most }, (_, i) => i + 1).filter((n) => isAlone(mode) || n > 1);
    return sizes.flatMap((n) => {
      const least = n === 1 ? 1 : WITNESSED_AGREE_MIN;
      return Array.from({ length: n - least + 1 }, (_, i): Policy => ({ ...bare, mode, n, agree: least + i }));
    });
  });
}
