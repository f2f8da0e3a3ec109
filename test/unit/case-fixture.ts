/** A store with a dispute to come and a chain that says what a test wants, for cases before referees (spec-chain.md C9.8). */
import { join } from 'node:path';
import { canonicalJson } from '#protocol/canonical';
import { type Address, type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import type { CaseDeps } from '../../gateway/chain/cases.ts';
import type { CaseState } from '../../gateway/chain/chain-client.ts';
import { DEFAULT_SPLIT } from '../../gateway/ledger/dispute-money.ts';
import { caseByDispute } from '../../gateway/store/chain-cases-repo.ts';
import { addKey, putStake } from '../../gateway/store/chain-state-repo.ts';
import { openDispute, ruleDispute, settleRuledDispute } from '../../gateway/store/change-dispute.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { addresses, contract } from './chain-world.ts';
import { fundedStore, hashOf, tempFolder } from './store-fixture.ts';
import { JOBS, revealed } from './store-life-fixture.ts';

export const addressOf = (byte: string): Address => `0x${byte.repeat(20)}`;
export const [LIAR, OPERATOR, SENDER, NOBODY] = [addressOf('cc'), addressOf('0f'), addressOf('5e'), addressOf('00')];
/** The liar's job of r1. */
export const BAD = JOBS[2]!.jobId;
export const TOKEN = contract(8);
const SERVED = { accused: { url: '' }, fault: 'wrong_output' };
export const BUNDLE_JSON = JSON.stringify({ ...SERVED, accused: { url: 'http://10.0.0.1' } });
export const BUNDLE_HASH = toHex(sha256(utf8(canonicalJson(SERVED))));

/** What the chain says. */
export interface Said {
  balance: bigint;
  case: CaseState;
  reverts: boolean;
  nowSeconds: number;
  attested: Set<string> | null;
}

export interface CaseWorld {
  readonly store: Store;
  readonly deps: CaseDeps;
  readonly clock: HandClock;
  readonly chain: Said;
}

export const stakeOf = (active: bigint, convicted = 0) => {
  const amounts = { activeBase: String(active), queuedBase: '0', slashedBase: '0', activeNano: active };
  return { account: LIAR, ...amounts, convicted };
};

export function caseState(state: CaseState['state'], change: Partial<CaseState> = {}): CaseState {
  return { state, outcome: 'none', deadline: 5_000, version: 1, opener: SENDER, ...change };
}

export const move = (kind: string, atMs: number) => ({ kind, moveJson: '{}', signature: null, atMs });

export const caseRow = async (store: Store, disputeId: Hash) =>
  (await store.read((handle) => caseByDispute(handle, disputeId)))!;

/** r1 with three jobs; two of those who were right have accounts, one of them the liar's operator's; and the liar has. */
export async function startCaseWorld(onEnd: (clean: () => void) => void): Promise<CaseWorld> {
  const store = await fundedStore(join(tempFolder(onEnd), 'assay.db'));
  await revealed(store);
  const clock = new HandClock();
  const chain: Said = {
    ...{ balance: 5n, case: caseState('none'), reverts: false, nowSeconds: 1_000 },
    attested: new Set(['0xaa', '0xbb']),
  };
  const head = { number: 9, hash: hashOf('head'), parentHash: hashOf('parent') };
  const deps: CaseDeps = {
    store,
    client: {
      sender: SENDER,
      head: async () => ({ ...head, atSeconds: chain.nowSeconds }),
      estimate: async () => (chain.reverts ? { reverts: 'reverted' } : { gas: 1n }),
      account: async () => ({ operator: OPERATOR, isOpen: true, active: 1n, queued: 0n, logOriginHash: hashOf('log') }),
      case: async () => chain.case,
      caseBond: async () => 5n,
      tokenBalance: async () => chain.balance,
    },
    ...{ clock, contracts: addresses, token: TOKEN, decimals: 9 },
    attested: async () => chain.attested,
  };
  await store.withTx(async (tx) => {
    await addKey(tx, LIAR, '0xcc' as Address);
    await addKey(tx, addressOf('bb'), '0xbb' as Address);
    await addKey(tx, OPERATOR, '0xaa' as Address);
    await putStake(tx, stakeOf(100n));
  });
  return { store, deps, clock, chain };
}

/** Accuses the liar of a job, and upholds it. */
export async function accuse(
  store: Store,
  disputeId: Hash,
  {
    atMs = 1_500,
    ...about
  }: { readonly requestId: string; readonly jobId: Hash; readonly freezes?: boolean; readonly atMs?: number },
): Promise<void> {
  const accused = { provider: '0xcc', fault: 'wrong_output' as const, bundleJson: BUNDLE_JSON };
  await store.withTx(async (tx) => {
    await openDispute(tx, { disputeId, ...about, ...accused, retainUntilMs: 9_000, move: move('opened', atMs) });
  });
}

export const uphold = (store: Store, disputeId: Hash) =>
  store.withTx((tx) =>
    ruleDispute(tx, disputeId, { ruling: 'upheld', appealUntilMs: 3_000, move: move('ruled', 2_500) }),
  );

export const settle = (store: Store, disputeId: Hash) =>
  store.withTx((tx) =>
    settleRuledDispute(tx, disputeId, { right: [], judges: [], split: DEFAULT_SPLIT, move: move('settled', 3_000) }),
  );
