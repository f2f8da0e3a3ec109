/** An answer that cannot be written down when all of it is there: the client gets a clear error and is not charged. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ProtocolError } from '#protocol/errors';
import type { Handle, Store, Told, Topic, Tx } from '../../gateway/store/handle.ts';
import { calibrationOfClasses } from '../fixtures/calibrations.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';
import { scriptedEngine, toolText } from '../fixtures/scripted-engine.ts';

/** A database whose disk is full at the moment at which an answer is settled. */
class FullStore implements Store {
  readonly #store: Store;
  isFull = false;

  constructor(store: Store) {
    this.#store = store;
  }

  async withTx<T>(fn: (tx: Tx) => Promise<T>, told?: Told): Promise<T> {
    return this.#store.withTx(async (tx) => {
      const result = await fn(tx);
      const settles = typeof result === 'object' && result !== null && 'statement' in result;
      if (!this.isFull || !settles) return result;
      throw new ProtocolError('storage_unavailable', 'The disk is full.', { retryable: true });
    }, told);
  }

  read<T>(fn: (handle: Handle) => Promise<T>): Promise<T> {
    return this.#store.read(fn);
  }

  peek<T>(fn: (handle: Handle) => Promise<T>): Promise<T> {
    return this.#store.peek(fn);
  }

  changesOf(topic: Topic): number {
    return this.#store.changesOf(topic);
  }

  async close(): Promise<void> {}
}

const text = toolText();
const scripted: Minnows = {
  model: {
    id: 'scripted',
    digest: `0x${'5c'.repeat(32)}`,
    created: 0,
    ownedBy: 'test',
    contextMax: text.contextMax,
    text,
    calibrations: [calibrationOfClasses(`0x${'5c'.repeat(32)}`, ['scripted-1/cpu/fp32/kv-none/script'])],
    price: { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n },
  },
  honest: scriptedEngine(text, 'All is well.'),
  small: scriptedEngine(text, 'All is lost.'),
  close: async () => {},
};

let network: HttpNetwork;
let full: FullStore;
beforeAll(async () => {
  network = await startHttpNetwork(scripted, {
    wrapStore: (store) => {
      full = new FullStore(store);
      return full;
    },
  });
});
afterAll(() => network.stop());
afterEach(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
});

const ask = (stream: boolean) =>
  fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'scripted', temperature: 0, stream, messages: [{ role: 'user', content: 'How?' }] }),
  });
const ends = () =>
  network.store.read(async ({ db, tables }) => {
    const { requests } = tables;
    const { state, verdict, errorCode, chargedNano } = requests;
    return db.select({ state, verdict, errorCode, chargedNano }).from(requests);
  });

test.each([false, true])(
  'is an error that costs nothing, and the next call is answered (stream: %s)',
  async (stream) => {
    const before = (await ends()).length;
    full.isFull = true;
    const failed = await ask(stream);
    const body = await failed.text();
    expect(body).toContain('storage_unavailable');
    expect(body).not.toContain('[DONE]');
    expect(failed.status).toBe(stream ? 200 : 503);
    full.isFull = false;
    const [ended] = (await ends()).slice(before);
    expect(ended).toEqual({ state: 'failed', verdict: 'failed', errorCode: 'storage_unavailable', chargedNano: 0n });
    expect((await ask(stream)).status).toBe(200);
  },
);
