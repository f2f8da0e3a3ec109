/** Roots of earnings that wait to be active, on a real chain and out of a gateway's own tables: one that takes from a provider is taken back (spec-chain.md C5, C10). */
import { beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { earningsTree } from '#protocol/earnings';
import type { Address, Hash } from '#protocol/hash';
import { digests } from '#protocol/typed';
import { earningsProof, pendingEarnings } from '../../gateway/chain/earnings-proof.ts';
import { addBlock } from '../../gateway/store/chain-blocks-repo.ts';
import { insertRoot, type Leaf, moveRoot } from '../../gateway/store/chain-roots-repo.ts';
import { readAs } from '../../provider/chain/account.ts';
import { rootAt } from '../../provider/chain/claim.ts';
import { emptyWorld } from '../unit/chain-world.ts';
import { DEMO } from './chain-fixture.ts';
import { watchWorld } from './watch-world.ts';

const DAY = 86_400;
const LOG_ROOT: Hash = `0x${'ab'.repeat(32)}`;
const payee = (digit: number): Address => `0x${String(digit).repeat(40)}`;
const PAYEE = payee(5);

const world = watchWorld();
let store: ReturnType<typeof emptyWorld>['store'];
/** Whether the gateway shows what a root will give. */
let shows: boolean;
let posted: number;

beforeEach(async () => {
  store = emptyWorld().store;
  [shows, posted] = [true, 0];
  const { gateway, net } = world;
  const { chain } = gateway;
  const amount = 40n * DEMO;
  await chain.send({ callee: 'token', functionName: 'approve', args: [net.network.addresses.Settlement, amount] });
  await chain.send({ callee: 'Settlement', functionName: 'fund', args: [gateway.account, amount] });
  const others = gateway.fetch;
  gateway.fetch = async (url) => {
    const asked = /\/v1\/earnings\/(0x[0-9a-f]{40})(\/pending)?$/.exec(url);
    if (asked === null) return others(url);
    const [of, isPending] = [asked[1] as Address, asked[2] !== undefined];
    await final();
    const reply = isPending
      ? await store.read((handle) => pendingEarnings(handle, gateway.account, of))
      : await store.read((handle) => earningsProof(handle, gateway.account, of));
    const isShown = reply !== null && (shows || !isPending);
    return new Response(JSON.stringify(isShown ? reply : {}), { status: isShown ? 200 : 404 });
  };
});

let blocks = 0;
/** The chain's newest block is final for the gateway. */
async function final(): Promise<void> {
  const atSeconds = await world.auditor.chain.nowSeconds();
  const number = blocks++;
  await store.withTx((tx) => addBlock(tx, { number, hash: LOG_ROOT, parentHash: LOG_ROOT, atSeconds }, [], 0));
}

/** Posts a root over what payees have earned in all; the gateway knows it as its own. */
async function post(cumulative: Readonly<Record<number, bigint>>): Promise<void> {
  const { gateway, net } = world;
  const leaves: Leaf[] = Object.entries(cumulative).map(([digit, amount]) => ({
    payee: payee(Number(digit)),
    cumulative: amount,
  }));
  const tree = earningsTree(leaves);
  const size = 10 + posted;
  const head = { origin: gateway.log.origin, size, root: LOG_ROOT };
  const signature = gateway.signer.sign(digests.checkpoint(net.network.domain, head));
  const count = BigInt(leaves.length);
  const args = [gateway.account, tree.root, count, tree.total, { ...head, size: BigInt(size) }, signature];
  await gateway.chain.send({ callee: 'Settlement', functionName: 'postRoot', args });
  const { activeAt } = await rootAt(gateway.chain, gateway.account, posted);
  const row = { root: tree.root, totalBase: String(tree.total), logSize: size, logRoot: LOG_ROOT, decidedAtMs: 0 };
  await store.withTx(async (tx) => {
    const sequence = await insertRoot(tx, row, leaves);
    await moveRoot(tx, sequence, { state: 'posted', chainIndex: posted, activeAtSeconds: activeAt });
  });
  posted++;
}

const look = () => world.watcher({ providers: [], provider: PAYEE }).look();

async function rootCount(): Promise<number> {
  const call = { callee: 'Settlement' as const, functionName: 'poolOf', args: [world.gateway.account] };
  return Number((await readAs(world.auditor.chain, z.object({ rootCount: z.bigint() }), call)).rootCount);
}

/** The first root is active and known to the watcher. */
async function begin(cumulative: Readonly<Record<number, bigint>>): Promise<void> {
  await post(cumulative);
  await world.net.pass(DAY);
  await isLetBe();
}

async function isLetBe(): Promise<void> {
  const before = [await world.sent(), await rootCount()];
  expect(await look(), world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });
  expect([await world.sent(), await rootCount()]).toEqual(before);
}

it('a root that gives as much, or more, is let be, before it is active and after', async () => {
  await begin({ 3: 10n, 5: 70n, 7: 10n });
  await post({ 3: 10n, 4: 20n, 5: 70n, 7: 10n });
  await isLetBe();
  await post({ 3: 10n, 4: 20n, 5: 90n, 7: 10n });
  await isLetBe();
  await world.net.pass(DAY);
  await isLetBe();
  expect(world.lines).toEqual([]);
});

it.each([
  ['in which the leaf fell', { 3: 40n, 5: 69n, 7: 10n }],
  ['in which it is gone from between two others', { 3: 80n, 7: 20n }],
  ['in which it is gone from before the first', { 6: 80n, 7: 20n }],
  ['in which it is gone from behind the last', { 2: 20n, 3: 80n }],
  ['of one leaf, another’s', { 3: 100n }],
])('a root %s is taken back, once', async (_, since) => {
  await begin({ 3: 10n, 5: 70n, 7: 10n });
  await post(since as Record<number, bigint>);
  expect(await look(), world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });
  expect(world.lines.at(-1)).toMatch(/^took back root 1 of/);
  expect(await rootCount()).toBe(1);
  // The gateway has not read that yet.
  await isLetBe();
});

it('a root behind another that is not active yet is taken back, and that one stands', async () => {
  await begin({ 3: 10n, 5: 70n });
  await post({ 3: 10n, 5: 80n });
  await post({ 3: 100n, 5: 60n });
  expect(await look(), world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });
  expect(await rootCount()).toBe(2);
});

it('what was given is known after a restart, whether or not the gateway still proves it', async () => {
  await begin({ 3: 10n, 5: 70n });
  await post({ 3: 100n });
  const others = world.gateway.fetch;
  world.gateway.fetch = (url) =>
    url.endsWith(PAYEE) ? Promise.resolve(new Response('{}', { status: 404 })) : others(url);
  expect(await look()).toEqual({ proven: 0, problems: 1 });
  expect(world.lines.join('\n')).toMatch(/proves nothing more[\s\S]*took back root 1/);
});

it('a root that the gateway does not show is told of once half of its time is over', async () => {
  await begin({ 3: 10n, 5: 70n });
  await post({ 3: 100n });
  shows = false;
  await isLetBe();
  await world.net.pass(DAY / 2 + 60);
  expect(await look()).toEqual({ proven: 0, problems: 1 });
  expect(world.lines.at(-1)).toMatch(/does not show what root 1 gives; claim under root 0 before/);
});

it('a leaf that is not under the root shows nothing, however large', async () => {
  await begin({ 3: 10n, 5: 70n });
  await post({ 3: 90n, 5: 60n });
  const others = world.gateway.fetch;
  world.gateway.fetch = async (url) => {
    const reply = await others(url);
    return url.endsWith('/pending') ? new Response((await reply.text()).replace('"60"', '"80"')) : reply;
  };
  await world.net.pass(DAY / 2 + 60);
  expect(await look()).toEqual({ proven: 0, problems: 1 });
  expect(world.lines.at(-1)).toMatch(/does not show what root 1 gives/);
});

it('another root than the newest on the chain shows nothing, however good', async () => {
  await begin({ 3: 10n, 5: 70n });
  await post({ 3: 10n, 5: 80n });
  const shown = await world.gateway.fetch(`http://gateway.test/v1/earnings/${PAYEE}/pending`);
  const better = (await shown.json()) as object;
  await post({ 3: 100n, 5: 60n });
  const others = world.gateway.fetch;
  await world.net.pass(DAY / 2 + 60);
  for (const change of [{}, { rootIndex: 2 }]) {
    world.gateway.fetch = async (url) =>
      url.endsWith('/pending') ? new Response(JSON.stringify({ ...better, ...change })) : others(url);
    expect(await look()).toEqual({ proven: 0, problems: 1 });
    expect(world.lines.at(-1)).toMatch(/does not show what root 2 gives/);
  }
  expect(await rootCount()).toBe(3);
});

it('one that became active takes nothing back any more, and is told of', async () => {
  await begin({ 3: 10n, 5: 70n });
  await post({ 3: 90n, 5: 60n });
  await world.net.pass(DAY);
  const before = await world.sent();
  expect(await look()).toEqual({ proven: 0, problems: 1 });
  expect(world.lines).toEqual(['EARNINGS: root 1 gives 60 base units in all, roots before gave 70']);
  expect(await world.sent()).toBe(before);
});

it('leaves that are shown in place of the provider’s prove nothing where it has one', async () => {
  await begin({ 3: 10n, 5: 70n, 7: 10n });
  await post({ 3: 10n, 5: 80n, 7: 10n });
  const others = world.gateway.fetch;
  world.gateway.fetch = async (url) => {
    if (!url.endsWith('/pending')) return others(url);
    const reply = (await (await others(url)).json()) as { leaves: unknown[] };
    const other = (await (await others(url.replaceAll('5', '3'))).json()) as { leaves: unknown[] };
    return new Response(JSON.stringify({ ...reply, leaves: other.leaves }));
  };
  const before = await world.sent();
  expect(await look()).toEqual({ proven: 0, problems: 1 });
  expect(world.lines.at(-1)).toMatch(/root 1 could not be taken back/);
  expect([await world.sent(), await rootCount()]).toEqual([before, 2]);
});
