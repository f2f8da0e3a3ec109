/**
 * Upheld disputes that no contract can judge go before the chain's referees: the gateway opens the case once its own ruling is final,
 * brings what they have signed, and ends the case when its times are over (spec-chain.md C7, C9.8). Every step follows from the contract and the database.
 */
import { canonicalJson } from '#protocol/canonical';
import type { Clock } from '#protocol/env';
import { type Address, type Hash, type Hex, sha256, toHex, utf8 } from '#protocol/hash';
import { safeParse, zAddress } from '#protocol/schema';
import { servedBundle } from '../dispute/bundle.ts';
import { rightOf } from '../dispute/right.ts';
import {
  type CaseRow,
  caseCount,
  caseIdOf,
  type DueDispute,
  disputesForCases,
  insertCase,
  liveCases,
  moveCase,
  refereesAreIdle,
  rightIn,
  voicesOf,
} from '../store/chain-cases-repo.ts';
import { enqueueIntent, type Intent, intentByKey, mayRetry } from '../store/chain-outbox-repo.ts';
import { accountOfKey, stakeRow } from '../store/chain-state-repo.ts';
import { type DisputeRow, disputeById } from '../store/disputes-repo.ts';
import type { Handle, Store, Tx } from '../store/handle.ts';
import { jobById, jobsOfRequest } from '../store/jobs-repo.ts';
import { owedNano } from '../store/owed.ts';
import { requestById } from '../store/requests-repo.ts';
import type { attestedRight } from './attested-right.ts';
import type { Contracts } from './calls.ts';
import {
  approveBonds,
  caseName,
  type Division,
  endCase,
  JUDGED_FAULTS,
  type JudgedFault,
  openCase,
  openIntent,
  ruleCase,
} from './case-calls.ts';
import type { CaseState, ChainClient } from './chain-client.ts';
import { baseOf } from './units.ts';

/** What the contract takes of those who were right. */
const RIGHT_MAX = 15;
/** Cases before the referees at one time: each of them reads the list, of at most 1,000, and judges all of it. */
const LIVE_MAX = 500;
/** An opening that is refused for so long stays refused: longer than the pot of a convicted account can be reached (C3). */
const OPENING_MAX_MS = 14 * 86_400_000;
const NOBODY: Address = `0x${'00'.repeat(20)}`;

export interface CaseDeps {
  readonly store: Store;
  readonly client: Pick<ChainClient, 'sender' | 'head' | 'estimate' | 'account' | 'case' | 'caseBond' | 'tokenBalance'>;
  readonly clock: Clock;
  readonly contracts: Contracts;
  readonly token: Address;
  readonly decimals: number;
  readonly attested: typeof attestedRight;
}

/**
 * Opens a case for every dispute that needs one.
 * @param blockNumber newest applied block
 * @returns false where the sending key has less of the token than the bond
 */
export async function openCases(deps: CaseDeps, blockNumber: number): Promise<boolean> {
  const { store, client } = deps;
  const due = await store.read((handle) => disputesForCases(handle, JUDGED_FAULTS));
  for (const one of due) {
    // Where referees are idle each case costs its bond: one at a time is enough to see whether they are back.
    if (await store.read(refereesAreIdle)) return true;
    const live = await store.read(liveCases);
    if (live.length >= LIVE_MAX) return true;
    const bond = await client.caseBond();
    // Those that are on their way have not paid theirs yet.
    const entered = live.filter(({ state }) => state === 'entered').length;
    if ((await client.tokenBalance(client.sender)) < bond * BigInt(entered + 1)) return false;
    const { operator } = await client.account(one.account, blockNumber);
    await store.withTx((tx) => enterCase(tx, deps, one, operator, bond));
  }
  return true;
}

/** Enters a case and its opening; one by which nobody is helped has its end with that. */
async function enterCase(
  tx: Tx,
  deps: CaseDeps,
  { disputeId, account, bundleJson, isAftermath }: DueDispute,
  operator: Address,
  bond: bigint,
): Promise<void> {
  const { clock, contracts, token } = deps;
  const row = (await disputeById(tx, disputeId))!;
  const bundleHash = toHex(sha256(utf8(canonicalJson(servedBundle(bundleJson)))));
  const accusation = { account, disputeId: disputeId as Hash, bundleHash, fault: row.fault as JudgedFault };
  const opened = await caseCount(tx);
  const division = await divisionOf(tx, deps, row, [account, operator]);
  // A conviction answers for what it led to, and a convicted account has lost everything: more is taken for a refund alone.
  const isForRefund = isAftermath || (await stakeRow(tx, account))?.convicted === 1;
  const isVain = isForRefund && division.refund === 0n;
  await insertCase(tx, {
    ...{ disputeId, account, bundleHash, caseId: caseName(contracts.Rulings, accusation) },
    ...{ client: division.client, refundBase: division.refund.toString() },
    ...{ rightJson: JSON.stringify(division.right), state: isVain ? 'failed' : 'entered', outcome: null },
    ...{ setVersion: null, deadlineSeconds: null, enteredAtMs: clock.nowMs() },
  });
  if (isVain) return;
  await enqueueIntent(tx, approveBonds(contracts, token, bond, opened), clock.nowMs());
  await enqueueIntent(tx, openCase(contracts, accusation), clock.nowMs());
}

/** A client whose account is an address is refunded what the ledger owes it, once; those who were right share as in the ledger (spec-money.md 11.8). */
async function divisionOf(
  tx: Tx,
  { attested, decimals }: Pick<CaseDeps, 'attested' | 'decimals'>,
  dispute: DisputeRow,
  accused: readonly Address[],
): Promise<Division> {
  const { requestId, jobId } = dispute;
  const request = await requestById(tx, requestId);
  const parsed = safeParse(zAddress, request?.account ?? '');
  const payer = parsed.success ? parsed.data : NOBODY;
  // Referees go by what was attested: what it does not show they would not sign.
  const shown = await attested(tx, dispute);
  const isOwed = parsed.success && shown !== null && !accused.includes(payer);
  const refund = isOwed ? baseOf(await owedNano(tx, request!), decimals) : 0n;
  const right = new Set<Address>();
  for (const provider of rightOf(await jobsOfRequest(tx, requestId), await jobById(tx, jobId))) {
    if (shown?.has(provider) !== true) continue;
    const account = await accountOfKey(tx, provider as Address);
    if (account !== null && !accused.includes(account)) right.add(account);
  }
  const client = refund > 0n ? payer : NOBODY;
  return { client, refund, right: [...right].sort().slice(0, RIGHT_MAX) };
}

/** Looks at every case that is not at its end, and enters what comes next. @param blockNumber newest applied block */
export async function followCases(deps: CaseDeps, blockNumber: number): Promise<void> {
  const { store, client } = deps;
  for (const row of await store.read(liveCases)) {
    const now = await client.case(caseIdOf(row), blockNumber);
    await note(deps, row, now);
    if (now.state === 'none') await retryOpening(deps, row);
    if (now.state === 'none' || now.state === 'settled') continue;
    const isOver = (await client.head()).atSeconds >= now.deadline;
    if (isOver) await enter(deps, endCase(deps.contracts, caseIdOf(row), divisionIn(row)));
    else if (now.state !== 'ruled') await bringVoices(deps, row, now.state === 'opened' ? 0 : 1);
  }
}

async function note({ store }: CaseDeps, row: CaseRow, now: CaseState): Promise<void> {
  if (now.state === 'none') return;
  const outcome = now.outcome === 'none' ? null : now.outcome;
  const isSame = row.state === now.state && row.outcome === outcome && row.deadlineSeconds === now.deadline;
  if (isSame) return;
  const change = { state: now.state, outcome, setVersion: now.version, deadlineSeconds: now.deadline };
  await store.withTx((tx) => moveCase(tx, row.disputeId, change));
}

/** An opening that was refused before it was sent waits again, while there is stake; one that was reverted in a block is over. */
async function retryOpening({ store, clock }: CaseDeps, row: CaseRow): Promise<void> {
  await store.withTx(async (tx) => {
    const intent = await intentByKey(tx, openIntent(row.disputeId));
    if (intent?.state !== 'failed') return;
    const stake = await stakeRow(tx, row.account as Address);
    const isGone = stake === null || (stake.activeBase === '0' && stake.queuedBase === '0');
    const isLate = clock.nowMs() - row.enteredAtMs >= OPENING_MAX_MS;
    if (intent.nonce !== null || isGone || isLate) return moveCase(tx, row.disputeId, { state: 'failed' });
    if (!mayRetry(intent, clock.nowMs())) return;
    const again = { key: intent.intentKey, to: intent.toAddress as Address, data: intent.callData as Hex };
    await enqueueIntent(tx, again, clock.nowMs());
  });
}

/** Sends what referees have signed as soon as the contract would take it: how many voices that needs is the contract's to say. */
async function bringVoices(deps: CaseDeps, row: CaseRow, instance: 0 | 1): Promise<void> {
  const voices = await deps.store.read((handle) => voicesOf(handle, row.caseId));
  for (const outcome of ['upheld', 'rejected'] as const) {
    const signatures = voices
      .filter((voice) => voice.instance === instance && voice.outcome === outcome)
      .map(({ signature }) => signature as Hex);
    if (signatures.length === 0) continue;
    await enter(deps, ruleCase(deps.contracts, caseIdOf(row), instance, outcome, divisionIn(row), signatures));
  }
}

/** Enters a call that would go through now, unless it was entered before. */
async function enter({ store, client, clock }: CaseDeps, intent: Intent): Promise<void> {
  const known = await store.read((handle: Handle) => intentByKey(handle, intent.key));
  if (known !== null && (known.state !== 'failed' || known.nonce !== null)) return;
  if ('reverts' in (await client.estimate(intent.to, intent.data))) return;
  const bytes = known === null ? intent : { ...intent, data: known.callData as Hex };
  await store.withTx((tx) => enqueueIntent(tx, bytes, clock.nowMs()));
}

export function divisionIn(row: CaseRow): Division {
  return { client: row.client as Address, refund: BigInt(row.refundBase), right: rightIn(row) };
}
