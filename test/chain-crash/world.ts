/**
 * One seed: a gateway's chain worker over a real chain, killed at random calls while blocks come and go. In the end everybody has what was
 * earned, once, and ledger and chain agree (spec-chain.md C9).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Address } from '#protocol/hash';
import type { ChainWorker } from '../../gateway/chain/chain-worker.ts';
import { earningsAccount, RESERVE } from '../../gateway/ledger/accounts.ts';
import { makeTransfer } from '../../gateway/ledger/transfer.ts';
import { intentCounts } from '../../gateway/store/chain-outbox-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { applyTransfer, balanceNano } from '../../gateway/store/ledger-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { bornWorker, CONFIRMATIONS, TERMS } from './born-worker.ts';
import { checkEnd, claimedOf } from './check-end.ts';
import { Fate } from './mortal.ts';
import type { Party, TestChain } from './test-chain.ts';

const STEPS = 60;
/** A block of Ethereum, and the day after which roots are active. */
const BLOCK_SECONDS = 12;
const DAY_SECONDS = 86_400;
/** Rounds in which a world without kills must come to rest. */
const REST_MAX = 200;
/** Most calls that a life makes before it is killed: a step makes 10 to 60. */
const CALLS_MAX = 60;

export interface SeedResult {
  readonly problems: readonly string[];
  readonly kills: readonly string[];
  readonly reorgs: number;
  readonly roots: number;
  readonly transactions: number;
  readonly replaced: number;
  readonly unmined: number;
}

export async function runSeed(chain: TestChain, seed: string): Promise<SeedResult> {
  await chain.reset();
  const folder = mkdtempSync(path.join(tmpdir(), 'assay-chain-crash-'));
  const store = openStore({ file: path.join(folder, 'assay.sqlite'), fsync: false });
  try {
    const world = new World(chain, store, seed);
    await world.live();
    await world.rest();
    return await world.result();
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class World {
  readonly #chain: TestChain;
  readonly #store: Store;
  readonly #rng: SeededRng;
  readonly #clock = new HandClock();
  readonly #problems: string[] = [];
  readonly #kills: string[] = [];
  readonly #seed: string;
  /** What every provider has been paid by the ledger. */
  readonly #earned = new Map<Address, bigint>();
  readonly #counts = { reorgs: 0, replaced: 0, unmined: 0, earnings: 0 };
  #voucher = 0n;
  #worker: ChainWorker;

  constructor(chain: TestChain, store: Store, seed: string) {
    this.#chain = chain;
    this.#store = store;
    this.#seed = seed;
    this.#rng = new SeededRng(`chain-crash/${seed}`);
    this.#worker = this.#born(new Fate(Number.POSITIVE_INFINITY, false));
  }

  /** Once all is at rest: what was wrong on the way, and what is wrong in the end. */
  async result(): Promise<SeedResult> {
    const { reorgs, replaced, unmined } = this.#counts;
    const end = await checkEnd({
      chain: this.#chain,
      store: this.#store,
      earned: this.#earned,
      voucher: this.#voucher,
      differences: await this.#worker.compare(),
    });
    const { roots, transactions } = end;
    return {
      problems: [...this.#problems, ...end.problems].map((problem) => `[seed ${this.#seed}] ${problem}`),
      kills: this.#kills,
      ...{ reorgs, replaced, unmined, roots, transactions },
    };
  }

  /** Everything at random, in any order. */
  async live(): Promise<void> {
    const { funder, client, gateway, providers } = this.#chain;
    const { Settlement, StakeRegistry } = this.#chain.network.addresses;
    for (const who of [funder, client, ...providers]) {
      await this.#chain.send(who, 'token', 'approve', [Settlement, 10n ** 18n]);
      await this.#chain.send(who, 'token', 'approve', [StakeRegistry, 10n ** 18n]);
    }
    for (const who of providers) await this.#chain.send(who, 'StakeRegistry', 'open', [`0x${'00'.repeat(32)}`]);
    await this.#chain.mine(BLOCK_SECONDS);
    await this.#chain.send(funder, 'Settlement', 'fund', [gateway.address, 10n ** 9n]);
    // Too deep to be taken back: a pool that nobody fills again would leave nothing to do.
    for (let blocks = 0; blocks <= CONFIRMATIONS; blocks++) await this.#chain.mine(BLOCK_SECONDS);
    for (let step = 0; step < STEPS; step++) await this.#step();
  }

  async #step(): Promise<void> {
    const rng = this.#rng;
    switch (rng.between(0, 9)) {
      case 0:
      case 1:
        return this.#earn();
      case 2:
      case 3:
      case 4:
        for (let blocks = rng.between(1, 3); blocks > 0; blocks--) await this.#mine();
        return;
      case 5: {
        if ((await this.#chain.takeBack(rng.between(1, CONFIRMATIONS))) === 0) return;
        this.#counts.reorgs++;
        if (rng.chance(0.5)) await this.#mine();
        return;
      }
      case 6:
        return this.#party();
      default:
        this.#clock.pass(rng.between(100, 3_000));
        return this.#life();
    }
  }

  #mine(): Promise<void> {
    return this.#chain.mine(this.#rng.chance(0.1) ? DAY_SECONDS : BLOCK_SECONDS + this.#rng.between(0, 3));
  }

  /** A provider is paid for work, by the reserve. */
  async #earn(): Promise<void> {
    const { address } = this.#rng.pick(this.#chain.providers);
    const wanted = BigInt(this.#rng.between(1, 5_000_000));
    const id = `close:${this.#counts.earnings++}`;
    await this.#store.withTx(async (tx) => {
      const reserve = await balanceNano(tx, RESERVE);
      const amountNano = wanted < reserve ? wanted : reserve;
      if (amountNano === 0n) return;
      const leg = { from: RESERVE, to: earningsAccount(address), amountNano };
      await applyTransfer(tx, makeTransfer({ id, reason: 'close' }, [leg]), this.#clock.nowMs());
      this.#earned.set(address, (this.#earned.get(address) ?? 0n) + amountNano);
    });
  }

  async #party(): Promise<void> {
    const { gateway, client, funder } = this.#chain;
    const provider = this.#rng.pick(this.#chain.providers);
    const amount = BigInt(this.#rng.between(1_000, 1_000_000));
    switch (this.#rng.between(0, 5)) {
      case 0:
        return this.#chain.send(funder, 'Settlement', 'fund', [gateway.address, amount]);
      case 1:
        return this.#chain.send(client, 'Settlement', 'deposit', [gateway.address, amount]);
      case 2:
        return this.#pay();
      case 3:
        return this.#chain.send(provider, 'StakeRegistry', 'stake', [provider.address, amount]);
      case 4:
        return this.#chain.send(provider, 'StakeRegistry', 'unbond', [provider.address, amount / 2n]);
      default:
        return this.#claim(provider);
    }
  }

  /** The client signs more of what its escrow holds; the gateway takes it or says why not. */
  async #pay(): Promise<void> {
    const voucher = this.#chain.voucher(this.#voucher + BigInt(this.#rng.between(1_000, 500_000)));
    const taken = await this.#worker.takeVoucher(voucher).catch(() => null);
    if (taken !== null) this.#voucher = BigInt(voucher.cumulative);
  }

  async #claim(provider: Party): Promise<void> {
    const proof = await this.#worker.proofOf(provider.address).catch(() => null);
    if (proof === null) return;
    const problem = await this.#chain.claim(provider, proof);
    if (problem !== null) this.#problems.push(problem);
  }

  /** Some looks at the chain, of which one may be the last. */
  async #life(): Promise<void> {
    const fate = this.#fate();
    this.#worker = this.#born(fate);
    for (let ticks = this.#rng.between(1, 3); ticks > 0 && !fate.dead; ticks--) {
      await this.#worker.tick().catch((error: unknown) => {
        if (!fate.dead) this.#problems.push(`a step failed: ${error instanceof Error ? error.message : 'unknown'}`);
      });
    }
    if (fate.at !== null) this.#kills.push(fate.at);
    fate.dead = true;
    // Whoever asks until the next life asks another process over the same database.
    this.#worker = this.#born(new Fate(Number.POSITIVE_INFINITY, false));
  }

  /** Most lives end at a call; half of those at one that writes, sends or looks for what was sent. */
  #fate(): Fate {
    const rng = this.#rng;
    const after = rng.chance(0.5);
    if (rng.chance(0.3)) return new Fate(Number.POSITIVE_INFINITY, after);
    if (rng.chance(0.5)) return new Fate(rng.between(0, CALLS_MAX), after);
    return new Fate(rng.between(0, 3), after, rng.pick(['commit', 'commit', 'send', 'receipt', 'events']));
  }

  #born(fate: Fate): ChainWorker {
    return bornWorker(this.#chain, this.#store, this.#clock, fate, ({ kind }) => {
      if (kind === 'replaced') this.#counts.replaced++;
      if (kind === 'unmined') this.#counts.unmined++;
    });
  }

  /** Nobody is killed any more: all that is on its way arrives, and everybody claims. */
  async rest(): Promise<void> {
    for (let round = 0; round < REST_MAX; round++) {
      this.#clock.pass(TERMS.rootMs);
      await this.#chain.mine(DAY_SECONDS);
      await this.#worker.tick();
      for (const provider of this.#chain.providers) {
        const claimed = await claimedOf(this.#chain, provider);
        if (claimed < (this.#earned.get(provider.address) ?? 0n)) await this.#claim(provider);
      }
      if (await this.#isAtRest()) return;
    }
    const counts = await this.#store.read(intentCounts);
    this.#problems.push(`did not come to rest: ${JSON.stringify(counts)}, ${JSON.stringify(this.#worker.differences)}`);
  }

  async #isAtRest(): Promise<boolean> {
    const counts = await this.#store.read(intentCounts);
    if (counts.queued + counts.sent + counts.mined > 0) return false;
    for (const { address } of this.#chain.providers) {
      if ((await this.#store.read((handle) => balanceNano(handle, earningsAccount(address)))) > 0n) return false;
    }
    return true;
  }
}
