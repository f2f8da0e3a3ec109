/** One drawn member fails over a real socket in every way that one can; the client gets its answer all the same (DESIGN §13). */
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { type Fault, type FaultyNetwork, type FaultyOptions, startFaultyNetwork } from '../fixtures/faulty-network.ts';
import { LIMITS } from '../fixtures/network.ts';

const EVENTS = { 'content-type': 'text/event-stream' };
const dripping: ServerResponse[] = [];

function writeForEver(response: ServerResponse, bytes: string): void {
  const more = () => {
    while (!response.destroyed && response.write(bytes));
  };
  response.on('drain', more);
  more();
}

/** The first event of the real stream: a genuine commitment. */
async function firstEvent(response: Response): Promise<string> {
  let text = '';
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (!text.includes('\n\n')) text += (await reader.read()).value ?? '';
  await reader.cancel();
  return text.slice(0, text.indexOf('\n\n') + 2);
}

/** Before it has sealed anything: the next of the draw can take the seat. */
const AT_ONCE: Readonly<Record<string, Fault>> = {
  'closes the connection': (response) => void response.destroy(),
  'answers 500': (response) => void response.writeHead(500).end('oops'),
  'points elsewhere': (response) => void response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(),
  'sends another type': (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  'sends no events': (response) => void response.writeHead(200, EVENTS).end('event: commitment\ndata: {]\n\n'),
  'ends without a word': (response) => void response.writeHead(200, EVENTS).end(),
  'sends an endless line': (response) => writeForEver(response.writeHead(200, EVENTS), 'x'.repeat(4096)),
  'sends endless comments': (response) => writeForEver(response.writeHead(200, EVENTS), ': here\n\n'.repeat(100)),
  'sends a bomb': (response) =>
    void response.writeHead(200, { ...EVENTS, 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1 << 24))),
  'breaks off in the middle of a chunk': (response) => {
    response.writeHead(200, EVENTS);
    response.write('event: commitment\nda', () => response.destroy());
  },
};
/** Only time ends these. */
const BY_TIME: Readonly<Record<string, Fault>> = {
  'never answers': () => undefined,
  'answers and says nothing': (response) => response.writeHead(200, EVENTS).flushHeaders(),
  'drips one byte a second': (response) => {
    response.writeHead(200, EVENTS).write(':');
    dripping.push(response);
  },
};
/** After it has sealed: in `single` the next of the draw sits in a wave of its own. */
const SEALED: Readonly<Record<string, Fault>> = {
  'repeats a genuine event for ever': async (response, honest) => {
    const event = await firstEvent(await honest());
    writeForEver(response.writeHead(200, EVENTS), event);
  },
  'breaks off after its seal': async (response, honest) => {
    const event = await firstEvent(await honest());
    response.writeHead(200, EVENTS).write(event, () => response.destroy());
  },
};
const ALL = { ...AT_ONCE, ...BY_TIME, ...SEALED };

let network: FaultyNetwork | null = null;
afterEach(async () => {
  for (const response of dripping.splice(0)) response.destroy();
  await network?.stop();
  network = null;
});

async function start(options: FaultyOptions): Promise<FaultyNetwork> {
  network = await startFaultyNetwork(options);
  return network;
}

/** The whole answer; each second one byte of those who drip. */
async function answerOf({ ask, passUntil, clock }: FaultyNetwork, stream: boolean) {
  const startMs = clock.nowMs();
  const answer = ask({ stream }).then(async (response) => ({ status: response.status, text: await response.text() }));
  const { status, text } = await passUntil(answer, 1000, () => {
    for (const response of dripping) response.write('.');
  });
  return { status, text, tookMs: clock.nowMs() - startMs };
}

/** A seal's whole time, and a few steps of the clock for what the honest do meanwhile. */
const PATIENCE_MS = LIMITS.roundTimeoutMs + 20_000;

describe.each(Object.keys(ALL))('in a quorum, a member that %s', (name) => {
  const fault = ALL[name]!;
  test.each([false, true])('costs the client nothing but time where others live (stream: %s)', async (stream) => {
    const world = await start({ faultOf: () => fault, seats: 3, honest: 4, hasReferee: true });
    const { status, text, tookMs } = await answerOf(world, stream);
    expect(status).toBe(200);
    expect(text).toContain(stream ? 'data: [DONE]' : '"verdict":"agreed"');
    expect(tookMs).toBeLessThanOrEqual(PATIENCE_MS);
    expect((await world.charged())[0]).toBeGreaterThan(0n);
  });

  test.each([false, true])(
    'leaves a clear error, and nothing charged, where too few live (stream: %s)',
    async (stream) => {
      const world = await start({ faultOf: () => fault, seats: 3, honest: 2, hasReferee: false });
      const { status, text, tookMs } = await answerOf(world, stream);
      // A stream whose head is out ends with the same error as its last event.
      expect(status).toBeGreaterThanOrEqual(stream ? 200 : 502);
      expect(text).toMatch(/"code":"(committee_unavailable|inconclusive)"/);
      expect(text).not.toContain('[DONE]');
      expect(tookMs).toBeLessThanOrEqual(LIMITS.requestMs);
      expect(await world.charged()).toEqual([0n]);
    },
  );
});

describe.each(Object.keys(ALL))('alone, a member that %s', (name) => {
  const fault = ALL[name]!;
  test.each([false, true])(
    'makes room for the next of the draw, for a reason that is shown (stream: %s)',
    async (stream) => {
      const world = await start({ faultOf: () => fault, seats: 1, honest: 1, hasReferee: false });
      const { status, text, tookMs } = await answerOf(world, stream);
      expect(status).toBe(200);
      expect(text).toContain(stream ? 'data: [DONE]' : '"verdict":"unverified"');
      expect(tookMs).toBeLessThanOrEqual(PATIENCE_MS);
      expect((await world.charged())[0]).toBeGreaterThan(0n);
      const entries = await world.store.read((handle) => handle.db.select().from(handle.tables.logEntries));
      // Before anything was sealed it is passed over by an entry in the log, afterwards it stands in the attestation.
      const passedOver = entries.filter(({ entryJson }) => entryJson.includes('"type":"skip"'));
      expect(passedOver).toHaveLength(name in SEALED ? 0 : 1);
    },
  );
});

describe.each(Object.keys(ALL))('with nobody else, a member that %s', (name) => {
  const fault = ALL[name]!;
  test.each([false, true])('leaves a clear error, and nothing charged (stream: %s)', async (stream) => {
    const world = await start({ faultOf: () => fault, seats: 1, honest: 0, hasReferee: false });
    const { status, text, tookMs } = await answerOf(world, stream);
    expect(status).toBeGreaterThanOrEqual(stream ? 200 : 502);
    expect(text).toContain('"code":"committee_unavailable"');
    expect(text).not.toContain('[DONE]');
    expect(tookMs).toBeLessThanOrEqual(PATIENCE_MS);
    expect(await world.charged()).toEqual([0n]);
  });
});

describe('a member that refuses connections', () => {
  test.each([
    [1, 1],
    [3, 4],
  ])('is passed over where others live (n = %i)', async (seats, honest) => {
    const world = await start({ seats, honest, hasReferee: true });
    await world.members[0]!.unplug();
    const { status } = await answerOf(world, false);
    expect(status).toBe(200);
    expect((await world.charged())[0]).toBeGreaterThan(0n);
  });

  test.each([
    [1, 0],
    [3, 2],
  ])('leaves a clear error, and nothing charged, where none do (n = %i)', async (seats, honest) => {
    const world = await start({ seats, honest, hasReferee: false });
    await world.members[0]!.unplug();
    const { status, text } = await answerOf(world, false);
    expect(status).toBe(503);
    expect(text).toContain('"code":"committee_unavailable"');
    expect(await world.charged()).toEqual([0n]);
  });
});
