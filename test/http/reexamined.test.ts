/** After a conviction: what the account had answered is looked at again, harmed clients are paid back, answers fall in the log (SPEC.md §8.3). */
import { describe, expect, test } from 'vitest';
import type { LogEntry } from '#protocol/log';
import { type LogCopy, zLogCopy } from '#protocol/log-copy';
import { recoverNative } from '#protocol/signer-native';
import { type VerifyItem, verifyResponse } from '#protocol/verify';
import { copyLog } from '../../gateway/cli/audit-proof.ts';
import { MortalStore } from '../fixtures/mortal-store.ts';
import { stakeOf } from '../fixtures/network.ts';
import {
  AUDITED,
  convict,
  expectMadeGood,
  type Given,
  of,
  rowsOf,
  stage,
  statusOf,
  turncoat,
} from '../fixtures/reexamine-stage.ts';
import { signerOf, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';

const open = toyNetworks();
const STAKE_NANO = 1_000_000_000_000n;

const logOf = async ({ call }: ToyNetwork): Promise<LogCopy> => zLogCopy.parse(await copyLog('', (path) => call(path)));

function standing(saved: string, log: LogCopy): VerifyItem | undefined {
  const { items } = verifyResponse({ response: saved, log, recover: recoverNative });
  return items.find(({ name }) => name === 'standing');
}

describe('a provider that is convicted of one answer', () => {
  test('loses all that it had cheated on: they fall in the log, their clients are paid back first, and the honest ones stand', async () => {
    const coat = turncoat();
    const world = await stage(open, { engines: { p0: coat.engine } });
    const { network, answers } = world;
    const provider = signerOf('p0').address;
    const honest = await answers([provider], 2);
    coat.lies(true);
    const cheated = [...(await answers([provider], 2)), ...(await answers([provider], 1, { verification: 'audited' }))];
    await network.gateway.settled();
    // Nothing speaks against any of them yet.
    const before = await logOf(network);
    for (const { requestId, saved } of [...honest, ...cheated]) {
      expect(await statusOf(network, requestId)).toBe('standing');
      expect(standing(saved, before)).toMatchObject({ status: 'proved' });
      expect(verifyResponse({ response: saved, recover: recoverNative }).ok).toBe(true);
    }
    const convicting = await convict(world, [provider]);
    await expectMadeGood(world, [convicting, ...cheated.map(({ requestId }) => requestId)]);
    const { disputes, reexamined } = await rowsOf(network);
    const stands = reexamined.filter(({ outcome }) => outcome === 'stands').map(({ requestId }) => requestId);
    for (const { requestId } of honest) expect(stands).toContain(requestId);
    expect(disputes.every(({ state, ruling }) => state === 'settled' && ruling === 'upheld')).toBe(true);
    // One conviction freezes; what it led to is paid out of that.
    expect(disputes.filter(({ frozenNano }) => frozenNano > 0n)).toHaveLength(1);
    expect(await stakeOf(network.store, provider)).toBe((STAKE_NANO * 8n) / 10n);
    expect(of(await entriesOf(network), 'reexamined')).toHaveLength(reexamined.length);
    const log = await logOf(network);
    for (const { requestId, saved } of honest) {
      expect(await statusOf(network, requestId)).toBe('standing');
      expect(standing(saved, log)).toMatchObject({ status: 'proved' });
    }
    for (const { requestId, saved } of cheated) {
      expect(await statusOf(network, requestId)).toBe('overturned');
      expect(standing(saved, log)).toMatchObject({
        status: 'failed',
        detail: expect.stringMatching(/^overturned: wrong_output, rejected_by_reexamination, dispute 0x/),
      });
      expect(verifyResponse({ response: saved, log, recover: recoverNative }).ok).toBe(false);
    }
    expectForgeriesFail(honest[0]!, cheated[0]!, log);
  });

  test('answers for what it served under another key', async () => {
    const coat = turncoat();
    const world = await stage(open, { members: 4, engines: { p0: coat.engine } });
    const { network, answers } = world;
    const url = network.addMember('p0-again', coat.engine, 'operator-p0');
    const others = ['extra0', 'extra1'].map((name) => network.addMember(name));
    const wanted = [url, ...others].map((one) => ({ url: one, role: 'member' as const }));
    expect(await network.gateway.admit(wanted, { reserveNano: 0n, stakeNano: STAKE_NANO })).toEqual([]);
    const [old, renamed] = [signerOf('p0').address, signerOf('p0-again').address];
    coat.lies(true);
    const cheated = await answers([renamed], 2);
    const more = await answers([old], 1);
    const convicting = await convict(world, [old, renamed]);
    const kept = await network.store.read((handle) => handle.db.select().from(handle.tables.keptAnswers));
    const own = kept.filter(({ provider }) => provider === old || provider === renamed);
    expect(own.map(({ requestId }) => requestId)).toEqual(
      expect.arrayContaining([...cheated, ...more].map(({ requestId }) => requestId)),
    );
    await expectMadeGood(world, [...new Set([convicting, ...own.map(({ requestId }) => requestId)])]);
  });

  test.each([1, 4, 9])(
    'makes good all of it once where the gateway dies %i commits after the conviction',
    async (commits) => {
      const coat = turncoat();
      let mortal: MortalStore | null = null;
      const through: ToyOptions['through'] = (store) => {
        mortal = new MortalStore(store);
        return mortal;
      };
      const world = await stage(open, { members: 4, engines: { p0: coat.engine }, through });
      const { network, answers } = world;
      const provider = signerOf('p0').address;
      coat.lies(true);
      const cheated = await answers([provider], 2);
      const killed = mortal!;
      let left = commits;
      (killed as MortalStore).afterCommit = async (handle) => {
        const begun = await handle.db.select().from(handle.tables.reexaminations);
        if (begun.length > 0 && left-- === 0) (killed as MortalStore).dead = true;
      };
      await answers([provider], 1, AUDITED).catch(() => undefined);
      await network.gateway.settled();
      expect((killed as MortalStore).dead).toBe(true);
      await network.revive();
      await network.gateway.settled();
      await network.gateway.tick();
      await network.gateway.settled();
      const { disputes } = await rowsOf(network);
      const fallen = new Set(disputes.filter(({ ruling }) => ruling === 'upheld').map(({ requestId }) => requestId));
      for (const { requestId } of cheated) expect(fallen).toContain(requestId);
      await expectMadeGood(world, [...fallen]);
    },
  );
});

/** What a gateway, or somebody between, would have to show to make an answer fall that stands, or stand that has fallen. */
function expectForgeriesFail(stands: Given, fell: Given, log: LogCopy): void {
  const fall = log.entries.find((entry) => entry.type === 'overturned' && entry.requestId === fell.requestId)!;
  const without = { ...log, entries: log.entries.filter((entry) => entry !== fall) };
  expect(standing(fell.saved, without)).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining('as many entries'),
  });
  const lifted: LogEntry = {
    type: 'skip',
    provider: `0x${'11'.repeat(20)}`,
    reason: 'x',
    evidenceHash: `0x${'00'.repeat(32)}`,
    atMs: 1,
  };
  const swapped = { ...log, entries: log.entries.map((entry) => (entry === fall ? lifted : entry)) };
  expect(standing(fell.saved, swapped)).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining('not those of its checkpoint'),
  });
  const about = { ...fall, requestId: stands.requestId } as LogEntry;
  const moved = { ...log, entries: log.entries.map((entry) => (entry === fall ? about : entry)) };
  expect(standing(stands.saved, moved)).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining('not those of its checkpoint'),
  });
}
