/** What a policy buys, in numbers that follow from the network's state: the `assay-security` header (DESIGN §9). Pure. */
import type { AuditTerms } from '#protocol/audit';
import type { Snapshot } from '#protocol/draw';
import type { Address } from '#protocol/hash';
import { PPM } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import type { AuditWorth } from '../audit/cheat-loss.ts';
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
  /** What that is worth against who may answer; null in modes that have none. */
  readonly auditWorth: AuditWorth | null;
  readonly limits: FinalityLimits;
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
  const { auditWorth } = offered;
  const lossNano = auditWorth?.lossNano ?? cheatLossNano(policy, pool, { seatNano: offered.seatNano, stakeNano });
  return {
    seats: policy.n,
    agree: policy.agree,
    stake_at_risk_nano: stakeAtRiskNano(snapshot, seats).toString(),
    operators: pool.operators,
    colluding_operators: pool.colluding,
    colluding_share: COLLUDING_SHARE,
    capture_probability: roundedUp(captureOf(policy, pool)),
    cheat_loss_nano: lossNano.toString(),
    ...undeterredOf(auditWorth),
    price_multiple: offered.priceMultiple,
    ...(offered.unprotected ? { unprotected: offered.unprotected } : {}),
    ...(offered.audit === null ? {} : { audit_rate: offered.audit.ppm / PPM }),
    finality_seconds: finalitySecondsOf(policy, offered.limits),
  };
}

/** Names of cheats that lose nothing, where there are any. */
export function undeterredOf(worth: AuditWorth | null): { readonly undeterred?: string } {
  return worth === null || worth.undeterred.length === 0 ? {} : { undeterred: worth.undeterred.join(' ') };
}

/** What decides until when an answer can still be found wrong; in milliseconds. */
export interface FinalityLimits {
  readonly requestMs: number;
  readonly retentionMs: number;
  readonly reexamineMs: number;
  readonly audits: { readonly withinMs: number };
}

/**
 * Seconds from an answer until nothing looks at it any more that could find it wrong (spec-money.md §11.12); what was found by then has its dispute and appeal.
 * Of a committee's answer each seat that was late is heard for as long as a request at most, one after the other: of all seats and their replacements those that do not stand behind it. Any other answer
 * is kept for examinations and re-examinations, and each look at one that is begun on the last day has as long as an audit.
 */
export function finalitySecondsOf(
  { mode, n, agree }: Pick<Policy, 'mode' | 'n' | 'agree'>,
  limits: FinalityLimits,
): number {
  const { requestMs, retentionMs, reexamineMs, audits } = limits;
  if (mode === 'quorum' && n > 1) return Math.ceil(((2 * n - agree) * requestMs) / 1000);
  const keptMs = Math.min(reexamineMs, retentionMs);
  const looks = [mode === 'audited' ? audits.withinMs : 0, keptMs === 0 ? 0 : keptMs + audits.withinMs];
  return Math.ceil(Math.max(...looks) / 1000);
}

/** To thousandths. @param probability 0 to 1 */
export function roundedUp(probability: number): number {
  return Math.ceil(probability * PROBABILITY_SCALE - 1e-9) / PROBABILITY_SCALE;
}
