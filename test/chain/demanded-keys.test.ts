/** A real gateway and a real watcher on one chain: keys that it does not show are demanded, and it answers in time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClock } from '#protocol/clock';
import { recoverNative } from '#protocol/signer-native';
import { accountOf, bondsOf } from '../../provider/chain/account.ts';
import { Watcher } from '../../provider/watch/watcher.ts';
import { DEMO } from './chain-fixture.ts';
import { type ChainGateway, soon, startChainGateway } from './chain-gateway.ts';

let gateway: ChainGateway;
let folder: string;
beforeAll(async () => {
  gateway = await startChainGateway(3);
  folder = mkdtempSync(path.join(tmpdir(), 'assay-demanded-'));
}, 240_000);
afterAll(async () => {
  await gateway?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it('a gateway that is demanded a draw key on the chain answers out of its store, keeps its stake and gets the bond', {
  timeout: 240_000,
}, async () => {
  const { net, toy, account } = gateway;
  await toy.ask();
  await toy.gateway.epochs.begin(0);
  const auditor = await net.party(20n);
  const lines: string[] = [];
  const watcher = new Watcher(
    {
      ...{ chain: auditor.chain, gateway: 'http://gateway', stateFolder: folder, providers: [], saved: null },
      ...{ provider: null, openingOf: async () => null, recover: recoverNative },
    },
    {
      // The keys are hidden from this auditor alone: it cannot know.
      fetch: async (url, init) => {
        const { pathname, search } = new URL(url);
        if (pathname.startsWith('/v1/epochs/')) return new Response('{}', { status: 404 });
        return toy.call(`${pathname}${search}`, init);
      },
      clock: createClock({ now: () => 0, after: () => () => undefined }),
      print: (line) => void lines.push(line),
      rng: { bytes: (length) => new Uint8Array(length) },
    },
  );
  for (let looks = 0; looks < 3; looks++) await watcher.look();
  expect(lines).toEqual([expect.stringMatching(/^demanded key 0 of epoch 0, which the gateway hides; 0x/)]);
  await soon(async () => expect(await bondsOf(auditor.chain, 'Evidence', account)).toBe(DEMO));
  await net.pass(86_400);
  await watcher.look();
  expect(lines).toHaveLength(1);
  expect(await accountOf(auditor.chain, account)).toMatchObject({ active: 50n * DEMO, frozen: 0n, convictedAt: 0 });
  await soon(async () => expect((await toy.gateway.chain!.status()).demands).toEqual([]));
});
