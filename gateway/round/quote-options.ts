/** Every policy that could be seated now, with what it costs and is worth: what a quote's target chooses from (spec-money.md §11.12). Pure. */
import type { AuditTerms } from '#protocol/audit';
import type { SnapshotEntry } from '#protocol/draw';
import { PPM } from '#protocol/log';
import { POLICY_MODES_SERVED, type Policy, WITNESSED_AGREE_MIN } from '#protocol/policy';
import { isAlone } from '#protocol/policy-values';
import { SEATS_MAX } from '#protocol/schema';
import { cheapestOf, type PolicyOption, type SecurityTarget } from '../audit/cheapest.ts';
import { auditCollusionPpm, poolOf } from '../audit/collusion.ts';
import { captureOf, cheatLossNano } from '../audit/figures.ts';
import { finalitySecondsOf, roundedUp } from './security.ts';

export interface QuotedOption extends PolicyOption {
  readonly policy: Policy;
  readonly security: Readonly<Record<string, string | number>>;
}

export interface OptionFacts {
  /** What the request asks for beside the policy: release, filter and the rest stay. */
  readonly policy: Policy;
  /** Of the operators that can be seated, one entry each, the weakest of its own. */
  readonly entries: readonly SnapshotEntry[];
  /** What an audited answer would promise, and what the best cheat loses by one where so many auditors are accomplices. */
  readonly audit: AuditTerms | null;
  readonly auditLossNanoOf: (collusionPpm: number) => bigint;
  /** The quote of the same request under another policy. @throws {ProtocolError} where no account could hold it */
  readonly quoteNanoOf: (policy: Policy) => bigint;
}

/** @returns null where no policy that can be seated meets the target */
export function cheapestPolicy(facts: OptionFacts, target: SecurityTarget): QuotedOption | null {
  return cheapestOf(optionsOf(facts, target.colludingShare), target);
}

function optionsOf(
  { policy, entries, audit, auditLossNanoOf, quoteNanoOf }: OptionFacts,
  share: number,
): QuotedOption[] {
  const stakes = entries.map(({ stakeNano }) => BigInt(stakeNano)).sort((a, b) => (a < b ? -1 : 1));
  const pool = poolOf(stakes.length, share);
  const bare = { ...policy, threshold: null, maxCostNano: null, evidence: undefined, auditRate: undefined };
  const single: Policy = { ...bare, mode: 'single', n: 1, agree: 1 };
  const seatNano = quoteNanoOf(single);
  const lone = { seatNano, stakeNano: stakes[0]! };
  return policiesOf(bare, stakes.length).map((asked) => {
    const quoteNano = quoteNanoOf(asked);
    const captureProbability = captureOf(asked, pool);
    const stakeAtRiskNano = stakes.slice(0, asked.n).reduce((sum, stake) => sum + stake, 0n);
    const terms = asked.mode === 'audited' ? audit : null;
    const finalitySeconds = finalitySecondsOf(terms);
    const lossNano = terms === null ? cheatLossNano(asked, pool, lone) : auditLossNanoOf(auditCollusionPpm(pool));
    const priceMultiple = seatNano === 0n ? asked.n : Number((quoteNano * 1000n + seatNano - 1n) / seatNano) / 1000;
    return {
      policy: asked,
      quoteNano,
      priceMultiple,
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
        ...(terms === null ? {} : { audit_rate: terms.ppm / PPM }),
        finality_seconds: finalitySeconds,
      },
    };
  });
}

/** Every mode and size that the operators suffice for, with every number of seats that may have to agree. */
function policiesOf(bare: Policy, operators: number): Policy[] {
  return POLICY_MODES_SERVED.flatMap((mode) => {
    // Of an audited answer another operator than the one that answers must be left.
    if (mode === 'audited' && operators < 2) return [];
    const most = isAlone(mode) ? Math.min(1, operators) : Math.min(SEATS_MAX, operators);
    const sizes = Array.from({ length: most }, (_, i) => i + 1).filter((n) => isAlone(mode) || n > 1);
    return sizes.flatMap((n) => {
      const least = n === 1 ? 1 : WITNESSED_AGREE_MIN;
      return Array.from({ length: n - least + 1 }, (_, i): Policy => ({ ...bare, mode, n, agree: least + i }));
    });
  });
}
