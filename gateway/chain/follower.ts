/**
 * Reads the chain block by block into the database, takes back what a reorganisation takes back, and lets events have their effect once
 * they are confirmed (spec-chain.md C9.4). Every step is one transaction with its cursor, so that a restart goes on where it was.
 */
import type { Clock } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import {
  addBlock,
  appliedBlock,
  blockAtOrBelow,
  type EventRow,
  eventsWithin,
  hasDeepReorg,
  markDeepReorg,
  rollBackTo,
  setApplied,
  storedBlocks,
} from '../store/chain-blocks-repo.ts';
import type { Store, Tx } from '../store/handle.ts';
import { type ApplyTerms, applyEvent, eventRow } from './apply-event.ts';
import type { ChainClient, ChainEvent } from './chain-client.ts';
import { commonAncestor, type Header, nextReading } from './follow-core.ts';
import { confirmedHeight } from './outbox-core.ts';

/** Headers kept below the confirmed height, so that a reorganisation that goes too deep is seen and not taken for the end of the world. */
const KEPT_BLOCKS = 64;
/** Blocks or ranges of one step; the next step goes on. */
const READINGS_MAX = 256;
/** Events of one transaction. */
const EVENTS_MAX = 500;

export interface FollowerDeps {
  readonly store: Store;
  readonly client: ChainClient;
  readonly clock: Clock;
  readonly confirmations: number;
  /** Block before the first of the contracts. */
  readonly fromBlock: number;
  readonly terms: ApplyTerms;
  /** Stakes or keys have changed: the next draw is from another registry. */
  readonly onStakes: () => void;
  readonly onReorg: (depth: number) => void;
}

export class Follower {
  readonly #deps: FollowerDeps;

  constructor(deps: FollowerDeps) {
    this.#deps = deps;
  }

  /** Reads what is new and applies what has become final. @returns false where final blocks are gone: nothing is read any more */
  async step(): Promise<boolean> {
    const { store, client } = this.#deps;
    if (await store.read(hasDeepReorg)) return false;
    const head = await client.head();
    if (!(await this.#rollBack())) return false;
    await this.#read(head);
    await this.#apply();
    return true;
  }

  async #rollBack(): Promise<boolean> {
    const { store, client, clock, onReorg } = this.#deps;
    const stored = await store.read(storedBlocks);
    const tip = stored.at(-1);
    if (tip === undefined) return true;
    const ancestor = await commonAncestor(
      stored.map(({ number, hash }) => ({ number, hash: hash as Hash })),
      async (number) => (await client.header(number))?.hash ?? null,
    );
    if (ancestor.kind === 'found' && ancestor.number === tip.number) return true;
    const applied = await store.read(appliedBlock);
    const isDeep = applied !== null && (ancestor.kind === 'none' || ancestor.number < applied.number);
    const down = ancestor.kind === 'found' ? ancestor.number : this.#deps.fromBlock - 1;
    await store.withTx((tx) => (isDeep ? markDeepReorg(tx, clock.nowMs()) : rollBackTo(tx, down)));
    onReorg(tip.number - down);
    return !isDeep;
  }

  async #read(head: Header): Promise<void> {
    const { store, client, confirmations, fromBlock } = this.#deps;
    const kept = confirmations + KEPT_BLOCKS;
    let tip = (await store.read(storedBlocks)).at(-1) ?? null;
    for (let count = 0; count < READINGS_MAX; count++) {
      const reading = nextReading(tip?.number ?? fromBlock - 1, head.number, kept);
      if (reading.kind === 'nothing') return;
      const header = await client.header(reading.kind === 'block' ? reading.number : reading.to);
      // The chain has become shorter meanwhile, or another: the next step begins with looking back.
      if (header === null) return;
      if (reading.kind === 'block' && tip !== null && header.parentHash !== tip.hash) return;
      const events =
        reading.kind === 'block'
          ? await client.eventsOf(header.hash)
          : await client.eventsBetween(reading.from, reading.to);
      await store.withTx((tx) => addBlock(tx, header, this.#rows(events), header.number - kept));
      tip = header;
    }
  }

  #rows(events: readonly ChainEvent[]): EventRow[] {
    return events.flatMap((event) => eventRow(event, this.#deps.terms) ?? []);
  }

  async #apply(): Promise<void> {
    const { store, clock, confirmations, fromBlock, terms, onStakes } = this.#deps;
    for (;;) {
      const changed = await store.withTx(async (tx) => {
        const tip = (await storedBlocks(tx)).at(-1);
        if (tip === undefined) return null;
        const applied = (await appliedBlock(tx)) ?? { number: fromBlock - 1 };
        const target = await blockAtOrBelow(tx, confirmedHeight(tip.number, confirmations));
        if (target === null || target.number <= applied.number) return null;
        // INVARIANT: an event is applied in the transaction whose cursor passes it, so once.
        const reached = await reachedBlock(tx, applied.number, target.number);
        let stakes = false;
        for (const event of await eventsWithin(tx, applied.number, reached)) {
          stakes = (await applyEvent(tx, event, terms, clock.nowMs())) || stakes;
        }
        await setApplied(tx, { number: reached }, clock.nowMs());
        return stakes;
      });
      if (changed === null) return;
      if (changed) onStakes();
    }
  }
}

/** How far one transaction goes: to the target, or to the block in which the events become many; one block's are never divided. */
async function reachedBlock(tx: Tx, above: number, target: number): Promise<number> {
  const events = await eventsWithin(tx, above, target, EVENTS_MAX);
  return events.length < EVENTS_MAX ? target : events.at(-1)!.blockNumber;
}
