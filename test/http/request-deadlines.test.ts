/** Deadlines of a whole request and of its jobs, on a clock that the test moves (SPEC.md §6.7). */
import { afterEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../provider/engine/engine.ts';
import { type FaultyNetwork, startFaultyNetwork } from '../fixtures/faulty-network.ts';
import { untilHolds } from '../fixtures/hand-clock.ts';
import { LIMITS as LIMITS_OF_TESTS } from '../fixtures/network.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

/** Longer than all others: they play no part. */
const FAR_MS = 600_000;
const LIMITS = {
  requestMs: 30_000,
  jobMs: 10_000,
  roundTimeoutMs: FAR_MS,
  sealLeastMs: FAR_MS,
  connectTimeoutMs: FAR_MS,
  claimTimeoutMs: FAR_MS,
  scoreTimeoutMs: FAR_MS,
};

let network: FaultyNetwork | null = null;
let working = 0;
afterEach(async () => {
  await network?.stop();
  network = null;
  working = 0;
});

/** Generates nothing more, or scores nothing, until it is told to stop. @param after tokens that it still generates */
function held(engine: Engine, holds: 'generate' | 'score', after = 0): Engine {
  const end = async (signal: AbortSignal | undefined) => {
    working++;
    await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
    working--;
  };
  return holds === 'score'
    ? { ...engine, score: (request) => end(request.signal).then(() => engine.score(request)) }
    : {
        ...engine,
        async *generate(request) {
          let tokens = 0;
          for await (const token of engine.generate(request)) {
            if (tokens++ === after) await end(request.signal);
            if (request.signal?.aborted) return;
            yield token;
          }
        },
      };
}

const streams = () => network!.members.reduce((sum, member) => sum + member.streams(), 0);

describe.each([
  [1, false],
  [1, true],
  [3, false],
  [3, true],
])('of a request with %i seats (stream: %s)', (seats, stream) => {
  test('the end comes at its deadline and not before, as an error, with all jobs ended and nothing charged', async () => {
    const engineOf = () => held(toyMachine(), 'generate');
    const limits = { ...LIMITS, jobMs: FAR_MS };
    network = await startFaultyNetwork({ seats, honest: 4, hasReferee: true, engineOf, limits });
    const answer = network.ask({ stream }).then(async (response) => [response.status, await response.text()] as const);
    await untilHolds(() => working === seats && streams() === seats);
    network.clock.pass(LIMITS.requestMs - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(streams()).toBe(seats);
    network.clock.pass(1);
    const [status, text] = await answer;
    expect(status).toBe(stream ? 200 : 504);
    expect(text).toContain('"code":"deadline_exceeded"');
    await untilHolds(() => working === 0 && streams() === 0);
    expect(await network.charged()).toEqual([0n]);
  });
});

test("a job that outlives its time is given up, and what is left of the request's is for who makes up for it", async () => {
  const engineOf = (name: string) => (name === 'bad' ? held(toyMachine(), 'generate') : toyMachine());
  network = await startFaultyNetwork({ seats: 3, honest: 4, hasReferee: true, engineOf, limits: LIMITS });
  const answer = network.ask();
  // The other two have sealed, and wait for the root.
  await untilHolds(() => working === 1 && network!.clock.waiting((ms) => ms === 60_000) === 2);
  network.clock.pass(LIMITS.jobMs - 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(working).toBe(1);
  network.clock.pass(1);
  expect(await (await answer).text()).toContain('"verdict":"agreed"');
  expect((await network.charged())[0]).toBeGreaterThan(0n);
});

describe.each([
  ['before its seal', 0],
  // The first chunk of a stream is sealed and opened, the second one never comes.
  ['after its first seal', LIMITS_OF_TESTS.streamChunks[0]!],
])('a job that outlives its time %s', (_, tokens) => {
  test('makes room for nobody: whoever sat in would be late at once', async () => {
    const engineOf = (name: string) => (name === 'bad' ? held(toyMachine(), 'generate', tokens) : toyMachine());
    network = await startFaultyNetwork({ seats: 1, honest: 1, hasReferee: false, engineOf, limits: LIMITS });
    const answer = network.ask({ stream: true, maxTokens: 24 }).then((response) => response.text());
    expect(await network.passUntil(answer, 1000)).toContain('"code":"committee_unavailable"');
    expect(network.members.map((member) => member.orders())).toEqual([1, 0]);
    expect(await network.charged()).toEqual([0n]);
  });
});

test('a scorer that keeps everybody waiting does not hold the client beyond the deadline', async () => {
  const engineOf = (name: string) => held(toyMachine(name === 'bad' ? { salt: 'cheap' } : {}), 'score');
  network = await startFaultyNetwork({ seats: 3, honest: 4, hasReferee: true, engineOf, limits: LIMITS });
  const answer = network.ask();
  await untilHolds(() => working > 0);
  network.clock.pass(LIMITS.requestMs);
  const response = await answer;
  expect(response.status).toBe(504);
  expect(await response.text()).toContain('"code":"deadline_exceeded"');
  expect(await network.charged()).toEqual([0n]);
});
