/** Re-examination of every kind: after an audit by a whole answer, by a whole answer, and of an answer that witnesses had let pass (SPEC.md §8.3). */
import { expect, test, vi } from 'vitest';
import type { AuditKind } from '#protocol/audit-words';
import type { Engine } from '../../provider/engine/engine.ts';
import { withParts } from '../fixtures/cheats-engine.ts';
import {
  convict,
  expectMadeGood,
  NEVER,
  of,
  rowsOf,
  type Stage,
  stage,
  statusOf,
  turncoat,
} from '../fixtures/reexamine-stage.ts';
import { signerOf } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

// Most of it is asking until the draw has seated whom a test wants: a busy machine takes a minute.
vi.setConfig({ testTimeout: 180_000 });
const open = toyNetworks();
const PROVIDER = signerOf('p0').address;

/** As a running gateway does: what waited for an idle machine is begun once there is one. */
async function ticksUntilQuiet({ network: { gateway, store } }: Stage): Promise<void> {
  const waiting = () =>
    store.read(async ({ db, tables }) => {
      const audits = (await db.select().from(tables.audits)).filter(({ outcome }) => outcome === null);
      const items = (await db.select().from(tables.reexamined)).filter(({ outcome }) => outcome === null);
      const disputes = (await db.select().from(tables.disputes)).filter(({ state }) => state !== 'settled');
      return audits.length + items.length + disputes.length;
    });
  await expect
    .poll(
      async () => {
        await gateway.tick();
        await gateway.settled();
        return waiting();
      },
      { timeout: 60_000 },
    )
    .toBe(0);
}

async function kindsOf({ network }: Stage): Promise<ReadonlyMap<string, AuditKind>> {
  const entries = of(await entriesOf(network), 'reexamined');
  return new Map(entries.map(({ requestId, kind }) => [requestId, kind]));
}

test('an audit by a whole answer convicts, and the past is looked at by scores', async () => {
  const [honestly, liar] = [toyMachine(), toyMachine({ salt: 'liar' })];
  const [asked, state] = [new Set<string>(), { isLying: false }];
  // It lies to clients, whose prompts nobody has had before, and is an honest auditor: then nothing else convicts it.
  const generating = (other: Engine) =>
    withParts(honestly, {
      generate(request) {
        const prompt = request.promptIds.join();
        const engine = state.isLying && !asked.has(prompt) ? other : honestly;
        asked.add(prompt);
        return engine.generate(request);
      },
    });
  const others = Object.fromEntries(['p1', 'p2', 'p3', 'p4'].map((name) => [name, generating(honestly)]));
  const audits = { ...NEVER, regeneratePpm: 1_000_000 };
  const world = await stage(open, { engines: { p0: generating(liar), ...others }, limits: { audits } });
  const { network, answers } = world;
  const [honest] = await answers([PROVIDER], 1);
  state.isLying = true;
  const cheated = await answers([PROVIDER], 2);
  const convicting = await convict(world, [PROVIDER]);
  await ticksUntilQuiet(world);
  const audited = of(await entriesOf(network), 'audited').find(({ requestId }) => requestId === convicting);
  expect(audited).toMatchObject({ kind: 'regenerate', outcome: 'rejected' });
  await expectMadeGood(world, [convicting, ...cheated.map(({ requestId }) => requestId)]);
  const kinds = await kindsOf(world);
  for (const { requestId } of [honest!, ...cheated]) expect(kinds.get(requestId)).toBe('score');
  expect(await statusOf(network, honest!.requestId)).toBe('standing');
});

test('answers of a machine that is calibrated against none are looked at by whole answers, which say that they stand or nothing', async () => {
  const [coat, odd] = [turncoat(), turncoat()];
  const world = await stage(open, { members: 4, engines: { p0: coat.engine } });
  const { network, answers } = world;
  const info = { ...odd.engine.info, numericClass: 'toy-1/cpu/fp32/fp32/odd' };
  const url = network.addMember('odd', { ...odd.engine, info }, 'operator-p0');
  const wanted = [{ url, role: 'member' as const }];
  expect(await network.gateway.admit(wanted, { reserveNano: 0n, stakeNano: 1_000_000_000_000n })).toEqual([]);
  const oddly = signerOf('odd').address;
  const [honest] = await answers([oddly], 1);
  odd.lies(true);
  const [lie] = await answers([oddly], 1);
  odd.lies(false);
  coat.lies(true);
  const convicting = await convict(world, [PROVIDER]);
  await ticksUntilQuiet(world);
  const kinds = await kindsOf(world);
  expect([kinds.get(honest!.requestId), kinds.get(lie!.requestId)]).toEqual(['regenerate', 'regenerate']);
  const { reexamined } = await rowsOf(network);
  const outcomeOf = (id: string) => reexamined.find(({ requestId }) => requestId === id)!.outcome;
  expect([outcomeOf(honest!.requestId), outcomeOf(lie!.requestId)]).toEqual(['stands', 'inconclusive']);
  const fallen = reexamined.filter(({ outcome }) => outcome === 'overturned').map(({ requestId }) => requestId);
  await expectMadeGood(world, [convicting, ...fallen]);
});

test('an answer that its witnesses had let pass is looked at after those that nobody had seen, and falls like them', async () => {
  const [honest, liar] = [toyMachine(), toyMachine({ salt: 'liar' })];
  const lies = new Set<string>();
  const state = { isLying: false, abets: true };
  const cheat = withParts(honest, {
    async *generate(request) {
      const ids: number[] = [];
      for await (const token of (state.isLying ? liar : honest).generate(request)) {
        ids.push(token.id);
        if (state.isLying) lies.add(ids.join());
        yield token;
      }
    },
  });
  // They know their friend's lies, and sign what its model would have said.
  const witness = withParts(honest, {
    score: (request) => (state.abets && lies.has(request.outputIds.join()) ? liar : honest).score(request),
  });
  const friends = Object.fromEntries(['p1', 'p2', 'p3', 'p4'].map((name) => [name, witness]));
  const world = await stage(open, { engines: { p0: cheat, ...friends } });
  const { network, answers } = world;
  state.isLying = true;
  const [witnessed] = await answers([PROVIDER], 1, { verification: 'witnessed; n=3' });
  const [alone] = await answers([PROVIDER], 1);
  expect(JSON.parse(witnessed!.saved)).toMatchObject({ assay: { verdict: 'agreed' } });
  state.abets = false;
  const convicting = await convict(world, [PROVIDER]);
  await ticksUntilQuiet(world);
  const { reexamined } = await rowsOf(network);
  const byRank = [...reexamined].sort((a, b) => a.rank - b.rank).map(({ requestId }) => requestId);
  expect(byRank).toEqual([alone!.requestId, witnessed!.requestId]);
  await expectMadeGood(world, [convicting, witnessed!.requestId, alone!.requestId]);
});
