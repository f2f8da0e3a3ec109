/** One seed, run: the real gateway and the real providers over virtual time, and everything that the checkers look at. */
import type { Address } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import type { DeskMove } from '../../gateway/dispute/desk.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { askTwice, replayOrders, type SideCall } from '../fixtures/cheats-gateway.ts';
import { LIMITS, temporaryStore, type World } from '../fixtures/network.ts';
import { type Answer, ask } from './client.ts';
import { FastKeys } from './fast-signer.ts';
import { GatewayHost, type Remains } from './gateway-host.ts';
import { createMachine, type Machine, type SimulatedHost } from './machine.ts';
import { FAULTS_END_MS, type MachinePlan, type Scenario } from './scenario.ts';
import { SeededRng } from './seeded-rng.ts';
import { TOY_MODEL } from './toy-machine.ts';
import { VirtualClock } from './virtual-clock.ts';
import { CALM, Wire } from './wire.ts';
import { Witness } from './witness.ts';

export type { Answer } from './client.ts';

/** Everything must have ended by then: the longest deadline is a job's, two minutes. */
const PATIENCE_MS = 600_000;

/** Between two looks for audits that are due, once everything else has come to rest. */
const AUDIT_TICK_MS = 60_000;

/** A finished run. */
export interface Run {
  readonly scenario: Scenario;
  /** The last try of every request. */
  readonly answers: readonly Answer[];
  /** Every try of every request, and the probe's. */
  readonly tries: readonly Answer[];
  /** What a client gets once faults have stopped; null where the scenario has no probe. */
  readonly probe: Answer | null;
  readonly machines: readonly Machine[];
  readonly gateway: Gateway;
  readonly gatewayAddress: Address;
  readonly store: Store;
  readonly keys: FastKeys;
  readonly moves: readonly DeskMove[];
  readonly witness: Witness;
  /** What providers said to a gateway that lies: each call is one that they must refuse. */
  readonly sideCalls: readonly SideCall[];
  /** The database after each crash. */
  readonly remains: readonly Remains[];
  /** What a provider answers to a GET, over a calm wire. */
  readonly get: (url: string) => Promise<unknown>;
  /** Virtual events; equal for two runs of one seed. */
  readonly events: number;
  close(): Promise<void>;
}

/** A gateway that does something else with its calls than the honest one. */
export type GatewayLie = (fetch: Fetch, signer: Signer, calls: SideCall[]) => Fetch;

const LIES = { ask_twice: askTwice, replay_orders: replayOrders } as const;

export interface SimulateOptions {
  readonly lie?: GatewayLie;
  /** False makes providers forget everything at a crash: a mutation for the checkers. */
  readonly machinesRemember?: boolean;
}

const REFEREE: MachinePlan = {
  name: 'referee',
  cheat: null,
  jitter: false,
  eighthMs: 5,
  diesAtMs: null,
  returnsAtMs: null,
};

/** @throws {StalledError} when something hangs */
export async function simulate(scenario: Scenario, options: SimulateOptions = {}): Promise<Run> {
  const clock = new VirtualClock();
  const rng = new SeededRng(`run ${scenario.seed}`);
  const keys = new FastKeys();
  const world: World = { clock, recover: keys.recover, rng: (name) => rng.branch(name) };
  const wire = new Wire(clock, rng.branch('wire'), scenario.faults);
  const signer = keys.signer('gateway');
  const witness = new Witness();
  const { store, remove } = await temporaryStore(false);
  const moves: DeskMove[] = [];
  const machines = scenario.machines.map((plan) => ({ plan, signer: keys.signer(plan.name) }));
  const remembers = options.machinesRemember ?? true;
  const parts = { scenario, world, keys, gateway: signer.address, witness, remembers };
  const hosts = machines.map((machine) => createMachine(machine, parts));
  const referee = createMachine({ plan: REFEREE, signer: keys.signer('referee') }, parts);
  for (const [i, host] of hosts.entries()) wire.hosts.set(machines[i]!.plan.name, host);
  wire.hosts.set('referee', referee);
  // Admission is not what is tested here: it goes over a calm wire.
  const calm = new Wire(clock, rng.branch('calm'), { ...CALM, latencyMaxMs: 1 });
  for (const [name, host] of wire.hosts) calm.hosts.set(name, host);
  const sideCalls: SideCall[] = [];
  const lie = options.lie ?? (scenario.gatewayLie && LIES[scenario.gatewayLie]);
  const calls = witness.fetch(lie?.(wire.fetch, signer, sideCalls) ?? wire.fetch);
  const gateways = new GatewayHost(
    {
      ...world,
      store,
      signer,
      model: TOY_MODEL,
      limits: {
        epochSize: scenario.epochSize ?? LIMITS.epochSize,
        audits: { ...LIMITS.audits, ...scenario.audits },
      },
      fetch: (url, init) => (gateways.life === null ? calm.fetch : calls)(url, init),
      onMove: (move) => moves.push(move),
      packInPlaceBytesMax: Number.POSITIVE_INFINITY,
    },
    scenario.gatewayCrashes ?? [],
  );
  await clock.run(
    gateways.begin([
      ...machines.map(({ plan }) => ({ url: `http://${plan.name}`, role: 'member' as const })),
      { url: 'http://referee', role: 'referee' as const },
    ]),
  );
  for (const host of hosts) host.skew();
  const fates = machines.map(({ plan }, i) => fateOf(plan, clock, hosts[i]!));
  const asked = await clock.run(Promise.all(scenario.requests.map((plan) => ask(plan, clock, gateways))));
  await clock.run(Promise.all(fates));
  const probed = await clock.run(comeToRest(gateways, clock, scenario));
  return {
    scenario,
    answers: asked.map((tries) => tries.at(-1)!),
    tries: [...asked.flat(), ...probed],
    probe: probed.at(-1) ?? null,
    machines,
    gateway: gateways.gateway,
    gatewayAddress: signer.address,
    store,
    keys,
    moves,
    witness,
    sideCalls,
    remains: gateways.remains,
    get: (url) => clock.run(calm.fetch(url, {}).then((response): Promise<unknown> => response.json())),
    events: clock.events,
    close: async () => {
      await clock.run(gateways.gateway.stop());
      await remove();
    },
  };
}

/** Deaths at an instant, and the return from these and from those at a touch of the world. */
async function fateOf(plan: MachinePlan, clock: VirtualClock, host: SimulatedHost): Promise<void> {
  const { diesAtMs, returnsAtMs, crash } = plan;
  if (crash) {
    const { life } = host;
    life.crashAfter(crash.afterCrossings);
    const end = FAULTS_END_MS - clock.nowMs();
    await Promise.race([clock.sleep(end), new Promise((died) => life.cut.addEventListener('abort', died))]);
    life.crashAfter(null);
    if (life.alive) return;
    await clock.sleep(crash.downMs);
    host.start();
    return;
  }
  if (diesAtMs === null) return;
  await clock.sleep(diesAtMs - clock.nowMs());
  host.stop();
  if (returnsAtMs === null) return;
  await clock.sleep(returnsAtMs - clock.nowMs());
  host.start();
}

/** Lets disputes end and rulings become final, well after the last fault; then asks once more. */
async function comeToRest(gateways: GatewayHost, clock: VirtualClock, scenario: Scenario): Promise<Answer[]> {
  const { probe, audits } = scenario;
  await clock.sleep(Math.max(0, FAULTS_END_MS - clock.nowMs()));
  await gateways.steady();
  await gateways.gateway.settled();
  // Audits that nobody could be had for while things failed are tried again until their time is over.
  for (let leftMs = audits ? audits.delayMs + audits.withinMs : 0; leftMs > 0; leftMs -= AUDIT_TICK_MS) {
    await clock.sleep(AUDIT_TICK_MS);
    await gateways.gateway.tick();
    await gateways.gateway.settled();
  }
  await clock.sleep(PATIENCE_MS);
  const probed = probe === undefined ? [] : await ask({ ...probe, atMs: clock.nowMs() }, clock, gateways);
  await gateways.gateway.settled();
  await clock.sleep(PATIENCE_MS);
  await gateways.gateway.tick();
  await gateways.gateway.settled();
  return probed;
}
