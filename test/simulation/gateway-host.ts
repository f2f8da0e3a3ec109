/** The gateway as a process: it crashes where the world is touched, and starts again over the same database with nothing else. */
import type { Clock } from '#protocol/env';
import { fromHex, toHex } from '#protocol/hash';
import { merkleRoot } from '#protocol/merkle';
import type { Gateway } from '../../gateway/gateway.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { logRange, logSize } from '../../gateway/store/log-repo.ts';
import { createGateway, type GatewayParts, startGateway } from '../fixtures/network.ts';
import type { Door } from './client.ts';
import { Life } from './life.ts';
import { FAULTS_END_MS, type GatewayCrash } from './scenario.ts';

/** What the database held when a life had ended: nothing of it may ever be taken back. */
export interface Remains {
  readonly leaves: readonly string[];
  readonly checkpoints: readonly { readonly size: number; readonly root: string; readonly note: string | null }[];
}

/** Between ticks: a second in the program; longer here, since most of them find nothing to do. */
const TICK_MS = 15_000;
/** Between lives where nobody has said how long. */
const DOWN_MS = 1_000;
/** Ten minutes of virtual time: longer than any planned downtime. */
const STEADY_MS = 600_000;

type HostParts = GatewayParts & { readonly fetch: Fetch };
type Urls = Parameters<typeof startGateway>[1];

export class GatewayHost implements Door {
  life: Life | null = null;
  readonly remains: Remains[] = [];
  readonly #parts: HostParts;
  readonly #clock: Clock;
  readonly #crashes: GatewayCrash[];
  #gateway: Gateway | null = null;
  #lives = 0;

  /** @param parts the world's own clock, store and wire; each life gets them through itself */
  constructor(parts: HostParts, crashes: readonly GatewayCrash[]) {
    this.#parts = parts;
    this.#clock = parts.clock;
    this.#crashes = [...crashes];
  }

  /** The running instance. @throws {Error} while there is none */
  get gateway(): Gateway {
    if (!this.#gateway) throw new Error('the gateway is down');
    return this.#gateway;
  }

  /** The first life begins with admission, in peace; after that crashes may come. */
  async begin(urls: Urls): Promise<void> {
    const life = this.#bear();
    this.#gateway = await startGateway(this.#mortal(life), urls);
    this.life = life;
    this.#arm(life);
    void this.#tickUntilFaultsEnd();
  }

  /** What the program does on a timer, from life to life; a life that dies in it takes its tick along. */
  async #tickUntilFaultsEnd(): Promise<void> {
    while (this.#clock.nowMs() < FAULTS_END_MS) {
      await this.#clock.sleep(TICK_MS);
      // A failing database is nothing that a tick could mend: the next one comes.
      void this.#gateway?.tick().catch(() => undefined);
    }
  }

  async handle(request: Request): Promise<Response> {
    const { life } = this;
    const gateway = this.#gateway;
    if (!life?.alive || !gateway) throw new TypeError('connection refused');
    const response = await life.through(async () => gateway.app.fetch(request));
    const { status, headers } = response;
    return new Response(response.body && life.body(response.body), { status, headers });
  }

  /** Waits until a life runs that will not end. @throws {Error} where none comes */
  async steady(): Promise<void> {
    for (let waitedMs = 0; !this.life?.alive || !this.#gateway; waitedMs += 1_000) {
      if (waitedMs > STEADY_MS) throw new Error('the gateway is down');
      await this.#clock.sleep(1_000);
    }
    this.life.crashAfter(null);
  }

  #bear(): Life {
    this.#lives++;
    return new Life();
  }

  #mortal(life: Life): GatewayParts {
    const { clock, store, fetch, rng } = this.#parts;
    const lives = this.#lives;
    return {
      ...this.#parts,
      clock: life.clock(clock),
      store: life.store(store),
      fetch: life.fetch(fetch),
      rng: (name) => rng(lives === 1 ? name : `${name} ${lives}`),
    };
  }

  #arm(life: Life): void {
    const crash = this.#crashes.shift();
    life.cut.addEventListener('abort', () => void this.#afterlife(crash ? crash.downMs : DOWN_MS), { once: true });
    life.crashAfter(crash?.afterCrossings ?? null);
  }

  async #afterlife(downMs: number | null): Promise<void> {
    this.#gateway = null;
    if (downMs === null) return;
    await this.#clock.sleep(downMs);
    this.remains.push(await remainsOf(this.#parts.store));
    const life = this.#bear();
    const gateway = createGateway(this.#mortal(life));
    this.life = life;
    this.#arm(life);
    // A life that dies while it starts never gets here.
    await gateway.start();
    this.#gateway = gateway;
  }
}

export async function remainsOf(store: Store): Promise<Remains> {
  return store.read(async (handle) => {
    const leaves = await logRange(handle, 0, await logSize(handle));
    const rows = await handle.db.select().from(handle.tables.checkpoints);
    return {
      leaves: leaves.map(({ leafHash }) => leafHash),
      checkpoints: rows.map(({ size, root, note }) => ({ size, root, note })),
    };
  });
}

/** Root of the first `size` leaves. */
export function rootOf(leaves: readonly string[], size: number): string {
  return toHex(merkleRoot(leaves.slice(0, size).map((leaf) => fromHex(leaf as `0x${string}`))));
}
