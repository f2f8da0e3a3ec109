/** What a policy buys, in numbers that follow from the network's state: the `assay-security` header (DESIGN §9). Pure. */
import type { AuditTerms } from '#protocol/audit';
import type { Snapshot } from '#protocol/draw';
import type { Address } from '#protocol/hash';
import { PPM } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import { poolOf } from '../audit/collusion.ts';
import { captureOf, cheatLossNano } from '../audit/figures.ts';
import { generatingSeats } from './chunk-plan.ts';
import { coverKind, type HoldDeps } from './hold-times.ts';

/** Share of the operators that is assumed to collude when the capture probability is quoted. */
export const COLLUDING_SHARE = 0.2;
/** Digits of the quoted probability; it is rounded up, so that no policy claims to be safe from everything. */
const PROBABILITY_SCALE = 1000;

/** Stake of the seats that is at risk, in nano-units, capped as the draw caps it. */
export function stakeAtRiskNano(snapshot: Snapshot, seats: readonly Address[]): bigint {
  return snapshot.entries
    .filter((entry) => seats.includes(entry.address))
    .reduce((sum, entry) => sum + BigInt(entry.stakeNano), 0n);
}

/** What is known of the request's price and of who can be drawn. */
export interface Offered {
  /** The quote over that of one seat alone, and the latter. */
  readonly priceMultiple: number;
  readonly seatNano: bigint;
  /** Operators that the policy admits. */
  readonly operators: number;
  /** What is promised of audits; null in modes that have none. */
  readonly audit: AuditTerms | null;
  /** What the best cheat that audits know of loses by an answer; null in modes that have none. */
  readonly auditLossNano: bigint | null;
  /** Why a lone member can tell that it is one; absent where it cannot. */
  readonly unprotected?: string | null;
}

/**
 * Why a member that sits alone can tell so by how soon it is permitted to open, or null: the operator has switched covers off, or too few
 * committees are known yet to lend it one.
 */
export function unprotectedBy(
  { cover }: HoldDeps,
  { mode, n }: Pick<Policy, 'mode' | 'n'>,
  order: Parameters<typeof coverKind>[0],
): 'cover_off' | 'cover_unknown' | null {
  if (generatingSeats({ mode, n }) > 1) return null;
  if (cover === undefined || cover.maxMs === 0) return 'cover_off';
  return cover.covers.isKnown(coverKind(order)) ? null : 'cover_unknown';
}

/** Header members, all known before anything is generated. */
export function securityOf(
  policy: Policy,
  snapshot: Snapshot,
  seats: readonly Address[],
  offered: Offered,
): Readonly<Record<string, string | number>> {
  const pool = poolOf(offered.operators, COLLUDING_SHARE);
  const stakes = seats.map((seat) => stakeAtRiskNano(snapshot, [seat]));
  const stakeNano = stakes.reduce((least, stake) => (stake < least ? stake : least), stakes[0] ?? 0n);
  const lossNano = offered.auditLossNano ?? cheatLossNano(policy, pool, { seatNano: offered.seatNano, stakeNano });
  return {
    seats: policy.n,
    agree: policy.agree,
    stake_at_risk_nano: stakeAtRiskNano(snapshot, seats).toString(),
    operators: pool.operators,
    colluding_operators: pool.colluding,
    colluding_share: COLLUDING_SHARE,
    capture_probability: roundedUp(captureOf(policy, pool)),
    cheat_loss_nano: lossNano.toString(),
    price_multiple: offered.priceMultiple,
    ...(offered.unprotected ? { unprotected: offered.unprotected } : {}),
    ...(offered.audit === null ? {} : { audit_rate: offered.audit.ppm / PPM }),
    finality_seconds: finalitySecondsOf(offered.audit),
  };
}

/** Until nothing of the policy's own can say any more that the answer was wrong. */
export function finalitySecondsOf(audit: AuditTerms | null): number {
  return audit === null ? 0 : Math.ceil(audit.withinMs / 1000);
}

/** To thousandths. @param probability 0 to 1 */
export function roundedUp(probability: number): number {
  return Math.ceil(probability * PROBABILITY_SCALE - 1e-9) / PROBABILITY_SCALE;
}
