/** One seed, run: the real gateway and the real providers over virtual time, and everything that the checkers look at. */
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Address } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import type { DeskMove } from '../../gateway/dispute/desk.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Store } from '../../gateway/store/handle.ts';
import type { Provider } from '../../provider/app.ts';
import { createMemoryStore } from '../../provider/store/memory.ts';
import { type Cheat, cheatOf } from '../fixtures/cheats.ts';
import type { Handler } from '../fixtures/cheats-wire.ts';
import { API_KEY, LIMITS, makeProvider, startGateway, temporaryStore, type World } from '../fixtures/network.ts';
import { FastKeys } from './fast-signer.ts';
import { FAULTS_END_MS, type MachinePlan, type RequestPlan, type Scenario } from './scenario.ts';
import { SeededRng } from './seeded-rng.ts';
import { HONEST_JITTER, paced, TOY_MODEL, toyMachine } from './toy-machine.ts';
import { VirtualClock } from './virtual-clock.ts';
import { type Host, Wire } from './wire.ts';

/** Everything must have ended by then: the longest deadline is a job's, two minutes. */
const PATIENCE_MS = 600_000;

/** What a client got. */
export interface Answer {
  readonly plan: RequestPlan;
  /** 0 where the client had left before there was any. */
  readonly status: number;
  readonly text: string;
  readonly requestText: string;
}

export interface Machine {
  readonly plan: MachinePlan;
  readonly signer: Signer;
}

/** A finished run. */
export interface Run {
  readonly scenario: Scenario;
  readonly answers: readonly Answer[];
  readonly machines: readonly Machine[];
  readonly gateway: Gateway;
  readonly gatewayAddress: Address;
  readonly store: Store;
  readonly keys: FastKeys;
  readonly moves: readonly DeskMove[];
  /** What a provider answers to a GET, over a calm wire. */
  readonly get: (url: string) => Promise<unknown>;
  /** Virtual events; equal for two runs of one seed. */
  readonly events: number;
  close(): Promise<void>;
}

/** A gateway that does something else with its calls than the honest one. */
export type GatewayLie = (fetch: Fetch, signer: Signer) => Fetch;

/** @throws {StalledError} when something hangs */
export async function simulate(scenario: Scenario, lie?: GatewayLie): Promise<Run> {
  const clock = new VirtualClock();
  const rng = new SeededRng(`run ${scenario.seed}`);
  const keys = new FastKeys();
  const world: World = { clock, recover: keys.recover, rng: (name) => rng.branch(name) };
  const wire = new Wire(clock, rng.branch('wire'), scenario.faults);
  const signer = keys.signer('gateway');
  const { store, remove } = await temporaryStore(false);
  const moves: DeskMove[] = [];
  const machines = scenario.machines.map((plan) => ({ plan, signer: keys.signer(plan.name) }));
  for (const machine of machines) plugIn(machine, { scenario, world, wire, keys, gateway: signer.address });
  const referee = { plan: REFEREE, signer: keys.signer('referee') };
  plugIn(referee, { scenario, world, wire, keys, gateway: signer.address });
  const urls = [
    ...machines.map(({ plan }) => ({ url: `http://${plan.name}`, role: 'member' as const })),
    { url: 'http://referee', role: 'referee' as const },
  ];
  // Admission is not what is tested here: it goes over a calm wire.
  const calm = new Wire(clock, rng.branch('calm'), { ...scenario.faults, untilMs: 0 });
  for (const [name, host] of wire.hosts) calm.hosts.set(name, host);
  let admitting = true;
  const calls = lie?.(wire.fetch, signer) ?? wire.fetch;
  const gateway = await clock.run(
    startGateway(
      {
        ...world,
        store,
        signer,
        model: TOY_MODEL,
        limits: { epochSize: scenario.epochSize ?? LIMITS.epochSize },
        fetch: (url, init) => (admitting ? calm.fetch : calls)(url, init),
        onMove: (move) => moves.push(move),
      },
      urls,
    ),
  );
  admitting = false;
  const fates = machines.map(({ plan }) => fateOf(plan, clock, wire.hosts.get(plan.name)!));
  const asking = scenario.requests.map((plan) => ask(plan, clock, gateway));
  const answers = await clock.run(Promise.all(asking));
  await clock.run(Promise.all(fates));
  await clock.run(comeToRest(gateway, clock));
  const close = async () => {
    await clock.run(gateway.stop());
    await remove();
  };
  const gatewayAddress = signer.address;
  const get = (url: string) => clock.run(calm.fetch(url, {}).then((response): Promise<unknown> => response.json()));
  const { events } = clock;
  return { scenario, answers, machines, gateway, gatewayAddress, store, keys, moves, get, events, close };
}

const REFEREE: MachinePlan = {
  name: 'referee',
  cheat: null,
  jitter: false,
  eighthMs: 5,
  diesAtMs: null,
  returnsAtMs: null,
};

interface SimulatedHost extends Host {
  start(): void;
  stop(): void;
}

function plugIn(
  { plan, signer }: Machine,
  parts: { scenario: Scenario; world: World; wire: Wire; keys: FastKeys; gateway: Address },
): void {
  const { scenario, world, wire, keys, gateway } = parts;
  const honest = toyMachine(plan.jitter ? { jitter: HONEST_JITTER, classSalt: plan.name } : {});
  const other = toyMachine({ salt: scenario.colluding ? 'cheap' : `cheap ${plan.name}` });
  const tools = { signer, domain: LOCAL_DOMAIN, other, forger: keys.signer('forger') };
  const cheat: Cheat = plan.cheat === null ? {} : cheatOf(plan.cheat);
  const engine = paced(cheat.engine?.(honest, tools) ?? honest, world.clock, plan.eighthMs);
  const providerStore = createMemoryStore();
  let provider: Provider | null = null;
  const direct: Handler = async (request) => provider!.app.fetch(request);
  const handle = cheat.wire?.(direct, tools) ?? direct;
  const host: SimulatedHost = {
    handle,
    alive: true,
    start() {
      const { name } = plan;
      const role = name === 'referee' ? 'referee' : 'member';
      const { digest, id: modelId } = TOY_MODEL;
      provider = makeProvider({ ...world, name, role, signer, gateway, digest, modelId, engine, store: providerStore });
      host.alive = true;
    },
    stop() {
      host.alive = false;
      provider!.close();
    },
  };
  host.start();
  wire.hosts.set(plan.name, host);
}

async function fateOf({ diesAtMs, returnsAtMs }: MachinePlan, clock: VirtualClock, host: Host): Promise<void> {
  if (diesAtMs === null) return;
  const simulated = host as SimulatedHost;
  await clock.sleep(diesAtMs - clock.nowMs());
  simulated.stop();
  if (returnsAtMs === null) return;
  await clock.sleep(returnsAtMs - clock.nowMs());
  simulated.start();
}

async function ask(plan: RequestPlan, clock: VirtualClock, gateway: Gateway): Promise<Answer> {
  await clock.sleep(plan.atMs - clock.nowMs());
  const left = new AbortController();
  const over = new AbortController();
  if (plan.leavesAfterMs !== null) {
    clock.sleep(plan.leavesAfterMs, over.signal).then(
      () => left.abort(new Error('the client hung up')),
      () => undefined,
    );
  }
  const requestText = JSON.stringify(plan.body);
  const request = new Request('http://gateway/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: requestText,
    signal: left.signal,
  });
  const answering = (async () => {
    const response = await gateway.app.fetch(request);
    return { status: response.status, text: await readUntil(response, left.signal, over.signal) };
  })();
  const gone = new Promise<{ status: number; text: string }>((resolve) =>
    left.signal.addEventListener('abort', () => resolve({ status: 0, text: '' }), { once: true, signal: over.signal }),
  );
  const { status, text } = await Promise.race([answering, gone]);
  // A client that has left: what the gateway still says is read by nobody, and must end all the same.
  await answering.catch(() => undefined);
  over.abort();
  return { plan, status: left.signal.aborted ? 0 : status, text, requestText };
}

/** Reads a body until its end, or cancels it as a socket does when its client hangs up. */
async function readUntil(response: Response, signal: AbortSignal, over: AbortSignal): Promise<string> {
  if (response.body === null) return '';
  const reader = response.body.getReader();
  signal.addEventListener('abort', () => void reader.cancel(signal.reason), { once: true, signal: over });
  if (signal.aborted) await reader.cancel(signal.reason);
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
  }
}

/** Lets disputes end and rulings become final, well after the last fault. */
async function comeToRest(gateway: Gateway, clock: VirtualClock): Promise<void> {
  await gateway.settled();
  await clock.sleep(Math.max(0, FAULTS_END_MS - clock.nowMs()) + PATIENCE_MS);
  await gateway.tick();
  await gateway.settled();
}
