/** Holding and settling one request: who pays and is paid for every outcome (SPEC.md §Money, "Outcomes"). */
import { type Standing, VERDICTS, type Verdict } from '#protocol/verdict';
import type { AccountId } from './accounts.ts';
import {
  AUDIT_POOL,
  clientAccount,
  coverAccount,
  earningsAccount,
  escrowAccount,
  RESERVE,
  ROUNDING,
  withheldAccount,
} from './accounts.ts';
import { least } from './least.ts';
import type { ModelPrice, Work } from './price.ts';
import { jobPrice } from './price.ts';
import type { Leg, Transfer } from './transfer.ts';
import { makeTransfer } from './transfer.ts';

/** How a request ended, as far as money goes: a verdict, or one of the three ends that have none. */
export const SETTLED_VERDICTS = [...VERDICTS, 'best_effort', 'failed', 'disconnected'] as const;
export type SettledVerdict = (typeof SETTLED_VERDICTS)[number];
/** Ends with an answer. */
export type AnsweredVerdict = Exclude<SettledVerdict, 'inconclusive' | 'failed' | 'disconnected'>;
/** Ends without one. */
export type UnansweredVerdict = Exclude<SettledVerdict, AnsweredVerdict>;

/** The row of an answer: one that nobody could settle was asked for as `best_effort`, and is paid like any other. */
export function answeredAs(verdict: Verdict): AnsweredVerdict {
  return verdict === 'inconclusive' ? 'best_effort' : verdict;
}

export const JOB_ROLES = ['member', 'scorer', 'referee'] as const;
export type JobRole = (typeof JOB_ROLES)[number];

export interface OutcomeJob extends Work {
  readonly jobId: string;
  readonly provider: string;
  readonly role: JobRole;
  readonly standing: Standing;
  /** 0 for the drawn committee and its replacements, from 1 for waves that an escalation added. */
  readonly wave: number;
}

export interface Outcome {
  readonly requestId: string;
  /** Owner of the client account that the quote was held from. */
  readonly account: string;
  readonly price: ModelPrice;
  readonly quoteNano: bigint;
  readonly coverNano: bigint;
  readonly verdict: SettledVerdict;
  readonly jobs: readonly OutcomeJob[];
  /** What the client pays for audits beside its jobs; 0 where the answer promises none, or there is none. */
  readonly surchargeNano?: bigint;
  /** jobId to disputeId, for the jobs that a dispute is open about. */
  readonly disputes: ReadonlyMap<string, string>;
}

/** What one job got and from whom; `earnedNano` = `clientNano` + `reserveNano`. */
export interface SettledJob {
  readonly jobId: string;
  readonly provider: string;
  readonly earnedNano: bigint;
  readonly clientNano: bigint;
  readonly reserveNano: bigint;
  /** The dispute that withholds the pay, or null when it was paid out. */
  readonly withheldBy: string | null;
}

export interface Settlement {
  readonly transfer: Transfer;
  /** What the client is charged, rounding and withheld pay included. */
  readonly chargedNano: bigint;
  /** What the reserve paid. */
  readonly reserveNano: bigint;
  /** The part of `reserveNano` that an upheld dispute of this request gives back. */
  readonly recoverableNano: bigint;
  /** Pay that the cover did not reach. INVARIANT: 0 while jobs are issued within the cover. */
  readonly unpaidNano: bigint;
  readonly jobs: readonly SettledJob[];
}

type Payer = 'client' | 'reserve';

const CLIENT_PAYS: Readonly<Record<Standing, Payer>> = {
  counted: 'client',
  equivalent: 'client',
  rejected: 'client',
  late: 'reserve',
  witness: 'reserve',
  failed: 'reserve',
};
const RESERVE_PAYS: Readonly<Record<Standing, Payer>> = {
  counted: 'reserve',
  equivalent: 'reserve',
  rejected: 'reserve',
  late: 'reserve',
  witness: 'reserve',
  failed: 'reserve',
};

/** The normative table: who pays a first-wave member's revealed work. All other jobs are paid by the reserve. */
export const PAYER: Readonly<Record<SettledVerdict, Readonly<Record<Standing, Payer>>>> = {
  agreed: CLIENT_PAYS,
  equivalent: CLIENT_PAYS,
  disputed: CLIENT_PAYS,
  unverified: CLIENT_PAYS,
  best_effort: CLIENT_PAYS,
  disconnected: CLIENT_PAYS,
  inconclusive: RESERVE_PAYS,
  failed: RESERVE_PAYS,
};

/** Sets aside the client's quote and the reserve's cover; both leave their accounts in one transfer. */
export function hold(request: { requestId: string; account: string; quoteNano: bigint; coverNano: bigint }): Transfer {
  const { requestId } = request;
  return makeTransfer({ id: `hold:${requestId}`, reason: 'hold', requestId }, [
    { from: clientAccount(request.account), to: escrowAccount(requestId), amountNano: request.quoteNano },
    { from: RESERVE, to: coverAccount(requestId), amountNano: request.coverNano },
  ]);
}

/**
 * Ends a request: pays all revealed work by the table, gives the rest of quote and cover back.
 * Capture and release share the id `close:<requestId>`, so a hold ends once whichever comes first.
 */
export function settle(outcome: Outcome): Settlement {
  const escrow = escrowAccount(outcome.requestId);
  const cover = coverAccount(outcome.requestId);
  const legs: Leg[] = [];
  const settled: SettledJob[] = [];
  let quoteLeftNano = outcome.quoteNano;
  let coverLeftNano = outcome.coverNano;
  let recoverableNano = 0n;
  let unpaidNano = 0n;
  for (const job of inOrderOfClaim(outcome.jobs)) {
    const { chargeNano, payNano } = jobPrice(outcome.price, job);
    const disputeId = job.standing === 'rejected' ? (outcome.disputes.get(job.jobId) ?? null) : null;
    const to: AccountId = disputeId === null ? earningsAccount(job.provider) : withheldAccount(disputeId);
    const charge = payerOf(outcome.verdict, job) === 'client' ? least(chargeNano, quoteLeftNano) : 0n;
    const clientNano = least(charge, payNano);
    const reserveNano = least(payNano - clientNano, coverLeftNano);
    quoteLeftNano -= charge;
    coverLeftNano -= reserveNano;
    unpaidNano += payNano - clientNano - reserveNano;
    if (isRecoverable(outcome.verdict, job)) recoverableNano += disputeId === null ? reserveNano : 0n;
    legs.push(
      { from: escrow, to, amountNano: clientNano },
      { from: escrow, to: ROUNDING, amountNano: charge - clientNano },
      { from: cover, to, amountNano: reserveNano },
    );
    const earnedNano = clientNano + reserveNano;
    settled.push({
      jobId: job.jobId,
      provider: job.provider,
      earnedNano,
      clientNano,
      reserveNano,
      withheldBy: disputeId,
    });
  }
  const surchargeNano = least(outcome.surchargeNano ?? 0n, quoteLeftNano);
  quoteLeftNano -= surchargeNano;
  legs.push(
    { from: escrow, to: AUDIT_POOL, amountNano: surchargeNano },
    { from: escrow, to: clientAccount(outcome.account), amountNano: quoteLeftNano },
    { from: cover, to: RESERVE, amountNano: coverLeftNano },
  );
  const { requestId } = outcome;
  return {
    transfer: makeTransfer({ id: `close:${requestId}`, reason: 'close', requestId }, legs),
    chargedNano: outcome.quoteNano - quoteLeftNano,
    reserveNano: outcome.coverNano - coverLeftNano,
    recoverableNano,
    unpaidNano,
    jobs: settled,
  };
}

/** Ends a request for which nothing was revealed: the whole hold goes back. */
export function release(request: {
  requestId: string;
  account: string;
  price: ModelPrice;
  quoteNano: bigint;
  coverNano: bigint;
}): Settlement {
  return settle({ ...request, verdict: 'failed', jobs: [], disputes: new Map() });
}

function payerOf(verdict: SettledVerdict, job: OutcomeJob): Payer {
  return isOfCommittee(job) ? PAYER[verdict][job.standing] : 'reserve';
}

/** Escalation work, and all work of a request that ended inconclusive, is what a loser's slash makes good. */
function isRecoverable(verdict: SettledVerdict, job: OutcomeJob): boolean {
  return !isOfCommittee(job) || verdict === 'inconclusive';
}

/** Whether the job is one that the policy asked for: of a member that was drawn, or of a witness. */
function isOfCommittee({ role, wave }: OutcomeJob): boolean {
  return role !== 'referee' && wave === 0;
}

/** Those behind the answer are paid out of the quote first, rejected jobs after them; otherwise the order given. */
function inOrderOfClaim(jobs: readonly OutcomeJob[]): readonly OutcomeJob[] {
  return [...jobs.filter((j) => j.standing !== 'rejected'), ...jobs.filter((j) => j.standing === 'rejected')];
}
