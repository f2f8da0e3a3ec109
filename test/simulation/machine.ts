/** One provider as a process that crashes, loses its disk and has a wrong clock; its store outlives it. */
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import type { Address } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import { createMemoryStore } from '../../provider/store/memory.ts';
import type { ProviderStore } from '../../provider/store/store.ts';
import { type Cheat, cheatOf } from '../fixtures/cheats.ts';
import type { Handler } from '../fixtures/cheats-wire.ts';
import { makeProvider, type World } from '../fixtures/network.ts';
import type { FastKeys } from './fast-signer.ts';
import { Life } from './life.ts';
import type { DiskFault, MachinePlan, Scenario } from './scenario.ts';
import { HONEST_JITTER, paced, TOY_MODEL, toyMachine, underSeed } from './toy-machine.ts';
import type { Host } from './wire.ts';
import type { Witness } from './witness.ts';

export interface Machine {
  readonly plan: MachinePlan;
  readonly signer: Signer;
}

export interface SimulatedHost extends Host {
  /** A new life over what the store holds. */
  start(): void;
  stop(): void;
  /** Its clock goes wrong, if the plan has it so: one that is wrong from the start is not admitted. */
  skew(): void;
  readonly life: Life;
}

export interface MachineParts {
  readonly scenario: Scenario;
  readonly world: World;
  readonly keys: FastKeys;
  readonly gateway: Address;
  readonly witness: Witness;
  /** False forgets everything at a crash: the mutation that shows what the store is for. */
  readonly remembers?: boolean;
}

export function createMachine({ plan, signer }: Machine, parts: MachineParts): SimulatedHost {
  const { scenario, world, keys, gateway, witness } = parts;
  const other = toyMachine({ salt: scenario.colluding ? 'cheap' : `cheap ${plan.name}` });
  const tools = { signer, domain: LOCAL_DOMAIN, other, forger: keys.signer('forger') };
  const cheat: Cheat = plan.cheat === null ? {} : cheatOf(plan.cheat);
  let disk = createMemoryStore();
  let life = new Life();
  let direct: Handler = () => Promise.reject(new TypeError('connection refused'));
  let lives = 0;
  let isSkewed = false;
  const handler = cheat.wire?.((request) => direct(request), tools) ?? ((request) => direct(request));
  const host: SimulatedHost = {
    alive: false,
    get life() {
      return life;
    },
    handle: async (request) => {
      const now = life;
      const response = await now.through(() => handler(request));
      const { status, headers } = response;
      const body =
        response.body && now.body(plan.cheat === null ? witness.stream(plan.name, response.body) : response.body);
      return new Response(body, { status, headers });
    },
    start() {
      const mine = new Life();
      life = mine;
      mine.cut.addEventListener('abort', () => {
        host.alive = false;
      });
      if (parts.remembers === false) disk = createMemoryStore();
      const clock = mine.clock(world.clock, () => (isSkewed ? (plan.skewMs ?? 0) : 0));
      const honest = toyMachine(plan.jitter ? { jitter: HONEST_JITTER, classSalt: plan.name } : {});
      const lying = cheat.engine?.(honest, tools) ?? honest;
      const provider = makeProvider({
        ...world,
        clock,
        rng: (name) => world.rng(lives === 1 ? name : `${name} ${lives}`),
        name: plan.name,
        role: plan.name === 'referee' ? 'referee' : 'member',
        signer,
        gateway,
        digest: TOY_MODEL.digest,
        modelId: TOY_MODEL.id,
        engine: paced(underSeed(plan.liesUnderSeed, lying, honest), clock, plan.eighthMs),
        store: mortalStore(disk, mine, world.clock, plan.disk ?? null),
      });
      direct = async (request) => provider.app.fetch(request);
      host.alive = true;
    },
    stop() {
      life.crash();
    },
    skew() {
      isSkewed = true;
    },
  };
  const start = host.start;
  host.start = () => {
    lives++;
    start();
  };
  host.start();
  return host;
}

const WRITES = [
  'addJob',
  'closeJob',
  'addChunk',
  'addRoot',
  'addClaim',
  'addScore',
  'addTwoRoots',
  'checkWritable',
] as const;

/** A store that its process may die before or after each write of, and that takes no write while its disk is full. */
function mortalStore(store: ProviderStore, life: Life, clock: Clock, fault: DiskFault | null): ProviderStore {
  const mortal: Record<string, unknown> = { ...store };
  for (const name of WRITES) {
    const write = store[name] as (...values: unknown[]) => unknown;
    mortal[name] = (...values: unknown[]) => {
      if (!life.cross()) throw new Error('cut off');
      const nowMs = clock.nowMs();
      if (fault && nowMs >= fault.fromMs && nowMs < fault.untilMs) throw new Error('no space left on device');
      const value = write(...values);
      if (!life.cross()) throw new Error('cut off');
      return value;
    };
  }
  return mortal as unknown as ProviderStore;
}
