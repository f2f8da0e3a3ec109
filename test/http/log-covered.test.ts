/** The log shows nothing that no signed checkpoint covers: unsigned, an entry could be another one tomorrow (SPEC.md §9.3). */
import { and, eq } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Hash, toHex } from '#protocol/hash';
import { merkleRoot } from '#protocol/merkle';
import { leafOf } from '../../gateway/attest/log-keeper.ts';
import { appendLog, logSize } from '../../gateway/store/log-repo.ts';
import { startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';

interface Shown {
  readonly index: number;
  readonly leaf_hash: Hash;
  readonly entry: object;
}

let network: ToyNetwork;
beforeEach(async () => {
  network = await startToyNetwork({ members: 3 });
  await network.ask();
});
afterEach(() => network.stop());

const json = async (path: string) => (await network.call(path)).json() as Promise<unknown>;
const entries = async () => ((await json('/v1/log/entries')) as { data: Shown[] }).data;
const sizeNow = () => network.store.read(logSize);

async function signed(): Promise<{ size: number; root: Hash }> {
  const [, size, root] = (await (await network.call('/v1/log/checkpoint')).text()).split('\n');
  return { size: Number(size), root: toHex(new Uint8Array(Buffer.from(root!, 'base64'))) };
}

const leaf = (reason: string) =>
  leafOf({
    type: 'skip',
    provider: network.members[0]!.address,
    reason,
    evidenceHash: `0x${'00'.repeat(32)}`,
    atMs: 1,
  });

/** An entry that no answer waits for, so that nobody signs it by himself. */
const append = (reason: string) => network.store.withTx((tx) => appendLog(tx, [leaf(reason)]));

/** The newest entry becomes another one, as a gateway can do as long as it has signed neither. */
const change = (reason: string) =>
  network.store.withTx(async (tx) => {
    const { db, tables } = tx;
    const index = (await logSize(tx)) - 1;
    const { logEntries, logNodes, counters } = tables;
    await db.delete(logEntries).where(eq(logEntries.logIndex, index));
    // An entry of even index completes nothing but its own leaf.
    await db.delete(logNodes).where(and(eq(logNodes.level, 0), eq(logNodes.nodeIndex, index)));
    await db.update(counters).set({ next: index }).where(eq(counters.name, 'log'));
    return appendLog(tx, [leaf(reason)]);
  });

test('what was shown is in every log that is signed later, though the unsigned entry was changed in between', async () => {
  await signed();
  while ((await sizeNow()) % 2 === 1) await append('left');
  await append('quarantine:first');
  const shown = await entries();
  await change('quarantine:second');
  const { size, root } = await signed();
  const later = await entries();
  expect(later).toHaveLength(size);
  expect(JSON.stringify(later.at(-1))).toContain('quarantine:second');
  // The later log is the one that was signed, and holds every entry that anybody has seen.
  const leaves = later.map(({ leaf_hash }) => new Uint8Array(Buffer.from(leaf_hash.slice(2), 'hex')));
  expect(toHex(merkleRoot(leaves))).toBe(root);
  expect(later.slice(0, shown.length)).toEqual(shown);
});

test('an entry, its inclusion and a consistency with it are there once a checkpoint covers it, and not before', async () => {
  const { size: before } = await signed();
  const index = await append('left');
  const size = index + 1;
  expect(size).toBe(before + 1);
  expect((await entries()).map((entry) => entry.index)).not.toContain(index);
  expect((await network.call(`/v1/log/entries?start=${index}&end=${size}`)).status).toBe(200);
  expect(await json(`/v1/log/entries?start=${index}&end=${size}`)).toEqual({ object: 'list', data: [] });
  const proofs = [
    `inclusion?index=${index}&size=${size}`,
    `inclusion?index=0&size=${size}`,
    `consistency?from=1&size=${size}`,
  ];
  for (const proof of proofs) {
    const response = await network.call(`/v1/log/${proof}`);
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
      404,
      'not_found',
    ]);
  }
  expect((await signed()).size).toBe(size);
  expect((await entries()).at(-1)).toMatchObject({ index, leaf_hash: leaf('left').leafHash });
  for (const proof of proofs) expect((await network.call(`/v1/log/${proof}`)).status).toBe(200);
});
