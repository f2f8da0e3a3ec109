/** A conviction opens the past of the account, and one that falls on appeal closes it (SPEC.md §8.3). */
import type { DisputeRow } from '../store/disputes-repo.ts';
import { disputeById } from '../store/disputes-repo.ts';
import { frozenPayNano } from '../store/freezings.ts';
import type { Tx } from '../store/handle.ts';
import { listProviders } from '../store/providers-repo.ts';
import {
  dropWaiting,
  endReexamination,
  insertReexamination,
  itemsOf,
  passedAnswers,
  reexaminationOf,
  unexaminedAnswers,
} from '../store/reexamine-repo.ts';
import { requestById } from '../store/requests-repo.ts';
import { chooseWithin, PASSES_CLEAR, windowFromMs } from './priority.ts';

/** How far re-examinations go; times in milliseconds. */
export interface ReexamineLimits {
  /** Longest time that answers are kept for it; 0 for none. */
  readonly windowMs: number;
  /** From a conviction until what nobody could look at is given up. */
  readonly withinMs: number;
}

/** What an answer comes to by the ruling of the dispute about it. */
export const ITEM_OUTCOMES = { upheld: 'overturned', rejected: 'stands', abandoned: 'inconclusive' } as const;

/** Answers of one re-examination: at four at a time and a second each, four minutes. */
const ANSWERS_MAX = 1_000;
/** Kept answers that are put into an order: the newest of an account that has more. */
const CANDIDATES_MAX = 10_000;
/** Share of a slash that looking may cost: the other half is for clients. */
const COST_SHARE = 2n;

/** Writes down what is looked at again, in the transaction that convicts; nothing where there is nothing, or it was done before. */
export async function openReexamination(
  tx: Tx,
  disputeId: string,
  { windowMs, withinMs }: ReexamineLimits,
  nowMs: number,
): Promise<void> {
  if (windowMs === 0 || (await reexaminationOf(tx, disputeId)) !== null) return;
  const dispute = (await disputeById(tx, disputeId))!;
  const providers = await listProviders(tx);
  const operator = providers.find(({ address }) => address === dispute.provider)?.operator;
  if (operator === undefined) return;
  const own = providers.filter((provider) => provider.operator === operator).map(({ address }) => address);
  const request = (await requestById(tx, dispute.requestId))!;
  const fromMs = windowFromMs({
    convictedAtMs: request.endedAtMs ?? nowMs,
    passedAtMs: await passedAnswers(tx, own, PASSES_CLEAR + ANSWERS_MAX),
    longestMs: windowMs,
  });
  const kept = await unexaminedAnswers(tx, { operator, fromMs, nowMs }, CANDIDATES_MAX);
  const candidates = kept.map((row) => ({ ...row, isAlone: row.mode !== 'witnessed' }));
  // On a chain no stake is frozen here, only pay, by chance of when a root was posted: there the number of answers is the only bound.
  const stakeNano = dispute.frozenNano - (await frozenPayNano(tx, disputeId));
  const costMaxNano = stakeNano === 0n ? null : stakeNano / COST_SHARE;
  const chosen = chooseWithin(candidates, { answersMax: ANSWERS_MAX, costMaxNano });
  if (chosen.length === 0) return;
  const row = {
    ...{ disputeId, operator, fromMs, beganAtMs: nowMs, deadlineMs: nowMs + withinMs },
    ...{ endedAtMs: null, leftOut: candidates.length - chosen.length },
  };
  await insertReexamination(
    tx,
    row,
    chosen.map(({ requestId, choice, provider }) => ({ requestId, choice, provider })),
  );
}

/** The conviction does not stand any more: what is still to be looked at is left alone. */
export async function closeReexamination(tx: Tx, disputeId: string, nowMs: number): Promise<void> {
  if ((await reexaminationOf(tx, disputeId)) === null) return;
  await dropWaiting(tx, disputeId);
  await endIfDone(tx, disputeId, nowMs);
}

/** Ends a re-examination of which everything was looked at and argued out. @returns whether it has ended */
export async function endIfDone(tx: Tx, disputeId: string, nowMs: number): Promise<boolean> {
  for (const { outcome, accusedIn } of await itemsOf(tx, disputeId)) {
    if (outcome === null) return false;
    if (accusedIn !== null && (await stateOf(tx, accusedIn)) !== 'settled') return false;
  }
  await endReexamination(tx, disputeId, nowMs);
  return true;
}

async function stateOf(tx: Tx, disputeId: string): Promise<DisputeRow['state'] | null> {
  return (await disputeById(tx, disputeId))?.state ?? null;
}
