/** Settling disputed stake (SPEC.md §Money, "Disputes"); what freezes it: freezing.ts. */
import {
  BURN,
  clientAccount,
  earningsAccount,
  frozenAccount,
  RESERVE,
  stakeAccount,
  withheldAccount,
} from './accounts.ts';
import { least } from './least.ts';
import { BPS } from './penalties.ts';
import { type FreeStake, type Harmed, shareOut, takeInTurn } from './restitution.ts';
import type { Leg, Transfer } from './transfer.ts';
import { makeTransfer } from './transfer.ts';

export const RULINGS = ['upheld', 'rejected', 'abandoned'] as const;
export type Ruling = (typeof RULINGS)[number];

/**
 * Least share of a slash that is burnt: 20%. Everything else may come back to the loser through a client or a provider that it
 * also runs, so the burn is what a lie costs at least; set aside before anybody is paid.
 */
export const BURN_MIN_BPS = 2_000n;
/** Share of a slash for those who were right: 30%; with the burn, half a slash is left for client and reserve, who come first. */
export const REWARD_BPS = 3_000n;

/** How a slash is divided; operators may burn more, never less than BURN_MIN_BPS. */
export interface SlashSplit {
  readonly burnBps: bigint;
  readonly rewardBps: bigint;
}

export const DEFAULT_SPLIT: SlashSplit = { burnBps: BURN_MIN_BPS, rewardBps: REWARD_BPS };

export interface DisputeMoney {
  readonly disputeId: string;
  readonly provider: string;
  readonly ruling: Ruling;
  /** Null when the dispute is about no client's request (a canary, say). */
  readonly clientOwner: string | null;
  readonly frozenNano: bigint;
  /** The part of it that was retained pay, and goes back to the earnings; the rest is stake. */
  readonly frozenPayNano?: bigint;
  /** Pay of the disputed job, by who put it up. */
  readonly withheldClientNano: bigint;
  readonly withheldReserveNano: bigint;
  /** What the client paid for the request and has neither got back nor has withheld in a dispute. */
  readonly refundableNano: bigint;
  /** What the reserve paid for the request on account of the dispute and has not got back. */
  readonly recoverableNano: bigint;
  /** Providers whose transcripts or scores held up. The loser and the judges among them get nothing. */
  readonly right: readonly string[];
  /** Referees that ruled or whose score the ruling rests on. */
  readonly judges: readonly string[];
  readonly split: SlashSplit;
  /** Clients whose answers were overturned because of this conviction, in the order of their examination; none without. */
  readonly harmed?: readonly Harmed[];
  /** Where their money comes from when the slash does not suffice, in this order. */
  readonly freeStakes?: readonly FreeStake[];
}

/** What one request of another answer got of a settlement. */
export interface Restitution {
  readonly requestId: string;
  /** To its client. */
  readonly refundedNano: bigint;
  /** To the reserve. */
  readonly recoveredNano: bigint;
}

export interface DisputeSettlement {
  readonly transfer: Transfer;
  /** To the client: withheld pay and refund. */
  readonly refundedNano: bigint;
  /** To the reserve: withheld pay it had put up, and recovered costs. */
  readonly recoveredNano: bigint;
  /** The part of `recoveredNano` that counts against `recoverableNano`. */
  readonly madeGoodNano: bigint;
  readonly rewardEachNano: bigint;
  readonly rewarded: readonly string[];
  readonly burntNano: bigint;
  /** One for each of `harmed`, in its order. */
  readonly restitutions: readonly Restitution[];
}

/**
 * Ends a dispute: after `upheld` the slash goes to burn minimum, client, other harmed clients, reserve, those who were right, and burn
 * again, in that order, and withheld pay returns to who put it up; after any other ruling stake and pay go to the provider. What harmed
 * clients lack then comes out of free stake; where that does not suffice either, they share in proportion.
 * @throws {RangeError} when the split burns less than BURN_MIN_BPS or gives away more than everything
 */
export function settleDispute(dispute: DisputeMoney): DisputeSettlement {
  const { split } = dispute;
  if (split.burnBps < BURN_MIN_BPS || split.rewardBps < 0n || split.burnBps + split.rewardBps > BPS) {
    throw new RangeError('"split" expected a burn of at least 2,000 and at most 10,000 basis points in all');
  }
  return dispute.ruling === 'upheld' ? settleUpheld(dispute) : settleReturned(dispute);
}

function settleUpheld(dispute: DisputeMoney): DisputeSettlement {
  const slash = dispute.frozenNano;
  const burnFloor = (slash * dispute.split.burnBps + BPS - 1n) / BPS;
  let left = slash - burnFloor;
  const take = (wanted: bigint): bigint => {
    const taken = least(wanted, left);
    left -= taken;
    return taken;
  };
  const refund = take(dispute.clientOwner === null ? 0n : dispute.refundableNano);
  const harmed = dispute.harmed ?? [];
  const { refunds, legs: refundLegs } = payHarmed(dispute, take(owedTo(harmed)), dispute.freeStakes ?? []);
  const madeGoodNano = take(dispute.recoverableNano);
  const restitutions = harmed.map(({ requestId, recoverableNano }, i) => {
    return { requestId, refundedNano: refunds[i]!, recoveredNano: take(recoverableNano) };
  });
  const excluded = new Set([dispute.provider, ...dispute.judges]);
  const rewarded = [...new Set(dispute.right)].filter((provider) => !excluded.has(provider)).sort();
  const rewardPool = (slash * dispute.split.rewardBps) / BPS;
  const shares = BigInt(rewarded.length);
  const rewardEachNano = shares === 0n ? 0n : least(rewardPool, left) / shares;
  left -= rewardEachNano * shares;

  const frozen = frozenAccount(dispute.disputeId);
  const withheld = withheldAccount(dispute.disputeId);
  const client = dispute.clientOwner === null ? RESERVE : clientAccount(dispute.clientOwner);
  const legs: Leg[] = [
    { from: withheld, to: client, amountNano: dispute.withheldClientNano },
    { from: withheld, to: RESERVE, amountNano: dispute.withheldReserveNano },
    { from: frozen, to: client, amountNano: refund },
    ...refundLegs,
    { from: frozen, to: RESERVE, amountNano: madeGoodNano },
    ...restitutions.map(({ recoveredNano }) => ({ from: frozen, to: RESERVE, amountNano: recoveredNano })),
    ...rewarded.map((provider) => ({ from: frozen, to: earningsAccount(provider), amountNano: rewardEachNano })),
    { from: frozen, to: BURN, amountNano: burnFloor + left },
  ];
  return {
    transfer: disputeTransfer(dispute, legs),
    refundedNano: dispute.withheldClientNano + refund,
    recoveredNano: dispute.withheldReserveNano + madeGoodNano,
    madeGoodNano,
    rewardEachNano,
    rewarded,
    burntNano: burnFloor + left,
    restitutions,
  };
}

function owedTo(harmed: readonly Harmed[]): bigint {
  return harmed.reduce((sum, { owedNano }) => sum + owedNano, 0n);
}

/** @param ofSlash what of the slash is theirs; the rest comes out of the stakes, in their order */
function payHarmed(
  { disputeId, harmed = [] }: DisputeMoney,
  ofSlash: bigint,
  stakes: readonly FreeStake[],
): { refunds: readonly bigint[]; legs: Leg[] } {
  const taken = takeInTurn(owedTo(harmed) - ofSlash, stakes);
  const available = taken.reduce((sum, { nano }) => sum + nano, ofSlash);
  const refunds = shareOut(
    available,
    harmed.map(({ owedNano }) => owedNano),
  );
  const frozen = frozenAccount(disputeId);
  // Through the frozen account: what comes in here goes out at once, and only the ends of it are entered.
  const legs = [
    ...taken.map(({ account, nano }) => ({ from: account, to: frozen, amountNano: nano })),
    ...harmed.map(({ clientOwner }, i) => ({ from: frozen, to: clientAccount(clientOwner), amountNano: refunds[i]! })),
  ];
  return { refunds, legs };
}

/** A conviction that fell on appeal may have led to answers that did not: their clients are paid out of free stake, that which comes back included. */
function settleReturned(dispute: DisputeMoney): DisputeSettlement {
  const payNano = dispute.frozenPayNano ?? 0n;
  const frozen = frozenAccount(dispute.disputeId);
  const own = stakeAccount(dispute.provider);
  const stakes = (dispute.freeStakes ?? []).map(({ account, freeNano }) => {
    return { account, freeNano: account === own ? freeNano + dispute.frozenNano - payNano : freeNano };
  });
  const { refunds, legs: refundLegs } = payHarmed(dispute, 0n, stakes);
  const legs: Leg[] = [
    { from: frozen, to: stakeAccount(dispute.provider), amountNano: dispute.frozenNano - payNano },
    { from: frozen, to: earningsAccount(dispute.provider), amountNano: payNano },
    {
      from: withheldAccount(dispute.disputeId),
      to: earningsAccount(dispute.provider),
      amountNano: dispute.withheldClientNano + dispute.withheldReserveNano,
    },
    ...refundLegs,
  ];
  return {
    transfer: disputeTransfer(dispute, legs),
    refundedNano: 0n,
    recoveredNano: 0n,
    madeGoodNano: 0n,
    rewardEachNano: 0n,
    rewarded: [],
    burntNano: 0n,
    restitutions: (dispute.harmed ?? []).map(({ requestId }, i) => {
      return { requestId, refundedNano: refunds[i]!, recoveredNano: 0n };
    }),
  };
}

function disputeTransfer(dispute: DisputeMoney, legs: readonly Leg[]): Transfer {
  return makeTransfer({ id: `dispute:${dispute.disputeId}`, reason: 'dispute', disputeId: dispute.disputeId }, legs);
}
