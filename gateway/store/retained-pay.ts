/** Pay that stays in a provider's earnings for a while: for answers that nobody has compared (spec-money.md §11.8). */
import { and, count, eq, gt, sql } from 'drizzle-orm';
import type { Address } from '#protocol/hash';
import { nanoOf } from '../chain/units.ts';
import { earningsAccount } from '../ledger/accounts.ts';
import { least } from '../ledger/least.ts';
import { agedUntilMs, PAY_DELAY_MS } from '../ledger/retained.ts';
import { storedDecimals } from './chain-network-repo.ts';
import { promisedBase } from './chain-roots-repo.ts';
import { claimedBase } from './chain-state-repo.ts';
import { listEvidenceAccounts } from './evidence-repo.ts';
import { examinationFacts } from './examinations-repo.ts';
import type { Handle } from './handle.ts';
import { balanceNano } from './ledger-repo.ts';
import { providerByAddress } from './providers-repo.ts';

/** Lone answers of a provider, and what it has earned by them. */
export interface LonePay {
  readonly answers: number;
  readonly earnedNano: bigint;
}

/** Of those that were ordered after `sinceMs`. */
export async function lonePay(handle: Handle, provider: string, sinceMs: number): Promise<LonePay> {
  const { jobs, requests } = handle.tables;
  const [row] = await handle.db
    .select({ answers: count(), earnedNano: sql<bigint | null>`sum(${jobs.earnedNano})` })
    .from(jobs)
    .innerJoin(requests, eq(requests.requestId, jobs.requestId))
    .where(
      and(
        eq(jobs.provider, provider),
        gt(jobs.issuedAtMs, sinceMs),
        eq(jobs.standing, 'counted'),
        gt(jobs.outputTokens, 0),
        eq(requests.verdict, 'unverified'),
      ),
    );
  return { answers: Number(row?.answers ?? 0), earnedNano: BigInt(row?.earnedNano ?? 0) };
}

export interface RetainedPay {
  readonly retainedNano: bigint;
  /** Answers whose pay waits for the first examination; null where the provider has had one, or is having it. */
  readonly waiting: number | null;
}

/**
 * The part of a provider's earnings that stays: pay of the last `PAY_DELAY_MS` for lone answers, of more of them while an examination is due or runs, of all of them while
 * evidence speaks against its operator; as far as it is there and no root on a chain has promised it.
 */
export async function retainedPay(handle: Handle, provider: string, nowMs: number): Promise<RetainedPay> {
  const facts = await examinationFacts(handle, provider, nowMs);
  const sinceMs = (await isSuspect(handle, provider)) ? 0 : agedUntilMs(facts, nowMs) - PAY_DELAY_MS;
  const { answers, earnedNano } = await lonePay(handle, provider, sinceMs);
  const waiting = facts.newest === null ? answers : null;
  if (earnedNano === 0n) return { retainedNano: 0n, waiting };
  const free = (await balanceNano(handle, earningsAccount(provider))) - (await promisedNano(handle, provider));
  return { retainedNano: free > 0n ? least(earnedNano, free) : 0n, waiting };
}

/** The amount alone. */
export async function retainedNano(handle: Handle, provider: string, nowMs: number): Promise<bigint> {
  return (await retainedPay(handle, provider, nowMs)).retainedNano;
}

/** Whoever repents in quarantine would have its pay when it is old; as the stake, it stays until the account is clear (spec-judge.md §7.10). */
async function isSuspect(handle: Handle, provider: string): Promise<boolean> {
  const accounts = (await listEvidenceAccounts(handle)).filter(({ stage }) => stage !== 'clear');
  if (accounts.length === 0) return false;
  const operator = (await providerByAddress(handle, provider as Address))?.operator;
  return accounts.some((account) => account.operator === operator);
}

/** What is promised and not claimed, rounded up. */
async function promisedNano(handle: Handle, provider: string): Promise<bigint> {
  const decimals = await storedDecimals(handle);
  if (decimals === null) return 0n;
  const payee = provider as Address;
  const open = (await promisedBase(handle, payee)) - (await claimedBase(handle, payee));
  return open <= 0n ? 0n : nanoOf(open, decimals) + 1n;
}
