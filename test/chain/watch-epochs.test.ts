/** Audits of epochs that are over, on a real chain: their secret is in the log, or it costs the gateway (spec-chain.md C6). */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Hash, toHex } from '#protocol/hash';
import { accountOf } from '../../provider/chain/account.ts';
import { DEMO } from './chain-fixture.ts';
import { auditEntry, entryOf, epochEntry } from './scripted-gateway.ts';
import { watchWorld } from './watch-world.ts';

const DAY = 86_400;
const named = (byte: number): Hash => toHex(new Uint8Array(32).fill(byte));
const world = watchWorld();

describe('a gateway', () => {
  it.each([
    ['and tries scorers', 20_000],
    ['and tries none', 0],
  ])(
    'whose epochs have audits %s must open keys and audits; one that hides the secret pays a fifth',
    async (_, ppm) => {
      world.gateway.entries = [epochEntry(0, ppm), entryOf(1), auditEntry(0), epochEntry(1, ppm), entryOf(4)];
      const one = world.watcher();
      for (let look = 0; look < 4; look++) await world.quiet(one.look());
      // Another secret than the committed one opens nothing.
      world.gateway.entries = [...world.gateway.entries, auditEntry(1, named(1)), epochEntry(2)];
      await world.quiet(one.look());
      await world.quiet(one.look());
      await one.look();
      expect(world.lines).toEqual([
        expect.stringMatching(/^demanded the secret of the audits of epoch 1, which the log does/),
      ]);
      await world.net.pass(DAY);
      await world.watcher().look();
      expect(world.lines.at(-1)).toMatch(/stayed silent on demand/);
      expect((await accountOf(world.auditor.chain, world.gateway.account))?.active).toBe(40n * DEMO);
    },
  );

  it('of whose epoch with audits a key is hidden pays a fifth; what is in the log answers for it', async () => {
    world.gateway.entries = [epochEntry(0, 20_000), epochEntry(1, 20_000)];
    world.gateway.hidesKeys = true;
    const one = world.watcher();
    for (let look = 0; look < 3; look++) await one.look();
    expect(world.lines).toEqual([
      expect.stringMatching(/^demanded key \d of epoch 0, which the gateway hides; 0x/),
      expect.stringMatching(/^demanded the secret of the audits of epoch 0/),
    ]);
    world.gateway.entries = [...world.gateway.entries, auditEntry(0)];
    world.gateway.hidesKeys = false;
    world.lines = [];
    await world.watcher({ chain: world.gateway.chain, stateFolder: path.join(world.folder, 'own') }).look();
    expect(world.lines).toEqual([
      expect.stringMatching(/^answered demand 0x\w+ with the draw key/),
      expect.stringMatching(/^answered demand 0x\w+ with the secret of the audits/),
    ]);
    const held = await accountOf(world.auditor.chain, world.gateway.account);
    expect([held?.active, held?.frozen]).toEqual([50n * DEMO, 0n]);
  });
});
