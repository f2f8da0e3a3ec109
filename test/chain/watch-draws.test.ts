/** Signed draws of saved answers against the log's entry of their epoch, on a real chain (spec-chain.md C6, C10). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { assayMember } from '#protocol/assay-member';
import { compactAttestation, type StatementWire } from '#protocol/attestation';
import { drawKey, drawKeyPath, drawKeyTree, snapshotHash } from '#protocol/draw';
import { fromHex, type Hash, toHex } from '#protocol/hash';
import { type LogEntry, logLeaf, signCheckpoint } from '#protocol/log';
import { inclusionProof, merkleRoot } from '#protocol/merkle';
import { signDraw } from '#protocol/signed-draw';
import { answerEntry } from '#protocol/verify-log';
import { logSignerOf } from '../../gateway/attest/log-signer.ts';
import { entryOf, epochEntry } from './scripted-gateway.ts';
import { watchWorld } from './watch-world.ts';

const named = (byte: number): Hash => toHex(new Uint8Array(32).fill(byte));
const vectors = JSON.parse(readFileSync(new URL('../vectors/attestation.json', import.meta.url), 'utf8')) as {
  compactAttestation: { input: { statement: StatementWire } }[];
};
const { statement: given } = vectors.compactAttestation[0]!.input;
const [EPOCH, INDEX, SIZE, LOG_INDEX] = [7, 2, 4, 1];
const EARLIER = { capNano: '4000', entries: [] };
/** Two providers of the statement's model. */
const SNAPSHOT = {
  capNano: '4000',
  entries: [1, 2].map((n) => ({
    address: `0x${String(n).repeat(40)}` as const,
    ...{ operator: `operator ${n}`, stakeNano: String(n * 1000), modelDigests: [given.request.modelDigest] },
    ...{ region: 'eu', numericClasses: ['toy/1'] },
  })),
};

const world = watchWorld();
const folder = () => path.join(world.folder, 'answers');
beforeEach(() => void mkdirSync(folder()));

/** A statement whose draw is the epoch's own, but for what a test changes. */
function statementWith(change: Partial<StatementWire['draw']> = {}): StatementWire {
  // The secret of the scripted gateway's epochs.
  const secret = new Uint8Array(32).fill(EPOCH + 1);
  const { levels } = drawKeyTree(secret, EPOCH, SIZE);
  const draw = {
    ...{ ...given.draw, epoch: EPOCH, index: INDEX, key: drawKey(secret, EPOCH, INDEX), size: SIZE },
    ...{ path: [...drawKeyPath(levels, INDEX)], snapshotHash: snapshotHash(SNAPSHOT), ...change },
  };
  return { ...given, gateway: world.gateway.signer.address, logIndex: LOG_INDEX, draw };
}

/** The log: the epoch's entry, the answer, and another entry. Saves the answer as its client has it. */
function answer(
  statement: StatementWire,
  auditPpm: number | null = null,
  change: object = {},
  note = (log: readonly LogEntry[]) => world.gateway.noteOf(log),
): void {
  const { gateway, net } = world;
  const { domain } = net.network;
  const ofEpoch = { ...epochEntry(EPOCH, auditPpm), snapshotHash: snapshotHash(SNAPSHOT), ...change } as LogEntry;
  const log = [ofEpoch, answerEntry(statement), entryOf(2)];
  gateway.entries = log;
  const leaves = log.map((entry) => fromHex(logLeaf(entry)));
  const receipt = {
    checkpoint: note(log),
    inclusion: inclusionProof(leaves, LOG_INDEX).map(toHex),
    epoch: { index: 0, entry: log[0]!, inclusion: inclusionProof(leaves, 0).map(toHex) },
    snapshot: SNAPSHOT,
    draw: signDraw(domain, gateway.signer, statement, SNAPSHOT),
  };
  const member = assayMember({
    ...{ id: 'x', verdict: statement.verdict, receipt, gateway: gateway.signer.address, domain, log: gateway.log },
    ...{ url: '/', attestation: compactAttestation(domain, gateway.signer, statement) },
  });
  writeFileSync(path.join(folder(), 'answer.json'), JSON.stringify({ id: 'x', assay: member }));
}

const look = () => world.watcher({ providers: [], saved: folder() }).look();
const isConvicted = () => world.isConvicted(world.gateway.account);

async function isQuiet(): Promise<void> {
  const before = await world.sent();
  expect(await look(), world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });
  expect([await world.sent(), await isConvicted()]).toEqual([before, false]);
}

async function isProvenOnce(): Promise<void> {
  expect((await look()).proven, world.lines.join('\n')).toBe(1);
  expect(world.lines.at(-1)).toMatch(/^proved false_draw/);
  expect(await isConvicted()).toBe(true);
  const before = await world.sent();
  expect(await look()).toEqual({ proven: 0, problems: 0 });
  expect(await world.sent()).toBe(before);
}

it.each([
  ['whose path leads to the epoch’s root', {}],
  ['whose path leads nowhere', { path: [named(7)] }],
])('a draw of its epoch’s key, index and snapshot, %s, is let be', async (_, change) => {
  answer(statementWith(change));
  await isQuiet();
});

it('a key that is not in the epoch’s tree costs the gateway its stake, once', async () => {
  answer(statementWith({ key: named(7) }));
  await isProvenOnce();
});

it('another key of the tree, in an epoch with audits, costs it too', async () => {
  const secret = new Uint8Array(32).fill(EPOCH + 1);
  answer(statementWith({ key: drawKey(secret, EPOCH, 0) }), 20_000);
  await isProvenOnce();
});

it('a foreign key in an epoch that commits to audits and tries no scorers costs it too', async () => {
  answer(statementWith({ key: named(7) }), 0);
  await isProvenOnce();
});

it('a snapshot that is not the epoch’s costs it too, whether or not keys are opened', async () => {
  world.gateway.hidesKeys = true;
  answer(statementWith({ snapshotHash: snapshotHash(EARLIER) }));
  await isProvenOnce();
});

it('an index behind the epoch’s last costs it too', async () => {
  answer(statementWith({ index: SIZE }));
  await isProvenOnce();
});

it('a foreign key is proven as soon as the epoch’s own is opened', async () => {
  answer(statementWith({ key: named(7) }));
  world.gateway.hidesKeys = true;
  await isQuiet();
  world.gateway.hidesKeys = false;
  await isProvenOnce();
});

it('a key that the gateway shows in place of the epoch’s own is announced to nobody', async () => {
  answer(statementWith({ key: named(7) }));
  const shown = world.gateway.fetch;
  world.gateway.fetch = async (url) =>
    /\/keys\//.test(url)
      ? new Response(JSON.stringify({ epoch: EPOCH, index: INDEX, key: named(8), path: [] }))
      : shown(url);
  await isQuiet();
});

it('a draw of an epoch that the log does not hold proves nothing', async () => {
  answer(statementWith({ epoch: EPOCH + 1, key: named(7) }));
  await isQuiet();
});

it('a draw that nobody signed proves nothing', async () => {
  answer(statementWith({ key: named(7) }));
  const file = path.join(folder(), 'answer.json');
  const saved = JSON.parse(readFileSync(file, 'utf8')) as { assay: { receipt: { draw: { signature: string } } } };
  saved.assay.receipt.draw.signature = `0x${'ff'.repeat(64)}1b`;
  writeFileSync(file, JSON.stringify(saved));
  await isQuiet();
});

it('against an entry that names a share of trials and commits to nothing no draw is held', async () => {
  answer(statementWith({ key: named(7) }), null, { auditPpm: 5 });
  await isQuiet();
});

it('a draw in a log of another name is held against no epoch of this one', async () => {
  const { gateway, net } = world;
  const other = logSignerOf('gateway.test/restored', new Uint8Array(32).fill(3), gateway.signer);
  answer(statementWith({ key: named(7) }), 0, {}, (log) => {
    const root = toHex(merkleRoot(log.map((entry) => fromHex(logLeaf(entry)))));
    return signCheckpoint(net.network.domain, other, { size: log.length, root });
  });
  await isQuiet();
});
