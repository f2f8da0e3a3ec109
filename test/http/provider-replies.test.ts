/** What a provider's reply may not be: every one of these ends the call, with its connection closed (SPEC.md §6.6). */
import { gzipSync } from 'node:zlib';
import { Agent } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JobOrderWire, ScoreOrderWire } from '#protocol/messages';
import { createProviderFetch } from '../../gateway/provider-fetch.ts';
import { DeadlineError, within } from '../../gateway/round/deadline.ts';
import { createProviderClient, type ProviderClient } from '../../gateway/round/provider-client.ts';
import { ProviderFailure } from '../../gateway/round/provider-failure.ts';
import { ERROR_BYTES_MAX, streamBounds } from '../../gateway/round/reply-body.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { type RawReply, type RawServer, rawHead, startRawServer, writeForEver } from '../fixtures/raw-server.ts';

const STREAM = { 'content-type': 'text/event-stream' };
const JSON_TYPE = { 'content-type': 'application/json' };
const HASH = `0x${'11'.repeat(32)}` as const;
const ORDER = { maxTokens: 16, chunkSizes: [8] } as unknown as JobOrderWire;
const SCORE = { outputIds: [1, 2, 3] } as unknown as ScoreOrderWire;
const COMMITMENT = `event: commitment\ndata: ${JSON.stringify({
  jobId: HASH,
  index: 0,
  commitment: HASH,
  signature: `0x${'22'.repeat(64)}1b`,
})}\n\n`;

const never = new AbortController().signal;
let agent: Agent;
let client: ProviderClient;
let server: RawServer;

beforeEach(() => {
  agent = new Agent({ keepAliveTimeout: 1000 });
  client = createProviderClient(createProviderFetch(agent));
});

afterEach(async () => {
  await server.close();
  await agent.destroy();
});

async function serve(reply: RawReply): Promise<void> {
  server = await startRawServer(reply);
}

/** Every event of a job's stream. */
async function readJob(): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of await client.openJob(server.url, ORDER, never)) events.push(event);
  return events;
}

const malformed = { code: 'provider_malformed' };

describe('a stream of a job', () => {
  test('that holds one endless line ends the call, and the socket', async () => {
    await serve((socket) => {
      socket.write(`${rawHead('200 OK', STREAM)}event: commitment\ndata: `);
      writeForEver(socket, 'x'.repeat(4096));
    });
    await expect(readJob()).rejects.toMatchObject(malformed);
    await server.allClosed();
  });

  test('of comments without end ends the call, and the socket', async () => {
    await serve((socket) => {
      socket.write(rawHead('200 OK', STREAM));
      writeForEver(socket, ': still here\n\n'.repeat(100));
    });
    await expect(readJob()).rejects.toMatchObject(malformed);
    await server.allClosed();
  });

  test('of good events without end ends the call within twice what was ordered', async () => {
    await serve((socket) => {
      socket.write(rawHead('200 OK', STREAM));
      writeForEver(socket, COMMITMENT);
    });
    const events: unknown[] = [];
    const reading = async () => {
      for await (const event of await client.openJob(server.url, ORDER, never)) events.push(event);
    };
    await expect(reading()).rejects.toMatchObject(malformed);
    expect(events.length * COMMITMENT.length).toBeLessThanOrEqual(streamBounds(ORDER).totalBytesMax);
    await server.allClosed();
  });

  test('of another type is not read', async () => {
    await serve((socket) => {
      socket.write(rawHead('200 OK', { 'content-type': 'text/html' }));
      writeForEver(socket, COMMITMENT);
    });
    await expect(readJob()).rejects.toMatchObject(malformed);
    await server.allClosed();
  });

  test.each([{ 'content-type': 'text/html' }, { ...STREAM, 'content-encoding': 'gzip' }])(
    'under the head %j is not read, however good its events are',
    async (head) => {
      await serve((socket) => socket.end(`${rawHead('200 OK', head)}${COMMITMENT}`));
      await expect(readJob()).rejects.toMatchObject(malformed);
    },
  );

  test('whose one event, or what is none, is longer than an event can be ends the call', async () => {
    const long = 'x'.repeat(streamBounds(ORDER).eventBytesMax);
    for (const bytes of [`:${long}\n\n`, `event: error\ndata: {"code":"${long}"}\n\n`]) {
      await serve((socket) => socket.end(`${rawHead('200 OK', STREAM)}${bytes}`));
      await expect(readJob()).rejects.toMatchObject(malformed);
      await server.close();
    }
  });

  test('with an event of another name ends the call', async () => {
    const renamed = COMMITMENT.replace('commitment', 'greeting');
    await serve((socket) => socket.end(`${rawHead('200 OK', STREAM)}${renamed}`));
    await expect(readJob()).rejects.toMatchObject(malformed);
  });

  test('that drips byte by byte is ended by its deadline, and so is the socket', async () => {
    const clock = new HandClock();
    let drip: () => void = () => undefined;
    await serve((socket) => {
      socket.write(`${rawHead('200 OK', STREAM)}:`);
      drip = () => socket.write('.');
    });
    const job = within(clock, clock.nowMs() + 2500, never, async (signal) => {
      const events = await client.openJob(server.url, ORDER, signal());
      const first = events.next();
      // One byte a second: a timer of silence would be set anew each time.
      for (let second = 0; second < 3; second++) {
        drip();
        clock.pass(1000);
      }
      return first;
    });
    await expect(job).rejects.toBeInstanceOf(DeadlineError);
    await server.allClosed();
  });

  test('that breaks off in the middle of a chunk is unreachable', async () => {
    await serve((socket) => {
      socket.write(rawHead('200 OK', { ...STREAM, 'transfer-encoding': 'chunked' }));
      socket.write(`ff\r\n${COMMITMENT.slice(0, 40)}`, () => socket.destroy());
    });
    await expect(readJob()).rejects.toMatchObject({ code: 'provider_unreachable' });
    await server.allClosed();
  });

  test('whose consumer leaves is closed', async () => {
    await serve((socket) => {
      socket.write(rawHead('200 OK', STREAM));
      socket.write(COMMITMENT);
    });
    const events = await client.openJob(server.url, ORDER, never);
    expect(await events.next()).toMatchObject({ value: { kind: 'commitment' } });
    await events.return(undefined);
    await server.allClosed();
  });
});

describe('a JSON reply', () => {
  const calls: Record<string, () => Promise<unknown>> = {
    manifest: () => client.manifest(server.url, never),
    evidence: () => client.evidence(server.url, HASH, [0], never),
    score: () => client.score(server.url, SCORE, never),
    cancel: () => client.cancel(server.url, HASH, never),
  };

  test.each(Object.keys(calls))('to %s that never ends is given up at its bound', async (name) => {
    await serve((socket) => {
      socket.write(`${rawHead('200 OK', JSON_TYPE)}{"a":"`);
      writeForEver(socket, 'x'.repeat(4096));
    });
    await expect(calls[name]!()).rejects.toMatchObject(malformed);
    await server.allClosed();
  });

  test('that is compressed is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    await serve((socket) => {
      socket.end(Buffer.concat([Buffer.from(rawHead('200 OK', { ...JSON_TYPE, 'content-encoding': 'gzip' })), bomb]));
    });
    await expect(client.manifest(server.url, never)).rejects.toMatchObject(malformed);
    await server.allClosed();
  });

  test('with an error status and an endless body is a refusal without a reason', async () => {
    await serve((socket) => {
      socket.write(rawHead('500 Internal Server Error', JSON_TYPE));
      writeForEver(socket, 'x'.repeat(4096));
    });
    await expect(client.manifest(server.url, never)).rejects.toMatchObject({ code: 'provider_refused', refusal: null });
    await server.allClosed();
  });

  test('with an error status and an encoding says nothing, though a reason stands in it', async () => {
    const reason = { error: { code: 'queue_full', message: 'full' } };
    const refusal = { code: 'queue_full', atMs: 1, signature: `0x${'22'.repeat(64)}1b` };
    const body = JSON.stringify({ ...reason, refusal });
    for (const [head, said] of [
      [JSON_TYPE, refusal],
      [{ ...JSON_TYPE, 'content-encoding': 'gzip' }, null],
    ] as const) {
      await serve((socket) => socket.end(`${rawHead('503 Service Unavailable', head)}${body}`));
      await expect(client.manifest(server.url, never)).rejects.toMatchObject({ refusal: said });
      await server.close();
    }
  });

  test('with an error status is read as far as a refusal can be long, and not a byte further', async () => {
    const refusal = { code: 'queue_full', atMs: 1, signature: `0x${'22'.repeat(64)}1b` };
    const reason = JSON.stringify({ error: { code: 'queue_full', message: 'full' }, refusal });
    for (const [bytes, said] of [
      [ERROR_BYTES_MAX, refusal],
      [ERROR_BYTES_MAX + 1, null],
    ] as const) {
      await serve((socket) => socket.end(`${rawHead('429 Too Many Requests', JSON_TYPE)}${reason.padEnd(bytes)}`));
      const failure = { code: 'provider_refused', refusal: said };
      await expect(client.manifest(server.url, never)).rejects.toMatchObject(failure);
      await server.close();
    }
  });

  test('that points elsewhere at endless length is given up, and the socket closed', async () => {
    await serve((socket) => {
      socket.write(rawHead('302 Found', { location: 'http://127.0.0.1:9/' }));
      writeForEver(socket, 'x'.repeat(4096));
    });
    await expect(client.manifest(server.url, never)).rejects.toMatchObject(malformed);
    await server.allClosed();
  });

  test('that points elsewhere is not followed', async () => {
    let elsewhere = 0;
    const other = await startRawServer((socket) => {
      elsewhere++;
      socket.end(`${rawHead('200 OK', JSON_TYPE)}{}`);
    });
    await serve((socket) => socket.end(rawHead('307 Temporary Redirect', { location: `${other.url}/v1/provider` })));
    await expect(client.manifest(server.url, never)).rejects.toMatchObject(malformed);
    await server.allClosed();
    expect(elsewhere).toBe(0);
    await other.close();
  });

  test('that never comes ends with the caller, and the socket too', async () => {
    const caller = new AbortController();
    await serve(() => caller.abort(new Error('enough')));
    await expect(client.manifest(server.url, caller.signal)).rejects.toThrow('enough');
    await server.allClosed();
  });

  test('of nobody is unreachable', async () => {
    await serve(() => undefined);
    const { url } = server;
    await server.close();
    await expect(client.manifest(url, never)).rejects.toBeInstanceOf(ProviderFailure);
  });
});
