/** A client that leaves takes all of its jobs with it, seen from the providers' side (DESIGN §13). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Listener, listen } from '../../gateway/server.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { type FaultyNetwork, startFaultyNetwork } from '../fixtures/faulty-network.ts';
import { untilHolds } from '../fixtures/hand-clock.ts';
import { API_KEY } from '../fixtures/network.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

/** What all engines of a network are doing, and the gate that holds them. */
class Gate {
  generating = 0;
  scoring = 0;
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  open(): void {
    this.#open();
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
    return Promise.race([this.#opened, aborted]);
  }

  /** @param after tokens that are generated before the gate; Infinity for all of them */
  over(engine: Engine, after: number, holdsScores: boolean): Engine {
    const gate = this;
    return {
      ...engine,
      async *generate(request) {
        gate.generating++;
        try {
          let tokens = 0;
          for await (const token of engine.generate(request)) {
            if (tokens++ === after) await gate.#wait(request.signal);
            if (request.signal?.aborted) return;
            yield token;
          }
        } finally {
          gate.generating--;
        }
      },
      async score(request) {
        gate.scoring++;
        try {
          if (holdsScores) await gate.#wait(request.signal);
          return await engine.score(request);
        } finally {
          gate.scoring--;
        }
      },
    };
  }
}

let gate: Gate;
let network: FaultyNetwork;
let listener: Listener;
beforeEach(() => {
  gate = new Gate();
});
afterEach(async () => {
  gate.open();
  const closing = listener.close();
  // Connections that the client keeps for later are not waited for.
  network.clock.pass(1000);
  await closing;
  await network.stop();
});

/** @param after tokens that members generate before they are held */
async function start(after: number, isSplit = false) {
  const engineOf = (name: string) =>
    gate.over(toyMachine(isSplit && name === 'bad' ? { salt: 'cheap' } : {}), after, isSplit);
  network = await startFaultyNetwork({ seats: 3, honest: 4, hasReferee: true, engineOf });
  listener = await listen(network.gateway.app.fetch, { host: '127.0.0.1', port: 0, clock: network.clock });
}

function ask(stream: boolean, headers: Record<string, string> = {}) {
  const leaving = new AbortController();
  const answer = fetch(`${listener.url}/v1/chat/completions`, {
    method: 'POST',
    signal: leaving.signal,
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      model: 'toy',
      stream,
      max_tokens: 16,
      messages: [{ role: 'user', content: 'Well?' }],
      verification: { mode: 'quorum', n: 3 },
    }),
  });
  answer.catch(() => undefined);
  return { leave: () => leaving.abort(), answer };
}

const streams = () => network.members.reduce((sum, member) => sum + member.streams(), 0);
const open = () => network.members.reduce((sum, member) => sum + member.provider.openCount(), 0);

/** Every connection of its jobs ends, no engine goes on, nothing is charged. */
async function allEnds() {
  await untilHolds(() => streams() === 0 && gate.generating === 0);
  await network.gateway.settled();
  const rows = () => network.store.read((handle) => handle.db.select().from(handle.tables.requests));
  while ((await rows()).some(({ endedAtMs }) => endedAtMs === null)) await network.gateway.settled();
}

describe.each([false, true])('a client that leaves (stream: %s)', (stream) => {
  test('before the first token ends all streams of its jobs, and nothing goes on generating', async () => {
    await start(0);
    const { leave } = ask(stream);
    await untilHolds(() => gate.generating === 3 && streams() === 3);
    leave();
    await allEnds();
    expect(open()).toBe(0);
    expect(await network.charged()).toEqual([0n]);
  });

  test('while members are scored against one another ends that too', async () => {
    await start(Number.POSITIVE_INFINITY, true);
    const { leave } = ask(stream);
    await untilHolds(() => gate.scoring > 0);
    const before = streams();
    leave();
    await untilHolds(() => streams() < before && streams() === 0);
    // A score is one pass, and its ticket may be asked for again: it alone comes to its end, for nobody.
    gate.open();
    await allEnds();
    expect(gate.scoring).toBe(0);
  });

  test('with an Idempotency-Key leaves its jobs running, and finds the answer later', async () => {
    await start(0);
    const { leave } = ask(stream, { 'idempotency-key': 'once' });
    await untilHolds(() => gate.generating === 3 && streams() === 3);
    leave();
    // What would end the jobs has arrived before the gate opens: the next call's connection is younger.
    await fetch(`${listener.url}/healthz`);
    expect(gate.generating).toBe(3);
    gate.open();
    const again = await ask(stream, { 'idempotency-key': 'once' }).answer;
    expect(again.status).toBe(200);
    expect(await again.text()).toContain(stream ? 'data: [DONE]' : '"verdict":"agreed"');
    const charged = await network.charged();
    expect(charged).toHaveLength(1);
    expect(charged[0]).toBeGreaterThan(0n);
    expect(network.members.reduce((sum, member) => sum + member.orders(), 0)).toBe(3);
  });
});

test('a client that leaves in the middle of a stream ends all of its jobs, and pays for what was revealed', async () => {
  // The first chunk of 4 is out, the second of 8 under way.
  await start(6);
  const { leave, answer } = ask(true);
  const reader = (await answer).body!.getReader();
  let text = '';
  while (!/"content":"[^"]/.test(text)) text += new TextDecoder().decode((await reader.read()).value);
  await untilHolds(() => gate.generating === 3);
  leave();
  await allEnds();
  expect(open()).toBe(0);
  const [charged] = await network.charged();
  expect(charged).toBeGreaterThan(0n);
});
