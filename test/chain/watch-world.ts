/** One chain for a file of tests, and for each of them a staked gateway, an auditor, and a watcher over a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { createClock } from '#protocol/clock';
import { recoverNative } from '#protocol/signer-native';
import { accountOf } from '../../provider/chain/account.ts';
import { Watcher, type WatchOptions } from '../../provider/watch/watcher.ts';
import { startNetwork, type TestNetwork } from './chain-fixture.ts';
import { GATEWAY_URL, PROVIDER_URL, type ScriptedGateway, stakedGateway } from './scripted-gateway.ts';

export interface WatchWorld {
  readonly net: TestNetwork;
  readonly auditor: Awaited<ReturnType<TestNetwork['party']>>;
  readonly gateway: ScriptedGateway;
  readonly folder: string;
  /** What watchers have said. */
  lines: string[];
  /** A watcher over the folder of this test: a second one is the first after a restart. */
  watcher(change?: Partial<WatchOptions>): Watcher;
  /** A look that proves nothing, sends nothing and says nothing. */
  quiet(look: ReturnType<Watcher['look']>): Promise<void>;
  /** Transactions of the auditor so far. */
  sent(): Promise<number>;
  isConvicted(account: `0x${string}`): Promise<boolean>;
}

/** Registers what makes and ends it; its members are there within tests. */
export function watchWorld(): WatchWorld {
  const world = { lines: [] as string[] } as { -readonly [K in keyof WatchWorld]: WatchWorld[K] };
  let seed = 0;
  beforeAll(async () => {
    world.net = await startNetwork();
  }, 120_000);
  afterAll(() => world.net?.stop());
  beforeEach(async () => {
    world.auditor = await world.net.party(20n);
    world.gateway = await stakedGateway(world.net);
    world.folder = mkdtempSync(path.join(tmpdir(), 'assay-watch-'));
    world.lines = [];
  }, 60_000);
  afterEach(() => rmSync(world.folder, { recursive: true, force: true }));
  world.watcher = (change = {}) =>
    new Watcher(
      {
        ...{ chain: world.auditor.chain, gateway: GATEWAY_URL, stateFolder: path.join(world.folder, 'state') },
        ...{ providers: [PROVIDER_URL], saved: null, provider: null },
        ...{ openingOf: async () => null, recover: recoverNative, ...change },
      },
      {
        fetch: (url) => world.gateway.fetch(url),
        // A second passes on the chain for each that is waited for; deadlines of calls never end.
        clock: createClock({
          now: () => 0,
          after: (ms, callback) => {
            if (ms === 1_000) void world.net.pass(1).then(callback);
            return () => undefined;
          },
        }),
        print: (line) => void world.lines.push(line),
        rng: { bytes: (length) => new Uint8Array(length).fill(++seed) },
      },
    );
  world.sent = () => world.auditor.chain.client.getTransactionCount({ address: world.auditor.chain.sender });
  world.quiet = async (look) => {
    const before = await world.sent();
    expect(await look, world.lines.join('\n')).toEqual({ proven: 0, problems: 0 });
    expect([await world.sent(), world.lines]).toEqual([before, []]);
  };
  world.isConvicted = async (account) => (await accountOf(world.auditor.chain, account))!.convictedAt !== 0;
  return world;
}
