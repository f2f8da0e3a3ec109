/** A database and a chain in memory, for the parts that work between the two; and a whole chain worker over them. */
import { afterEach } from 'vitest';
import { chainDigests } from '#protocol/chain-messages';
import { type Address, type Hash, keccak256, toHex, utf8 } from '#protocol/hash';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { CONTRACTS } from '../../contracts/chain/deploy.ts';
import type { Network } from '../../contracts/chain/network.ts';
import { LogKeeper } from '../../gateway/attest/log-keeper.ts';
import { logSignerOf } from '../../gateway/attest/log-signer.ts';
import { ChainWorker } from '../../gateway/chain/chain-worker.ts';
import { earningsAccount, RESERVE } from '../../gateway/ledger/accounts.ts';
import { makeTransfer } from '../../gateway/ledger/transfer.ts';
import { createLog } from '../../gateway/log.ts';
import { applyTransfer } from '../../gateway/store/ledger-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { FakeChain } from '../fixtures/fake-chain.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { tempFolder } from './store-fixture.ts';

const ORIGIN = 'worker.example/log';
export const PROVIDER = `0x${'22'.repeat(20)}` as const;
/** Of an epoch that is over. */
export const EPOCH_ROOT: Hash = `0x${'e0'.repeat(32)}`;
/** Commitment to an epoch's audits. */
export const AUDITS: Hash = `0x${'a6'.repeat(32)}`;
const MASTER = new Uint8Array(32).fill(7);
export const CLIENT = nativeSigner(new Uint8Array(32).fill(9));
export const contract = (index: number): Address => `0x${String(index + 1).repeat(40)}`;
export const addresses = Object.fromEntries(CONTRACTS.map((name, at) => [name, contract(at)])) as Network['addresses'];
export const domain = { chainId: 1n, verifyingContract: addresses.StakeRegistry };

/** Blocks on top of a block that make it final. */
export const CONFIRMATIONS = 3;

/** Lets the newest block become final. */
export function bury(chain: FakeChain): void {
  for (let blocks = 0; blocks < CONFIRMATIONS; blocks++) chain.mine();
}

let cleaners: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleaners.reverse()) await clean();
  cleaners = [];
});

/** An empty database and a chain without anything, gone after the test. */
export function emptyWorld() {
  const folder = tempFolder((clean) => cleaners.push(clean));
  const store = openStore({ file: `${folder}/assay.db`, fsync: false });
  cleaners.push(() => store.close());
  return { store, chain: new FakeChain(), clock: new HandClock() };
}

/** @param isKnown whether the chain knows the worker's gateway already */
export async function workerWorld(isKnown = true) {
  const { store, chain, clock } = emptyWorld();
  const signer = nativeSigner(MASTER);
  const log = new LogKeeper({ store, signer: logSignerOf(ORIGIN, MASTER, signer), domain, clock });
  await log.start();
  const logOriginHash = toHex(keccak256(utf8(ORIGIN)));
  const account = { operator: chain.sender, isOpen: isKnown, active: 0n, queued: 0n, logOriginHash };
  const pool = { funded: 0n, withdrawn: 0n, committed: 0n };
  const client = Object.assign(chain, {
    account: async () => account,
    keyOwner: async () => (isKnown ? { account: chain.sender, isRetired: false } : null),
    pool: async () => pool,
  });
  const worker = new ChainWorker({
    ...{ client, store, clock, log },
    network: { chainId: 1, token: contract(8), addresses, domain, fromBlock: 0, abis: {} as Network['abis'] },
    account: chain.sender,
    terms: {
      ...{ confirmations: CONFIRMATIONS, bumpMs: 1_000, feeMaxWei: 10_000n, pollMs: 1_000 },
      ...{ rootMs: 1_000, reconcileMs: 1_000, voucherLeastNano: 10n },
    },
    recover: recoverNative,
    events: createLog({ clock, level: 'silent' }),
    signers: async () => [signer],
    openedKey: async (drawRoot, index) =>
      drawRoot === EPOCH_ROOT ? { key: `0x${String(index).repeat(64)}`, path: [] } : null,
    openedAudits: async (commitment, epoch) => (commitment === AUDITS ? `0x${String(epoch).repeat(64)}` : null),
    onStakes: () => {},
  });
  const fund = (amount: bigint) => {
    chain.mine([{ name: 'Funded', args: { gateway: chain.sender, from: PROVIDER, amount } }]);
    bury(chain);
    pool.funded += amount;
  };
  const earn = (amountNano: bigint) =>
    store.withTx((tx) => {
      const leg = { from: RESERVE, to: earningsAccount(PROVIDER), amountNano };
      return applyTransfer(tx, makeTransfer({ id: 'close:1', reason: 'close' }, [leg]), 0);
    });
  return { store, chain, clock, worker, pool, fund, earn };
}

/** A client's deposit, not final yet, and vouchers out of it. */
export async function escrowWorld(amount: bigint, isKnown = true) {
  const w = await workerWorld(isKnown);
  const { chain } = w;
  chain.mine([{ name: 'Deposited', args: { client: CLIENT.address, gateway: chain.sender, epoch: 0n, amount } }]);
  await w.worker.tick();
  const voucher = (cumulative: bigint, epoch = 0n) => {
    const [settlement, client] = [addresses.Settlement, CLIENT.address];
    const value = { settlement, client, gateway: chain.sender, epoch, cumulative };
    const signature = CLIENT.sign(chainDigests.voucher(domain, value));
    return { client, epoch: String(epoch), cumulative: String(cumulative), signature };
  };
  return { ...w, voucher };
}
