/** Answers that clients have saved, as evidence against their gateway; and what a provider's own store answers demands with. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import { assayMember, type InlineReceipt } from '#protocol/assay-member';
import { compactAttestation, type StatementWire } from '#protocol/attestation';
import { chainDigests } from '#protocol/chain-messages';
import { createClock } from '#protocol/clock';
import { orderHash, snapshotHash } from '#protocol/draw';
import { fromHex, type Hash, toHex } from '#protocol/hash';
import { type LogEntry, logLeaf } from '#protocol/log';
import { inclusionProof } from '#protocol/merkle';
import { drawOf, type SignedDraw, signDraw } from '#protocol/signed-draw';
import { portableSigner } from '#protocol/signer';
import { recoverNative } from '#protocol/signer-native';
import { answerEntry } from '#protocol/verify-log';
import type { ProviderDeps } from '../../provider/deps.ts';
import { mountOpenings } from '../../provider/openings.ts';
import { createMemoryStore } from '../../provider/store/memory.ts';
import { providerMigrationsFolder } from '../../provider/store/migrations.ts';
import { openSqliteStore } from '../../provider/store/sqlite.ts';
import type { StoredChunk, StoredJob } from '../../provider/store/store.ts';
import { ownOpening } from '../../provider/watch/own-openings.ts';
import { entryOf, epochEntry } from './scripted-gateway.ts';
import { watchWorld } from './watch-world.ts';

const named = (byte: number): Hash => toHex(new Uint8Array(32).fill(byte));
const vectors = JSON.parse(readFileSync(new URL('../vectors/attestation.json', import.meta.url), 'utf8')) as {
  compactAttestation: { input: { statement: StatementWire } }[];
};
const LOG_INDEX = 1;

describe('saved answers', () => {
  const world = watchWorld();
  beforeEach(() => void mkdirSync(path.join(world.folder, 'answers')));

  const statement = (): StatementWire => {
    const { statement: given } = vectors.compactAttestation[0]!.input;
    const draw = { ...given.draw, snapshotHash: snapshotHash(snapshot()) };
    return { ...given, gateway: world.gateway.signer.address, logIndex: LOG_INDEX, draw };
  };

  /** Five providers of the statement's model. */
  const snapshot = () => {
    const { modelDigest } = vectors.compactAttestation[0]!.input.statement.request;
    const entries = [1, 2, 3, 4, 5].map((n) => ({
      address: `0x${String(n).repeat(40)}` as const,
      ...{ operator: `operator "${n}"`, stakeNano: String(n * 1000), modelDigests: [modelDigest], region: 'é' },
      numericClasses: ['toy/1'],
    }));
    return { capNano: '4000', entries };
  };

  /** Saves an answer as a client has it, with a receipt over the entries that it was shown. */
  function save(shown: readonly LogEntry[] | null, draw?: SignedDraw, change: Partial<InlineReceipt> = {}): void {
    const pathOf = (index: number) =>
      inclusionProof(
        shown!.map((entry) => fromHex(logLeaf(entry))),
        index,
      ).map(toHex);
    const epoch = shown?.[0];
    const receipt: InlineReceipt | null =
      shown === null || epoch === undefined
        ? null
        : {
            checkpoint: world.gateway.noteOf(shown),
            inclusion: pathOf(LOG_INDEX),
            epoch: { index: 0, entry: epoch, inclusion: pathOf(0) },
            snapshot: snapshot(),
            ...(draw === undefined ? {} : { draw }),
            ...change,
          };
    const { domain } = world.net.network;
    const member = assayMember({
      ...{
        id: 'x',
        verdict: statement().verdict,
        receipt,
        gateway: world.gateway.signer.address,
        domain,
        log: world.gateway.log,
      },
      ...{ url: '/', attestation: compactAttestation(domain, world.gateway.signer, statement()) },
    });
    writeFileSync(path.join(world.folder, 'answers', 'answer.json'), JSON.stringify({ id: 'x', assay: member }));
  }

  const look = () => world.watcher({ providers: [], saved: path.join(world.folder, 'answers') }).look();
  const isConvicted = () => world.isConvicted(world.gateway.account);

  it('that stand where they say prove nothing', async () => {
    const log = [epochEntry(0), answerEntry(statement()), entryOf(2)];
    world.gateway.entries = log;
    save(log.slice(0, 2));
    writeFileSync(path.join(world.folder, 'answers', 'notes.txt'), 'no answer');
    expect(await look(), world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });
    expect(await isConvicted()).toBe(false);
  });

  it('whose order does not follow from its key cost the gateway its stake; the true order does not', async () => {
    const log = [epochEntry(0), answerEntry(statement()), entryOf(2)];
    const { domain } = world.net.network;
    world.gateway.entries = log;
    save(log, signDraw(domain, world.gateway.signer, statement(), snapshot()));
    expect(await look(), world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });
    const first = snapshot().entries.map(({ address }) => address);
    const digest = chainDigests.draw(domain, drawOf(statement(), orderHash(first)));
    save(log, { orderHash: orderHash(first), signature: world.gateway.signer.sign(digest) });
    expect((await look()).proven, world.lines.join('\n')).toBe(1);
    expect(world.lines.at(-1)).toMatch(/^proved false_draw/);
    expect(await isConvicted()).toBe(true);
  });

  const isQuiet = async () => expect(await look(), world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });

  it('whose receipts are garbled prove nothing: a path that leads nowhere, another registry, a signature of nobody', async () => {
    const log = [epochEntry(0), answerEntry(statement()), entryOf(2)];
    const { domain } = world.net.network;
    world.gateway.entries = log;
    save([epochEntry(1), answerEntry(statement())], undefined, {
      epoch: { index: 0, entry: epochEntry(1), inclusion: [named(7)] },
    });
    await isQuiet();
    const { entries, ...others } = snapshot();
    const other = { ...others, entries: entries.map((entry) => ({ ...entry, stakeNano: '7' })) };
    save(log, signDraw(domain, world.gateway.signer, statement(), snapshot()), { snapshot: other });
    await isQuiet();
    save(log, { orderHash: orderHash([entries[0]!.address]), signature: `0x${'ff'.repeat(65)}` });
    await isQuiet();
  });

  it('whose place holds an entry of the same statement, or one that the gateway does not show, prove nothing', async () => {
    world.gateway.entries = [epochEntry(0), { ...answerEntry(statement()), atMs: 1 }, entryOf(2)];
    save(null);
    await isQuiet();
    world.gateway.note = world.gateway.noteOf(world.gateway.entries);
    world.gateway.entries = [epochEntry(0), entryOf(8), entryOf(2)];
    await isQuiet();
  });

  it('that the log does not hold cost the gateway its stake', async () => {
    world.gateway.entries = [epochEntry(0), entryOf(1), entryOf(2)];
    save(null);
    expect((await look()).proven, world.lines.join('\n')).toBe(1);
    expect(world.lines.at(-1)).toMatch(/^proved contradicting_attestation/);
    expect(await isConvicted()).toBe(true);
  });

  it('whose receipt is of another log of the same name cost it too, whatever the sizes', async () => {
    world.gateway.entries = [epochEntry(0), entryOf(1), entryOf(2), entryOf(3)];
    save([epochEntry(0), answerEntry(statement())]);
    expect((await look()).proven, world.lines.join('\n')).toBe(1);
    expect(world.lines.join('\n')).toMatch(/proved forked_log/);
    expect(await isConvicted()).toBe(true);
  });
});

describe('openings of a provider’s own chunks', () => {
  const signer = portableSigner(fromHex(named(7)));
  const stranger = portableSigner(fromHex(named(8)));
  const domain = { chainId: 31_337n, verifyingContract: `0x${'5a'.repeat(20)}` } as const;
  const commitment = named(4);
  const opening = {
    ...{ jobId: named(1), index: 0, previous: named(0), previousRoot: named(0), tokenCount: 1, last: true },
    ...{ tokensHash: named(2), evidenceRoot: named(3), salt: named(5) },
  };
  const job = { ticket: ticketOf(), ticketHash: named(6), gateway: stranger.address } satisfies StoredJob;
  const chunk: StoredChunk = {
    ...{ opening, commitment, tokens: [1], evidence: [], shortEvidence: [], logprobs: null, finish: 'stop' },
  };
  const clock = createClock({ now: () => 1_000, after: () => () => undefined });
  const rng = { bytes: (length: number) => new Uint8Array(length).fill(1) };
  const config = { host: '127.0.0.1', port: 8181, dataFolder: '' };

  function ticketOf(): StoredJob['ticket'] {
    return {
      ...{ jobId: named(1), requestHash: named(1), roundId: named(1), provider: signer.address, kind: 0 },
      ...{ jobHash: named(1), padHash: named(1), inputNanoPerMtok: 1n, outputNanoPerMtok: 1n, issuedAtMs: 1 },
      ...{ expiresAtMs: 2, retainUntilMs: 3, checkpoint: named(0) },
    };
  }

  it('come from the running provider to its own key alone', async () => {
    const store = createMemoryStore();
    store.addJob(job);
    store.addChunk(chunk);
    const app = new Hono();
    app.onError((_, c) => c.json({}, 401));
    mountOpenings(app, { signer, domain, recover: recoverNative, clock, store } as unknown as ProviderDeps);
    const fetch = async (url: string, init: RequestInit) => app.request(url, init);
    const ask = (by: typeof signer, of: Hash) =>
      ownOpening({ config, signer: by, domain, io: { fetch, clock, rng } }, of);
    expect(await ask(signer, commitment)).toEqual(opening);
    expect(await ask(signer, named(9))).toBeNull();
    expect(await ask(stranger, commitment)).toBeNull();
    expect((await app.request(`http://127.0.0.1:8181/v1/openings/${commitment}`)).status).toBe(401);
  });

  it('come from its store while it does not run', async () => {
    const dataFolder = mkdtempSync(path.join(tmpdir(), 'assay-store-'));
    const file = path.join(dataFolder, 'jobs.sqlite');
    const store = openSqliteStore({ path: file, migrationsFolder: providerMigrationsFolder() });
    store.addJob(job);
    store.addChunk(chunk);
    store.close();
    const fetch = async (): Promise<Response> => {
      throw new TypeError('nobody listens');
    };
    const own = { config: { ...config, dataFolder }, signer, domain, io: { fetch, clock, rng } };
    expect(await ownOpening(own, commitment)).toEqual(opening);
    expect(await ownOpening(own, named(9))).toBeNull();
    rmSync(dataFolder, { recursive: true, force: true });
  });
});
