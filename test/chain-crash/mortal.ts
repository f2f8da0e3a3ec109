/** A worker's database and chain that can be taken away at any one call, before it or after it. */
import type { ChainClient } from '../../gateway/chain/chain-client.ts';
import type { Handle, Store, Tx } from '../../gateway/store/handle.ts';

export class Killed extends Error {
  override readonly name = 'Killed';
}

/** Counts down the calls of one life. */
export class Fate {
  #left: number;
  readonly #kind: string | null;
  readonly #after: boolean;
  dead = false;
  /** What it died at; null while it lives. */
  at: string | null = null;

  /**
   * @param calls how many go well; Infinity never dies
   * @param after whether the last call still has its effect
   * @param kind the only calls that count; null counts all
   */
  constructor(calls: number, after: boolean, kind: string | null = null) {
    this.#left = calls;
    this.#after = after;
    this.#kind = kind;
  }

  async call<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.dead) throw new Killed();
    const counts = this.#kind === null || this.#kind === name;
    if (counts && this.#left-- <= 0) {
      this.dead = true;
      this.at = `${name}, ${this.#after ? 'after' : 'before'}`;
      if (this.#after) await work().catch(() => undefined);
      throw new Killed();
    }
    const result = await work();
    // Nothing that is under way outlives its process.
    if (this.dead) throw new Killed();
    return result;
  }
}

export function mortalStore(store: Store, fate: Fate): Store {
  return {
    withTx: <T>(fn: (tx: Tx) => Promise<T>, told?: 'durable' | 'committed') =>
      fate.call('commit', () => store.withTx(fn, told)),
    read: <T>(fn: (handle: Handle) => Promise<T>) => fate.call('read', () => store.read(fn)),
    peek: <T>(fn: (handle: Handle) => Promise<T>) => fate.call('read', () => store.peek(fn)),
    changesOf: (topic) => store.changesOf(topic),
    close: async () => {},
  };
}

/** Every call over the wire may be the last one; signing is none. */
export function mortalClient(client: ChainClient, fate: Fate): ChainClient {
  return {
    sender: client.sender,
    sign: (order) => client.sign(order),
    chainId: () => fate.call('chainId', () => client.chainId()),
    head: () => fate.call('head', () => client.head()),
    header: (number) => fate.call('header', () => client.header(number)),
    eventsOf: (hash) => fate.call('events', () => client.eventsOf(hash)),
    eventsBetween: (from, to) => fate.call('events', () => client.eventsBetween(from, to)),
    minedAt: (hash) => fate.call('receipt', () => client.minedAt(hash)),
    noncesUsed: (number) => fate.call('nonce', () => client.noncesUsed(number)),
    suggestedFees: () => fate.call('fees', () => client.suggestedFees()),
    estimate: (to, data) => fate.call('estimate', () => client.estimate(to, data)),
    send: (raw) => fate.call('send', () => client.send(raw)),
    tokenDecimals: () => fate.call('decimals', () => client.tokenDecimals()),
    account: (account, number) => fate.call('account', () => client.account(account, number)),
    keyOwner: (key, number) => fate.call('keyOwner', () => client.keyOwner(key, number)),
    pool: (gateway, number) => fate.call('pool', () => client.pool(gateway, number)),
    claimed: (gateway, payee, number) => fate.call('claimed', () => client.claimed(gateway, payee, number)),
    demand: (id, number) => fate.call('demand', () => client.demand(id, number)),
    case: (id, number) => fate.call('case', () => client.case(id, number)),
    isReferee: (...member) => fate.call('isReferee', () => client.isReferee(...member)),
    caseBond: () => fate.call('caseBond', () => client.caseBond()),
    tokenBalance: (owner) => fate.call('tokenBalance', () => client.tokenBalance(owner)),
  };
}
