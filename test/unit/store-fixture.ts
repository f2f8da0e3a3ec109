/** A real SQLite file in a temporary folder, funded and with one open epoch; shared by the store's tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { Hash } from '#protocol/hash';
import { sha256, toHex, utf8 } from '#protocol/hash';
import { leafHash } from '#protocol/merkle';
import { clientAccount, RESERVE, stakeAccount } from '../../gateway/ledger/accounts.ts';
import { checkBooks } from '../../gateway/ledger/check-books.ts';
import { deposit } from '../../gateway/ledger/funding.ts';
import type { NewRequest } from '../../gateway/store/accept-request.ts';
import { insertEpoch } from '../../gateway/store/epochs-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { insertApiKey } from '../../gateway/store/keys-repo.ts';
import { applyTransfer, readBooks } from '../../gateway/store/ledger-repo.ts';
import type { LogLeaf } from '../../gateway/store/log-repo.ts';
import { appendLog } from '../../gateway/store/log-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import type { NewJob } from '../../gateway/store/record-work.ts';

export const CLIENT_FUNDS_NANO = 1_000_000n;
export const RESERVE_FUNDS_NANO = 500_000n;
export const STAKE_NANO = 100_000n;
/** 2 nano for an input token, 10 for an output token. */
export const PRICE = { inputNanoPerMtok: 2_000_000n, outputNanoPerMtok: 10_000_000n };
export const PROVIDERS = ['0xaa', '0xbb', '0xcc', '0xdd', '0xee'] as const;

export function hashOf(text: string): Hash {
  return toHex(sha256(utf8(text)));
}

export function leafOf(text: string): LogLeaf {
  return { entryJson: text, leafHash: toHex(leafHash(utf8(text))) };
}

/** A folder that is gone after the test. */
export function tempFolder(onEnd: (clean: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'assay-store-'));
  onEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A funded store on a file of its own, for each test. */
export interface OwnStore {
  readonly store: Store;
  readonly file: string;
  /** Ends it and opens it again, as a start does. */
  reopen(): Promise<Store>;
}

/** Called once by a file of tests; its own hooks run inside of this one's. */
export function storeOfEachTest(): OwnStore {
  let cleaners: (() => void)[] = [];
  let [store, file]: [Store | null, string] = [null, ''];
  beforeEach(async () => {
    file = join(
      tempFolder((clean) => cleaners.push(clean)),
      'assay.db',
    );
    store = await fundedStore(file);
  });
  afterEach(async () => {
    await store!.close();
    for (const clean of cleaners) clean();
    cleaners = [];
  });
  return {
    get store() {
      return store!;
    },
    get file() {
      return file;
    },
    async reopen() {
      await store!.close();
      store = openStore({ file, fsync: false });
      return store;
    },
  };
}

/** Opens the store and, the first time, puts money, one API key and one epoch of `drawSize` draws into it. */
export async function fundedStore(file: string, drawSize = 100): Promise<Store> {
  const store = openStore({ file, fsync: false });
  await store.withTx(async (tx) => {
    await insertApiKey(tx, {
      keyId: 'key1',
      keyHash: hashOf('secret'),
      label: 'test',
      account: 'key1',
      policyJson: null,
      requestsPerMinute: null,
      tokensPerMinute: null,
      concurrentRequests: null,
      createdAtMs: 0,
    });
    await applyTransfer(tx, deposit('client', clientAccount('key1'), CLIENT_FUNDS_NANO), 0);
    await applyTransfer(tx, deposit('reserve', RESERVE, RESERVE_FUNDS_NANO), 0);
    for (const provider of PROVIDERS) {
      await applyTransfer(tx, deposit(`stake-${provider}`, stakeAccount(provider), STAKE_NANO), 0);
    }
    const logIndex = await appendLog(tx, [leafOf('epoch 0')]);
    await insertEpoch(tx, {
      epoch: 0,
      startedAtMs: 0,
      drawRoot: hashOf('draw root'),
      drawSize,
      snapshotHash: hashOf('snapshot'),
      snapshotJson: '{}',
      sealedSeed: 'sealed',
      logIndex,
    });
  });
  return store;
}

export function newRequest(requestId: string, change: Partial<NewRequest> = {}): NewRequest {
  return {
    requestId,
    keyId: 'key1',
    model: 'toy',
    bodyHash: hashOf('body'),
    policyJson: '{}',
    price: PRICE,
    quoteNano: 3_000n,
    coverNano: 20_000n,
    epoch: 0,
    nowMs: 1_000,
    ...change,
  };
}

export function newJob(name: string, provider: string, change: Partial<NewJob> = {}): NewJob {
  return {
    jobId: hashOf(name),
    roundId: hashOf('round'),
    choice: 0,
    wave: 0,
    provider,
    role: 'member',
    seat: 0,
    slot: 0,
    ticketJson: '{}',
    ticketSignature: null,
    inputTokens: 10,
    maxNano: 1_000n,
    ...change,
  };
}

/** What the ledger's self-check finds. */
export function booksProblems(store: Store) {
  return store.withTx(async (tx) => checkBooks(await readBooks(tx)));
}
