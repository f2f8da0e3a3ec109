/**
 * The built gateway on a real chain, in a process of its own that is killed with SIGKILL: at a call to its node, before or after the node
 * has heard it, or at any time, while blocks come and go. In the end everybody has what was earned, once (spec-chain.md C9).
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Address } from '#protocol/hash';
import { privateKeyText } from '#protocol/private-key';
import { earningsAccount, RESERVE } from '../../gateway/ledger/accounts.ts';
import { makeTransfer } from '../../gateway/ledger/transfer.ts';
import { intentCounts, redeemedUpTo } from '../../gateway/store/chain-outbox-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { applyTransfer, balanceNano } from '../../gateway/store/ledger-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { type GatewayProcess, type GatewaySettings, startGatewayProcess } from '../crash/gateway-process.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { writeLightModel } from '../fixtures/light-model.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { bornWorker, CONFIRMATIONS, ORIGIN } from './born-worker.ts';
import { checkEnd, claimedOf } from './check-end.ts';
import type { RpcProxy } from './rpc-proxy.ts';
import type { TestChain } from './test-chain.ts';

const BLOCK_SECONDS = 12;
const DAY_SECONDS = 86_400;
/** From the moment that it listens, for a life whose kill does not come by itself. */
const PATIENCE_MS = 4_000;
/** Between two things that happen in the world; the gateway looks at the chain as often. */
const PACE_MS = 60;
/** Lives and blocks in which a world without kills must come to rest. */
const RESTS_MAX = 4;
const REST_BLOCKS = 120;
/** Calls of one kind until the kill: a look makes some 10, of which few are of one kind. */
const NTH_MAX = 12;

/** Where a life ends. */
const KILL_METHODS = [
  'eth_sendRawTransaction',
  'eth_getTransactionReceipt',
  'eth_getLogs',
  'eth_estimateGas',
  'eth_getBlockByNumber',
  'eth_call',
] as const;

export interface KilledResult {
  readonly problems: readonly string[];
  /** Kills by what they came at. */
  readonly kills: Readonly<Record<string, number>>;
  readonly reorgs: number;
  readonly roots: number;
  readonly transactions: number;
}

/** @param lives that are killed, over one database */
export async function killGateway(
  chain: TestChain,
  proxy: RpcProxy,
  seed: string,
  lives: number,
): Promise<KilledResult> {
  await chain.reset();
  const folder = mkdtempSync(path.join(tmpdir(), 'assay-chain-kill-'));
  try {
    const world = new KilledWorld(chain, proxy, folder, seed);
    await world.begin();
    for (let life = 0; life < lives; life++) await world.life(life);
    return await world.end();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class KilledWorld {
  readonly #chain: TestChain;
  readonly #proxy: RpcProxy;
  readonly #rng: SeededRng;
  readonly #seed: string;
  readonly #settings: GatewaySettings;
  readonly #problems: string[] = [];
  readonly #kills: Record<string, number> = {};
  readonly #earned = new Map<Address, bigint>();
  #earnings = 0;
  #reorgs = 0;
  /** Largest voucher that the gateway has said to have taken. */
  #acknowledged = 0n;
  #asked = 0n;

  constructor(chain: TestChain, proxy: RpcProxy, folder: string, seed: string) {
    this.#chain = chain;
    this.#proxy = proxy;
    this.#seed = seed;
    this.#rng = new SeededRng(`chain-kill/${seed}`);
    const modelFolder = path.join(folder, 'light');
    writeLightModel(modelFolder);
    mkdirSync(path.join(folder, 'data'));
    writeFileSync(path.join(folder, 'key'), privateKeyText(chain.gateway.key), { mode: 0o600 });
    writeFileSync(path.join(folder, 'network.json'), chain.networkText);
    this.#settings = {
      ...{ dataFolder: path.join(folder, 'data'), keyFile: path.join(folder, 'key'), modelFolder },
      // Nobody is asked anything here: what providers earn comes from the ledger below.
      ...{ providers: ['http://127.0.0.1:9'], referee: 'http://127.0.0.1:10' },
      ...{ apiKey: 'sk-assay-chain-kill', logOrigin: ORIGIN },
      flags: [
        `--network=${path.join(folder, 'network.json')}`,
        `--rpc-url=${proxy.url}`,
        `--confirmations=${CONFIRMATIONS}`,
        `--chain-poll-ms=${PACE_MS}`,
        ...[
          '--root-ms=300',
          '--reconcile-ms=500',
          '--fee-bump-ms=300',
          '--fee-max-gwei=10000',
          '--voucher-least-nano=1000',
        ],
        ...['--client-nano=0', '--reserve-nano=0'],
      ],
    };
  }

  async begin(): Promise<void> {
    const { funder, client, gateway, providers, network } = this.#chain;
    for (const who of [funder, client]) {
      await this.#chain.send(who, 'token', 'approve', [network.addresses.Settlement, 10n ** 18n]);
    }
    for (const who of providers) await this.#chain.send(who, 'StakeRegistry', 'open', [`0x${'00'.repeat(32)}`]);
    await this.#chain.mine(BLOCK_SECONDS);
    await this.#chain.send(funder, 'Settlement', 'fund', [gateway.address, 10n ** 9n]);
    await this.#chain.send(client, 'Settlement', 'deposit', [gateway.address, 10n ** 9n]);
    for (let blocks = 0; blocks <= CONFIRMATIONS; blocks++) await this.#chain.mine(BLOCK_SECONDS);
  }

  /** One process from its start to its SIGKILL. */
  async life(number: number): Promise<void> {
    await this.#withStore((store) => this.#betweenLives(store));
    const rng = this.#rng.branch(`life ${number}`);
    const gateway = startGatewayProcess(this.#settings);
    let gone = false;
    void gateway.gone.then(() => {
      gone = true;
    });
    const name = this.#aim(rng, gateway);
    const url = await gateway.ready;
    const until = performance.now() + PATIENCE_MS;
    while (!gone && url !== null) {
      await this.#happen(rng, url);
      await delay(PACE_MS);
      if (performance.now() > until) gateway.kill();
    }
    await gateway.gone;
    this.#proxy.onCall = () => {};
    const said = gateway.stderr().replaceAll(/^.*does not answer yet\n/gm, '');
    if (said !== '') this.#problems.push(`life ${number} said: ${said.slice(0, 500)}`);
    if (gateway.child.signalCode !== 'SIGKILL')
      this.#problems.push(`life ${number} ended by itself: ${gateway.child.exitCode}`);
    this.#kills[name] = (this.#kills[name] ?? 0) + 1;
  }

  /** Decides where the life ends. @returns its name */
  #aim(rng: SeededRng, gateway: GatewayProcess): string {
    if (rng.chance(0.2)) {
      void delay(rng.between(50, PATIENCE_MS)).then(() => gateway.kill());
      return 'any time';
    }
    const [method, when] = [rng.pick([...KILL_METHODS]), rng.pick(['before', 'after'] as const)];
    // Transactions are few: the first one of a life is as good as any.
    let left = method === 'eth_sendRawTransaction' ? rng.between(1, 2) : rng.between(1, NTH_MAX);
    this.#proxy.onCall = (call) => {
      if (call.method === method && call.when === when && --left === 0) gateway.kill();
    };
    return `${method}, ${when}`;
  }

  /** Something in the world: blocks, a reorganisation, a payment, a claim. */
  async #happen(rng: SeededRng, url: string): Promise<void> {
    switch (rng.between(0, 7)) {
      case 0:
        if ((await this.#chain.takeBack(rng.between(1, CONFIRMATIONS))) > 0) this.#reorgs++;
        return;
      case 1:
        return this.#pay(rng, url);
      case 2:
        return this.#claim(rng.pick(this.#chain.providers), url);
      default:
        return this.#chain.mine(rng.chance(0.15) ? DAY_SECONDS : BLOCK_SECONDS);
    }
  }

  async #pay(rng: SeededRng, url: string): Promise<void> {
    this.#asked += BigInt(rng.between(1_000, 500_000));
    const voucher = this.#chain.voucher(this.#asked);
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(voucher) };
    const reply = await fetch(`${url}/v1/vouchers`, init).catch(() => null);
    if (reply?.ok) this.#acknowledged = this.#asked;
  }

  async #claim(provider: TestChain['providers'][number], url: string): Promise<void> {
    const reply = await fetch(`${url}/v1/earnings/${provider.address}`).catch(() => null);
    const proof: unknown = reply?.ok ? await reply.json().catch(() => null) : null;
    if (proof === null) return;
    const problem = await this.#chain.claim(provider, proof);
    if (problem !== null) this.#problems.push(problem);
  }

  /** While nobody runs: what was acknowledged is there, and somebody earns. */
  async #betweenLives(store: Store): Promise<void> {
    const taken = await store.read((handle) => redeemedUpTo(handle, this.#chain.client.address, 0n));
    if (taken < this.#acknowledged)
      this.#problems.push(`a voucher of ${this.#acknowledged} was taken, and ${taken} are there`);
    for (let jobs = this.#rng.between(1, 2); jobs > 0; jobs--) {
      const { address } = this.#rng.pick(this.#chain.providers);
      const wanted = BigInt(this.#rng.between(1, 5_000_000));
      await store.withTx(async (tx) => {
        const reserve = await balanceNano(tx, RESERVE);
        const amountNano = wanted < reserve ? wanted : reserve;
        if (amountNano === 0n) return;
        const leg = { from: RESERVE, to: earningsAccount(address), amountNano };
        const transfer = makeTransfer({ id: `close:kill-${this.#earnings++}`, reason: 'close' }, [leg]);
        await applyTransfer(tx, transfer, 0);
        this.#earned.set(address, (this.#earned.get(address) ?? 0n) + amountNano);
      });
    }
  }

  /** Nobody is killed any more; then everything is counted. */
  async end(): Promise<KilledResult> {
    // A world in which nobody has earned anything shows nothing.
    await this.#rest();
    await this.#withStore((store) => this.#betweenLives(store));
    let isAtRest = false;
    for (let rests = 0; rests < RESTS_MAX && !isAtRest; rests++) {
      await this.#rest();
      isAtRest = (await this.#withStore((store) => this.#isAtRest(store))) === true;
    }
    if (!isAtRest) this.#problems.push('did not come to rest');
    const end = await this.#withStore(async (store) => {
      const voucher = await store.read((handle) => redeemedUpTo(handle, this.#chain.client.address, 0n));
      const differences = await bornWorker(this.#chain, store, new HandClock()).compare();
      return checkEnd({ chain: this.#chain, store, earned: this.#earned, voucher, differences });
    });
    const { problems = ['there is no database'], roots = 0, transactions = 0 } = end ?? {};
    return {
      problems: [...this.#problems, ...problems].map((problem) => `[seed ${this.#seed}] ${problem}`),
      ...{ kills: this.#kills, reorgs: this.#reorgs, roots, transactions },
    };
  }

  async #rest(): Promise<void> {
    const gateway = startGatewayProcess(this.#settings);
    const url = await gateway.ready;
    if (url === null) {
      this.#problems.push(`the last life did not start: ${gateway.stderr().slice(-500)}`);
      return;
    }
    for (let blocks = 0; blocks < REST_BLOCKS && !(await this.#isPaid()); blocks++) {
      await this.#chain.mine(DAY_SECONDS);
      for (const provider of this.#chain.providers) await this.#claim(provider, url);
      await delay(PACE_MS);
    }
    // What was mined last becomes final, and is read.
    for (let blocks = 0; blocks < 2 * CONFIRMATIONS; blocks++) {
      await this.#chain.mine(BLOCK_SECONDS);
      await delay(3 * PACE_MS);
    }
    gateway.child.kill('SIGTERM');
    await gateway.gone;
  }

  async #isPaid(): Promise<boolean> {
    for (const provider of this.#chain.providers) {
      if ((await claimedOf(this.#chain, provider)) < (this.#earned.get(provider.address) ?? 0n)) return false;
    }
    return true;
  }

  async #isAtRest(store: Store): Promise<boolean> {
    const { queued, sent, mined } = await store.read(intentCounts);
    const balances = await store.read((handle) =>
      Promise.all(this.#chain.providers.map(({ address }) => balanceNano(handle, earningsAccount(address)))),
    );
    return queued + sent + mined === 0 && balances.every((balance) => balance === 0n);
  }

  /** Opens the database of a process that is gone; null where there is none yet. */
  async #withStore<T>(work: (store: Store) => Promise<T>): Promise<T | null> {
    const file = path.join(this.#settings.dataFolder, 'assay.sqlite');
    if (!existsSync(file)) return null;
    const store = openStore({ file, fsync: false });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }
}
