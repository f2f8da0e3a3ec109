/** `fetch` without sockets: requests go straight to apps, through latency and faults that a seed decides. */
import type { Clock } from '#protocol/env';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Handler } from '../fixtures/cheats-wire.ts';
import type { SeededRng } from './seeded-rng.ts';

/** Faults of the network; all durations in virtual milliseconds. */
export interface NetworkFaults {
  readonly latencyMaxMs: number;
  /** Probability that a call is lost: nothing ever comes back. */
  readonly lossChance: number;
  /** Probability that a call is refused at once. */
  readonly refuseChance: number;
  /** Probability that a call arrives twice: every ticket and permission may be replayed. */
  readonly duplicateChance: number;
  /** Probability, per piece of a body, that the connection breaks. */
  readonly breakChance: number;
  /** Probability, per piece of a body, of a pause, and how long it is. */
  readonly pauseChance: number;
  readonly pauseMs: number;
  /** Probability that a call is overtaken by later ones, and by how much. */
  readonly lateChance?: number;
  readonly lateMs?: number;
  readonly partitions?: readonly Partition[];
  /** From when on nothing fails any more. */
  readonly untilMs: number;
}

/** One machine cut off from the gateway, in one direction or both. */
export interface Partition {
  readonly host: string;
  /** `to`: nothing reaches the machine; `from`: it hears and does everything, and nobody hears of it until the end. */
  readonly direction: 'to' | 'from' | 'both';
  readonly fromMs: number;
  readonly untilMs: number;
}

export const CALM: NetworkFaults = {
  latencyMaxMs: 20,
  lossChance: 0,
  refuseChance: 0,
  duplicateChance: 0,
  breakChance: 0,
  pauseChance: 0,
  pauseMs: 0,
  untilMs: 0,
};

type Chance = Extract<keyof NetworkFaults, `${string}Chance`>;

/** One machine on the wire. */
export interface Host {
  handle: Handler;
  alive: boolean;
}

export class Wire {
  readonly hosts = new Map<string, Host>();
  readonly #clock: Clock;
  readonly #rng: SeededRng;
  readonly #faults: NetworkFaults;

  constructor(clock: Clock, rng: SeededRng, faults: NetworkFaults) {
    this.#clock = clock;
    this.#rng = rng;
    this.#faults = faults;
  }

  readonly fetch: Fetch = async (url, init) => {
    const { host: name } = new URL(url);
    const host = this.hosts.get(name);
    const signal = init.signal ?? new AbortController().signal;
    await this.#latency(signal);
    if (this.#faults.lateChance && this.#fails('lateChance'))
      await this.#clock.sleep(this.#rng.unit() * (this.#faults.lateMs ?? 0), signal);
    if (await this.#cut(name, 'to', signal)) throw new TypeError('connection timed out');
    if (this.#fails('refuseChance') || !host?.alive) throw new TypeError('connection refused');
    if (this.#fails('lossChance')) await never(signal);
    // Without its signal: Node 20 keeps a signal and all that listens to it as long as a Request that was made with it, and a life that
    // ends in the middle never stops listening. A machine hears that its caller has left as on a socket: its body is cancelled.
    const { signal: _signal, ...call } = init;
    if (this.#fails('duplicateChance')) void this.#replay(host, url, call);
    const response = await abortable(host.handle(new Request(url, call)), signal);
    await this.#latency(signal);
    await this.#cut(name, 'from', signal);
    if (!host.alive) throw new TypeError('connection reset');
    const body = response.body === null ? null : this.#pipe(response.body, { name, host }, signal);
    return new Response(body, { status: response.status, headers: response.headers });
  };

  /** The same call once more, some time later; nobody reads what comes back. */
  async #replay(host: Host, url: string, init: RequestInit): Promise<void> {
    await this.#latency(new AbortController().signal);
    const response = await host.handle(new Request(url, init));
    await response.text().catch(() => undefined);
  }

  /** A body whose pieces arrive later, or not at all. */
  #pipe(
    body: ReadableStream<Uint8Array>,
    { name, host }: { name: string; host: Host },
    signal: AbortSignal,
  ): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    const leave = (reason: unknown) => void reader.cancel(reason).catch(() => undefined);
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const { done, value } = await abortable(reader.read(), signal);
            await this.#latency(signal);
            await this.#cut(name, 'from', signal);
            if (this.#fails('pauseChance')) await this.#clock.sleep(this.#faults.pauseMs, signal);
            if (!host.alive || this.#fails('breakChance')) throw new TypeError('connection reset');
            if (done) controller.close();
            else controller.enqueue(value);
          } catch (error) {
            leave(error);
            controller.error(error);
          }
        },
        cancel: leave,
      },
      { highWaterMark: 0 },
    );
  }

  /** Waits for the end of a partition. @returns whether there was one */
  async #cut(host: string, direction: 'to' | 'from', signal: AbortSignal): Promise<boolean> {
    const nowMs = this.#clock.nowMs();
    const partition = this.#faults.partitions?.find(
      (cut) =>
        cut.host === host &&
        (cut.direction === direction || cut.direction === 'both') &&
        cut.fromMs <= nowMs &&
        nowMs < Math.min(cut.untilMs, this.#faults.untilMs),
    );
    if (!partition) return false;
    await this.#clock.sleep(partition.untilMs - nowMs, signal);
    return true;
  }

  async #latency(signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(1 + this.#rng.unit() * this.#faults.latencyMaxMs, signal);
  }

  #fails(kind: Chance): boolean {
    return this.#clock.nowMs() < this.#faults.untilMs && this.#rng.chance(this.#faults[kind]!);
  }
}

function never(signal: AbortSignal): Promise<never> {
  return abortable(new Promise<never>(() => undefined), signal);
}

/** What real sockets do when their caller leaves: everything still awaited fails at once. */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
