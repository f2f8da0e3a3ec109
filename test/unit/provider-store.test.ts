/** One contract for both stores: what keeps a provider from signing two different things (SPEC.md §6). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Hash, sha256, toHex, utf8, ZERO_HASH } from '#protocol/hash';
import type { Claim, Ticket } from '#protocol/typed';
import { createMemoryStore } from '../../provider/store/memory.ts';
import { openSqliteStore } from '../../provider/store/sqlite.ts';
import type { ProviderStore, StoredChunk, StoredJob, StoredRoot, StoredScore } from '../../provider/store/store.ts';

const MIGRATIONS = path.resolve(import.meta.dirname, '../../migrations/provider-sqlite');
const hashOf = (text: string): Hash => toHex(sha256(utf8(text)));
const ADDRESS: Hash = `0x${'ab'.repeat(20)}`;
const SIGNATURE: Hash = `0x${'cd'.repeat(64)}1b`;
const JOB = hashOf('job');

function jobOf(changes: Partial<Ticket> = {}): StoredJob {
  const ticket: Ticket = {
    jobId: JOB,
    requestHash: hashOf('request'),
    roundId: hashOf('round'),
    provider: ADDRESS,
    kind: 0,
    jobHash: hashOf('body'),
    padHash: hashOf('pad'),
    inputNanoPerMtok: 2n ** 63n - 1n,
    outputNanoPerMtok: 0n,
    issuedAtMs: 1_000,
    expiresAtMs: 2_000,
    retainUntilMs: 3_000,
    checkpoint: ZERO_HASH,
    ...changes,
  };
  return { ticket, ticketHash: hashOf('ticket'), gateway: ADDRESS };
}

function chunkOf(index: number, last = false): StoredChunk {
  const opening = {
    jobId: JOB,
    index,
    previous: ZERO_HASH,
    previousRoot: ZERO_HASH,
    tokenCount: 1,
    last,
    tokensHash: hashOf('tokens'),
    evidenceRoot: hashOf('evidence'),
    salt: hashOf(`salt ${index}`),
  };
  const evidence = { chosen: 5, chosenLogit: -1, keptCount: 9, lastKeptLogit: -(2 ** 31), massQ32: 2 ** 32 - 1 };
  return {
    opening,
    commitment: hashOf(`commitment ${index}`),
    tokens: [5],
    evidence: [{ ...evidence, top: [[5, -1]] }],
    shortEvidence: [[6, 2 ** 32 - 1]],
    logprobs: { salt: hashOf(`inner ${index}`), tokens: [[-65536, [[5, -65536]]]] },
    finish: last ? 'stop_string' : null,
  };
}

const rootOf = (index: number, text = 'root'): StoredRoot => ({
  index,
  root: hashOf(text),
  slot: 15,
  signature: SIGNATURE,
});

const CLAIM: Claim = {
  jobId: JOB,
  ticketHash: hashOf('ticket'),
  requestHash: hashOf('request'),
  roundId: hashOf('round'),
  provider: ADDRESS,
  transcriptHash: hashOf('transcript'),
  lastCommitment: hashOf('commitment 0'),
  rootsHash: hashOf('roots'),
  chunkCount: 1,
  outputTokens: 1,
  finish: 1,
  checkpoint: ZERO_HASH,
};

const SCORE: StoredScore = {
  score: {
    jobId: JOB,
    ticketHash: hashOf('ticket'),
    provider: ADDRESS,
    transcriptHash: hashOf('scored'),
    evidenceRoot: hashOf('evidence'),
    outputTokens: 1,
  },
  evidence: chunkOf(0).evidence,
};

let folder: string;
let store: ProviderStore;
const file = () => path.join(folder, 'jobs.sqlite');
const openFile = () => openSqliteStore({ path: file(), migrationsFolder: MIGRATIONS });

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-store-'));
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

describe.each([
  ['memory', createMemoryStore],
  ['SQLite', openFile],
])('the %s store', (_, open) => {
  beforeEach(() => {
    store = open();
    store.addJob(jobOf());
  });

  it('takes a jobId once', () => {
    expect(store.addJob({ ...jobOf(), ticketHash: hashOf('another ticket') })).toBe(false);
    expect(store.job(JOB)).toEqual(jobOf());
    expect(store.job(hashOf('other'))).toBeUndefined();
  });

  it('gives chunks and roots back as they were, in order', () => {
    for (const chunk of [chunkOf(0), chunkOf(1, true)]) store.addChunk(chunk);
    for (const root of [rootOf(0), rootOf(1)]) store.addRoot(JOB, root);
    expect(store.chunks(JOB)).toEqual([chunkOf(0), chunkOf(1, true)]);
    expect(store.roots(JOB)).toEqual([rootOf(0), rootOf(1)]);
  });

  it('refuses a second chunk, root, claim or score for one place', () => {
    store.addChunk(chunkOf(0));
    store.addRoot(JOB, rootOf(0));
    store.addClaim(CLAIM);
    store.addScore(SCORE);
    expect(() => store.addChunk({ ...chunkOf(0), commitment: hashOf('another') })).toThrow();
    expect(() => store.addRoot(JOB, rootOf(0, 'another'))).toThrow();
    expect(() => store.addClaim({ ...CLAIM, finish: 3 })).toThrow();
    expect(() => store.addScore(SCORE)).toThrow();
    expect(store.chunks(JOB)).toEqual([chunkOf(0)]);
    expect(store.roots(JOB)).toEqual([rootOf(0)]);
    expect(store.claim(JOB)).toEqual(CLAIM);
    expect(JSON.stringify(store.score(JOB))).toBe(JSON.stringify(SCORE));
  });

  it('takes nothing for a job that it does not know', () => {
    const opening = { ...chunkOf(0).opening, jobId: hashOf('other') };
    expect(() => store.addChunk({ ...chunkOf(0), opening })).toThrow();
    expect(() => store.addRoot(hashOf('other'), rootOf(0))).toThrow();
    expect(() => store.addClaim({ ...CLAIM, jobId: hashOf('other') })).toThrow();
  });

  it('remembers which jobs were closed', () => {
    expect(store.isClosed(JOB)).toBe(false);
    store.closeJob(JOB);
    expect(store.isClosed(JOB)).toBe(true);
  });

  it('forgets a job, with all of it, when both retention and ticket are over', () => {
    store.addChunk(chunkOf(0));
    store.addJob(jobOf({ jobId: hashOf('long ticket'), expiresAtMs: 9_000 }));
    expect(store.prune(3_000, 500, false)).toBe(0);
    expect(store.prune(3_001, 500, false)).toBe(1);
    expect([store.job(JOB), store.chunks(JOB)]).toEqual([undefined, []]);
    expect(store.prune(9_500, 500, false)).toBe(0);
    expect(store.prune(9_501, 500, false)).toBe(1);
  });

  it('keeps the openings of what it forgets where a contract may ask for them, and nothing of the answer', () => {
    store.addChunk(chunkOf(0));
    store.addJob(jobOf({ jobId: hashOf('a score') }));
    expect(store.prune(3_000, 500, true)).toBe(0);
    expect(store.prune(3_001, 500, true)).toBe(2);
    expect(store.prune(3_001, 500, true)).toBe(0);
    const { opening, commitment, finish } = chunkOf(0);
    expect(store.openingOf(commitment)).toEqual(opening);
    expect(store.openingOf(hashOf('another'))).toBeUndefined();
    const bare = { tokens: [], evidence: [], shortEvidence: [], logprobs: null };
    expect(store.chunks(JOB)).toEqual([{ opening, commitment, finish, ...bare }]);
    expect([store.isClosed(JOB), store.job(hashOf('a score'))]).toEqual([true, undefined]);
  });
});

describe('the SQLite file', () => {
  it('is there again after a restart, with a write-ahead log', () => {
    store = openFile();
    store.addJob(jobOf());
    store.addChunk(chunkOf(0, true));
    store.addClaim(CLAIM);
    store.close();
    store = openFile();
    expect(store.chunks(JOB)).toEqual([chunkOf(0, true)]);
    expect(store.claim(JOB)).toEqual(CLAIM);
    const database = new Database(file(), { readonly: true });
    expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
    database.close();
  });

  it('never turns a damaged row into something to sign', () => {
    store = openFile();
    store.addJob(jobOf());
    store.addChunk(chunkOf(0));
    const database = new Database(file());
    database.exec(`UPDATE chunks SET tokens = '[-1]'`);
    database.close();
    expect(() => store.chunks(JOB)).toThrow();
  });
});
