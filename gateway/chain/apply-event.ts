/** What a confirmed event does: to what is known of the chain, and to the ledger (spec-chain.md C9.4). */
import type { Address, Hash } from '#protocol/hash';
import { MONEY_MAX_NANO } from '../ledger/accounts.ts';
import { chainTransfer, MONEY_IN, MONEY_OUT } from '../ledger/chain-money.ts';
import type { EventRow } from '../store/chain-blocks-repo.ts';
import { DEMAND_EVENTS } from '../store/chain-demands-repo.ts';
import { decidedRoot, insertForeignRoot, moveRoot, rootByChainIndex } from '../store/chain-roots-repo.ts';
import {
  addClaimed,
  addKey,
  addToTotal,
  channelOf,
  putChannel,
  putStake,
  retireKey,
  stakeRow,
} from '../store/chain-state-repo.ts';
import type { Tx } from '../store/handle.ts';
import { applyTransfer, balanceNano } from '../store/ledger-repo.ts';
import type { ChainEvent } from './chain-client.ts';
import { afterEvent, countedStake, NO_STAKE, STAKE_EVENTS, type StakeEvent } from './stake-fold.ts';
import { nanoOf } from './units.ts';

export interface ApplyTerms {
  /** The gateway's account: events of others' pools are not read. */
  readonly gateway: Address;
  readonly decimals: number;
}

type Args = Readonly<Record<string, string | number>>;
type MoneyEvent = (typeof MONEY_IN)[number] | (typeof MONEY_OUT)[number];

const isStakeEvent = (name: string): name is StakeEvent => STAKE_EVENTS.some((known) => known === name);
const isMoneyEvent = (name: string): name is MoneyEvent => [...MONEY_IN, ...MONEY_OUT].some((known) => known === name);

/** An event as it is stored; null for one that is none of this gateway's business. */
export function eventRow(event: ChainEvent, { gateway, decimals }: ApplyTerms): EventRow | null {
  const { blockNumber, logIndex, txHash, name, args } = event;
  if (args.gateway !== undefined && args.gateway !== gateway) return null;
  // Providers answer for themselves: what is demanded of them is none of this gateway's business.
  if (DEMAND_EVENTS.some((known) => known === name) && args.account !== gateway) return null;
  const nano = isMoneyEvent(name) ? nanoOf(args.amount as bigint, decimals) : null;
  return {
    blockNumber,
    logIndex,
    txHash,
    name,
    argsJson: JSON.stringify(args, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
    // More than the ledger can hold is more than there is of any token; it is left to reconciliation to say so.
    amountNano: nano === null || nano > MONEY_MAX_NANO ? null : nano,
  };
}

/** Applies one event; call it once for each, in the order of the chain. @returns whether draws may go otherwise from now on */
export async function applyEvent(tx: Tx, row: EventRow, terms: ApplyTerms, nowMs: number): Promise<boolean> {
  const { name } = row;
  const args = JSON.parse(row.argsJson) as Args;
  if (isStakeEvent(name)) {
    await applyStake(tx, name, args, terms);
    return true;
  }
  if (isMoneyEvent(name)) await applyMoney(tx, name, row, args, nowMs);
  switch (name) {
    case 'KeyAdded':
      await addKey(tx, args.account as Address, args.key as Address);
      return true;
    case 'KeyRetired':
      await retireKey(tx, args.key as Address);
      return true;
    case 'RootPosted':
      await applyRoot(tx, args, nowMs);
      return false;
    case 'RootDisabled': {
      const root = await rootByChainIndex(tx, Number(args.index));
      if (root !== null) await moveRoot(tx, root.sequence, { state: 'disabled' });
      return false;
    }
    case 'Deposited':
    case 'Redeemed':
    case 'ExitStarted':
    case 'ExitCancelled':
    case 'Exited':
      await applyChannel(tx, name, args);
      return false;
    default:
      return false;
  }
}

async function applyStake(tx: Tx, event: StakeEvent, args: Args, { decimals }: ApplyTerms): Promise<void> {
  const account = args.account as Address;
  const known = await stakeRow(tx, account);
  const before =
    known === null
      ? NO_STAKE
      : {
          active: BigInt(known.activeBase),
          queued: BigInt(known.queuedBase),
          slashed: BigInt(known.slashedBase),
          convicted: known.convicted === 1,
        };
  const after = afterEvent(before, event, BigInt(args.amount ?? 0));
  const counted = nanoOf(countedStake(after), decimals);
  await putStake(tx, {
    account,
    activeBase: after.active.toString(),
    queuedBase: after.queued.toString(),
    slashedBase: after.slashed.toString(),
    activeNano: counted < MONEY_MAX_NANO ? counted : MONEY_MAX_NANO,
    convicted: after.convicted ? 1 : 0,
  });
}

async function applyMoney(tx: Tx, name: MoneyEvent, row: EventRow, args: Args, nowMs: number): Promise<void> {
  const amount = BigInt(args.amount!);
  if (name === 'Redeemed' || name === 'Funded') await addToTotal(tx, 'funded', amount);
  if (name === 'MarginWithdrawn') await addToTotal(tx, 'withdrawn', amount);
  if (name === 'EarningsClaimed') await addClaimed(tx, args.payee as Address, BigInt(args.amount!));
  if (row.amountNano === null) return;
  const owner = String(args.client ?? args.payee ?? '');
  const transfer = chainTransfer(name, row, owner, row.amountNano);
  // Money that is gone on the chain and was not there in the ledger is a difference, not a reason to read no further.
  for (const { account, amountNano } of transfer.postings) {
    if (account !== 'external' && amountNano < 0n && (await balanceNano(tx, account)) < -amountNano) return;
  }
  await applyTransfer(tx, transfer, nowMs);
}

async function applyRoot(tx: Tx, args: Args, nowMs: number): Promise<void> {
  const earnings = args.earnings as unknown as Record<'root' | 'leafCount' | 'total' | 'logSize' | 'logRoot', string>;
  const posted = {
    root: earnings.root as Hash,
    totalBase: earnings.total,
    logSize: Number(earnings.logSize),
    logRoot: earnings.logRoot as Hash,
  };
  const placed = { chainIndex: Number(args.index), activeAtSeconds: Number(args.activeAt) };
  const own = await decidedRoot(tx, posted);
  if (own === null) {
    await insertForeignRoot(tx, { ...posted, ...placed, leafCount: Number(earnings.leafCount) }, nowMs);
    return;
  }
  await moveRoot(tx, own.sequence, { ...placed, state: 'posted' });
}

async function applyChannel(
  tx: Tx,
  name: 'Deposited' | 'Redeemed' | 'ExitStarted' | 'ExitCancelled' | 'Exited',
  args: Args,
): Promise<void> {
  const client = args.client as Address;
  const known = await channelOf(tx, client);
  const channel = known ?? { client, epoch: 0, depositedBase: '0', redeemedBase: '0', exitAtSeconds: null };
  switch (name) {
    case 'Deposited': {
      const depositedBase = (BigInt(channel.depositedBase) + BigInt(args.amount!)).toString();
      return putChannel(tx, { ...channel, epoch: Number(args.epoch), depositedBase });
    }
    case 'Redeemed':
      return putChannel(tx, { ...channel, redeemedBase: String(args.cumulative) });
    case 'ExitStarted':
      return putChannel(tx, { ...channel, exitAtSeconds: Number(args.exitAt) });
    case 'ExitCancelled':
      return putChannel(tx, { ...channel, exitAtSeconds: null });
    case 'Exited':
      return putChannel(tx, {
        client,
        epoch: Number(args.epoch) + 1,
        depositedBase: '0',
        redeemedBase: '0',
        exitAtSeconds: null,
      });
  }
}
