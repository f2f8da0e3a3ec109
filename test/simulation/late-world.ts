/** A network in virtual time whose members may be stuck past every deadline of a round: who is late is heard afterwards. */
import type { Address } from '#protocol/hash';
import { parseSavedResponse } from '#protocol/verify-saved';
import type { Gateway } from '../../gateway/gateway.ts';
import type { GatewayLimits } from '../../gateway/gateway-deps.ts';
import { clientAccount, earningsAccount } from '../../gateway/ledger/accounts.ts';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import type { Handler } from '../fixtures/cheats-wire.ts';
import { API_KEY, makeProvider, RESERVE_NANO, startGateway, temporaryStore } from '../fixtures/network.ts';
import { FastKeys } from './fast-signer.ts';
import { SeededRng } from './seeded-rng.ts';
import { TOY_MODEL, toyMachine } from './toy-machine.ts';
import { VirtualClock } from './virtual-clock.ts';
import { CALM, Wire } from './wire.ts';

/** Longer than any deadline of a round, shorter than a job's. */
export const STUCK_MS = 30_000;

export interface LateWorld {
  readonly clock: VirtualClock;
  readonly gateway: Gateway;
  readonly store: Store;
  readonly addressOf: (name: string) => Address;
  ask(fields?: object): Promise<{ status: number; body: LateBody }>;
  get(path: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface LateBody {
  readonly assay: { readonly id: string; readonly verdict: string; readonly agreement: unknown };
}

/** An engine that does nothing for `stuckMs` of its call, as a machine whose disk is full does. */
export function stuck(engine: Engine, clock: VirtualClock, stuckMs: (call: number) => number): Engine {
  let calls = 0;
  return {
    ...engine,
    generate: (request) =>
      (async function* () {
        await clock.sleep(stuckMs(calls++));
        yield* engine.generate(request);
      })(),
  };
}

export const stuckOnce = (engine: Engine, clock: VirtualClock) =>
  stuck(engine, clock, (call) => (call === 0 ? STUCK_MS : 0));

/** Three staked members that are always drawn, and two honest ones that are left for scoring. */
export async function startWorld(
  drawn: Readonly<Record<string, (clock: VirtualClock) => Engine>>,
  limits: Partial<GatewayLimits> = {},
  firstScorer = toyMachine(),
  wrap: (name: string, handle: Handler, clock: VirtualClock) => Handler = (_, handle) => handle,
): Promise<LateWorld> {
  const clock = new VirtualClock();
  const rng = new SeededRng('witness');
  const keys = new FastKeys();
  const world = { clock, recover: keys.recover, rng: (name: string) => rng.branch(name) };
  const wire = new Wire(clock, rng.branch('wire'), CALM);
  const signer = keys.signer('gateway');
  const plug = (name: string, engine: Engine) => {
    const role = name === 'referee' ? ('referee' as const) : ('member' as const);
    const { digest, id: modelId } = TOY_MODEL;
    const parts = { name, role, signer: keys.signer(name), gateway: signer.address, digest, modelId, engine };
    const provider = makeProvider({ ...world, ...parts });
    const handle = wrap(name, async (request) => provider.app.fetch(request), clock);
    wire.hosts.set(name, { handle, alive: true });
    return { url: `http://${name}`, role };
  };
  const members = Object.entries(drawn).map(([name, engine]) => plug(name, engine(clock)));
  const others = ['scorer-a', 'scorer-b', 'referee'].map((name) =>
    plug(name, name === 'scorer-a' ? firstScorer : toyMachine()),
  );
  const { store, remove } = await temporaryStore(false);
  const gateway = await clock.run(
    startGateway({ ...world, store, signer, model: TOY_MODEL, fetch: wire.fetch, limits }, members),
  );
  // With next to no stake they are drawn last.
  await clock.run(gateway.admit(others, { reserveNano: RESERVE_NANO, stakeNano: 1n }));
  const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
  return {
    clock,
    gateway,
    store,
    addressOf: (name) => keys.signer(name).address,
    async ask(fields = {}) {
      const request = new Request('http://gateway/v1/chat/completions', {
        method: 'POST',
        headers,
        body: JSON.stringify({
          model: TOY_MODEL.id,
          temperature: 0,
          max_tokens: 12,
          messages: [{ role: 'user', content: 'Who is late?' }],
          verification: { mode: 'quorum', n: 3, agree: 2 },
          ...fields,
        }),
      });
      const response = await clock.run(Promise.resolve(gateway.app.fetch(request)));
      const text = await clock.run(response.text());
      // Of a stream the same member stands in its last chunk.
      const body = text.startsWith('{') ? JSON.parse(text) : { assay: parseSavedResponse(text)?.assay };
      return { status: response.status, body: body as LateBody };
    },
    async close() {
      await clock.run(gateway.stop());
      await remove();
    },
    async get(path) {
      const response = await clock.run(
        Promise.resolve(gateway.app.fetch(new Request(`http://gateway${path}`, { headers }))),
      );
      return clock.run(response.json());
    },
  };
}

const balance = (store: Store, account: string) => store.read((handle) => balanceNano(handle, account));
export const fundsOf = (store: Store) => balance(store, clientAccount('key-test'));
export const earningsOf = (store: Store, address: Address) => balance(store, earningsAccount(address));

export async function rulings(store: Store): Promise<Record<string, string | null>> {
  const disputes = await store.read((handle) => listDisputes(handle, { limit: 100 }));
  return Object.fromEntries(disputes.map(({ provider, ruling }) => [provider, ruling]));
}
