/** What must hold once nothing is on its way any more: no payout lost, none twice, ledger equals chain. */
import type { Hex } from 'viem';
import type { Address } from '#protocol/hash';
import type { Difference } from '../../gateway/chain/reconcile.ts';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { checkBooks } from '../../gateway/ledger/check-books.ts';
import { type IntentRow, intentsIn, triesOf } from '../../gateway/store/chain-outbox-repo.ts';
import { rootsIn } from '../../gateway/store/chain-roots-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { balanceNano, readBooks } from '../../gateway/store/ledger-repo.ts';
import type { Party, TestChain } from './test-chain.ts';

/** More than a seed has. */
const ROWS_MAX = 10_000;

export interface End {
  readonly chain: TestChain;
  readonly store: Store;
  /** What the ledger has paid every provider. */
  readonly earned: ReadonlyMap<Address, bigint>;
  /** The largest voucher that the gateway has taken. */
  readonly voucher: bigint;
  readonly differences: readonly Difference[];
}

export function claimedOf(chain: TestChain, provider: Party): Promise<bigint> {
  return chain.read('Settlement', 'claimed', [chain.gateway.address, provider.address]);
}

export async function checkEnd(
  end: End,
): Promise<{ problems: readonly string[]; roots: number; transactions: number }> {
  const { chain, store, earned, differences } = end;
  const problems: string[] = differences.map((difference) => `differs: ${JSON.stringify(difference)}`);
  for (const provider of chain.providers) {
    const due = earned.get(provider.address) ?? 0n;
    const claimed = await claimedOf(chain, provider);
    if (claimed !== due) problems.push(`${provider.address} earned ${due} and was paid ${claimed}`);
  }
  const books = await store.withTx(async (tx) => checkBooks(await readBooks(tx)));
  problems.push(...books.map((problem) => `books: ${JSON.stringify(problem)}`), ...(await clientProblems(end)));
  const posted = await store.read((handle) => rootsIn(handle, 'posted', ROWS_MAX));
  const pool = await chain.read<{ rootCount: bigint }>('Settlement', 'poolOf', [chain.gateway.address]);
  if (Number(pool.rootCount) !== posted.length) {
    problems.push(`${pool.rootCount} roots on the chain, ${posted.length} here`);
  }
  const transactions = await chain.noncesOf(chain.gateway);
  problems.push(...(await outboxProblems(end, transactions)));
  return { problems, roots: posted.length, transactions };
}

/** Every effect once: one try of each in the chain, and no transaction of the sender that is none of them. */
async function outboxProblems({ chain, store }: End, transactions: number): Promise<string[]> {
  const ended = await store.read((handle) => intentsIn(handle, ['confirmed', 'failed'], ROWS_MAX));
  const problems = await Promise.all(ended.map((intent) => intentProblems(chain, store, intent)));
  const given = ended.filter(({ nonce }) => nonce !== null).length;
  const strays = transactions === given ? [] : [`${transactions} transactions in the chain, ${given} in the outbox`];
  return [...problems.flat(), ...strays];
}

async function intentProblems(chain: TestChain, store: Store, intent: IntentRow): Promise<string[]> {
  const failed = intent.state === 'failed' ? [`${intent.intentKey} failed: ${intent.failure}`] : [];
  const tries = await store.read((handle) => triesOf(handle, intent.intentKey));
  const statuses = await Promise.all(tries.map(({ txHash }) => chain.statusOf(txHash as Hex)));
  const mined = statuses.filter((status) => status !== null).length;
  const where = mined === 1 ? [] : [`${intent.intentKey}: ${mined} of its ${tries.length} tries are in the chain`];
  return [...failed, ...where];
}

/** The ledger has credited what the chain has redeemed of the client's escrow, and all that was taken was redeemed. */
async function clientProblems({ chain, store, voucher }: End): Promise<string[]> {
  const { client, gateway } = chain;
  const channel = await chain.read<{ redeemed: bigint }>('Settlement', 'channelOf', [client.address, gateway.address]);
  const credited = await store.read((handle) => balanceNano(handle, clientAccount(client.address)));
  const { redeemed } = channel;
  return [
    ...(redeemed === credited ? [] : [`the client paid ${redeemed} and was credited ${credited}`]),
    ...(redeemed === voucher ? [] : [`a voucher of ${voucher} was taken, ${redeemed} were redeemed`]),
  ];
}
