/** Every order that a provider must refuse, each with the lie that the check stops (SPEC.md §6). */
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { toHex } from '#protocol/hash';
import type { JobOrderWire } from '#protocol/messages';
import { zProviderError, zTicket } from '#protocol/messages';
import { recoverPortable } from '#protocol/signer';
import { digests, TICKET_KINDS } from '#protocol/typed';
import { CLOCK_SKEW_MS } from '../../provider/jobs/ticket.ts';
import {
  GATEWAY,
  gatedEngine,
  hashOf,
  jobOrder,
  LONG,
  PROMPT_IDS,
  PROVIDER,
  type RunningProvider,
  START_MS,
  scoreOrder,
  signerOf,
  startProvider,
} from './provider-fixture.ts';
import { JobStream, runToClaim } from './provider-stream.ts';

let running: RunningProvider;
beforeEach(async () => {
  running = await startProvider();
});
afterEach(() => running.stop());

async function refusal(order: object, status: number, path = '/v1/jobs') {
  const { body, headers } = await request(running.url).post(path).send(order).expect(status);
  return { ...zProviderError.parse(body), headers };
}

/** Expects a refusal under the provider's signature, over this very ticket. */
async function expectSigned(order: JobOrderWire, status: number, code: string): Promise<void> {
  const { error, refusal: signed } = await refusal(order, status);
  expect(error.code).toBe(code);
  const ticketHash = toHex(digests.ticket(LOCAL_DOMAIN, zTicket.parse(order.ticket)));
  const { jobId } = order.ticket;
  const digest = digests.refusal(LOCAL_DOMAIN, { jobId, ticketHash, code: signed!.code, atMs: signed!.atMs });
  expect(signed).toMatchObject({ code, atMs: running.clock.nowMs() });
  expect(recoverPortable(digest, signed!.signature)).toBe(PROVIDER.address);
}

async function expectUnsigned(order: object, status: number, code: string): Promise<void> {
  const answer = await refusal(order, status);
  expect(answer.error.code).toBe(code);
  expect(answer.refusal).toBeUndefined();
}

describe('a ticket is refused', () => {
  it('when nobody that is trusted has signed it', async () => {
    await expectUnsigned(jobOrder({ signer: signerOf('somebody') }), 401, 'invalid_signature');
    expect(running.store.job(hashOf('job'))).toBeUndefined();
  });

  it('when it was changed after the gateway signed it', async () => {
    const order = jobOrder();
    const dearer = { ...order.ticket, outputNanoPerMtok: '999999' };
    await expectUnsigned({ ...order, ticket: dearer }, 401, 'invalid_signature');
  });

  it('when its signature is the high-s twin of a valid one', async () => {
    const order = jobOrder();
    const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = n - BigInt(`0x${order.signature.slice(66, 130)}`);
    const v = order.signature.endsWith('1b') ? '1c' : '1b';
    const signature = `${order.signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${v}`;
    await expectUnsigned({ ...order, signature }, 401, 'invalid_signature');
  });

  it("when it is another provider's", async () => {
    await expectUnsigned(jobOrder({ ticket: { provider: signerOf('other').address } }), 400, 'invalid_ticket');
  });

  it('when it orders a score', async () => {
    await expectSigned(jobOrder({ ticket: { kind: TICKET_KINDS.score } }), 400, 'invalid_ticket');
  });

  it('when it has expired, and not while clocks may differ', async () => {
    running.clock.advance(60_000 + CLOCK_SKEW_MS);
    await runToClaim(running.url, jobOrder());
    running.clock.advance(1);
    await expectSigned(jobOrder({ jobId: hashOf('b') }), 410, 'ticket_expired');
  });

  it('when it comes from the future', async () => {
    const issuedAtMs = START_MS + CLOCK_SKEW_MS + 1;
    await expectSigned(jobOrder({ ticket: { issuedAtMs } }), 400, 'invalid_ticket');
    await runToClaim(running.url, jobOrder({ ticket: { issuedAtMs: issuedAtMs - 1 } }));
  });

  it('when it wants evidence to be kept for ever', async () => {
    await expectSigned(jobOrder({ ticket: { retainUntilMs: 8e15 } }), 400, 'invalid_ticket');
  });

  it.each([
    ['prompt', { promptIds: [...PROMPT_IDS, 65] }],
    ['sampling', { sampling: { ...LONG, temperature: 1 } }],
    ['seed', { seed: '8' }],
    ['length', { maxTokens: 13 }],
    ['model name', { model: 'dearer' }],
    ['model digest', { modelDigest: hashOf('dearer') }],
    ['nonce', { nonce: hashOf('nonce') }],
    ['chunk schedule', { chunkSizes: [1] }],
  ])('when the body has another %s than it covers', async (_, change) => {
    await expectSigned({ ...jobOrder(), ...change }, 400, 'invalid_ticket');
  });

  it('when its model is not served', async () => {
    await expectSigned(jobOrder({ modelDigest: hashOf('other model') }), 404, 'model_not_found');
  });

  it('when prompt and answer do not fit the context', async () => {
    const maxTokens = 8192 - PROMPT_IDS.length;
    await expectSigned(jobOrder({ maxTokens: maxTokens + 1 }), 400, 'context_length_exceeded');
    new JobStream(running.url, jobOrder({ jobId: hashOf('b'), maxTokens, chunkSizes: [maxTokens] })).close();
  });

  it('when the prompt has ids that the model does not have', async () => {
    await expectSigned(jobOrder({ promptIds: [128] }), 400, 'invalid_request');
  });

  it('when its schedule makes more chunks than a claim can count', async () => {
    await expectSigned(jobOrder({ maxTokens: 4097, chunkSizes: [1] }), 400, 'invalid_request');
  });

  it('when its jobId was used by another ticket', async () => {
    await runToClaim(running.url, jobOrder());
    await expectSigned(jobOrder({ seed: 8n }), 409, 'ticket_replayed');
    await expectSigned(jobOrder({ ticket: { issuedAtMs: START_MS + 1 } }), 409, 'ticket_replayed');
  });

  it('when nothing can be recorded', async () => {
    running.store.addJob = () => {
      throw new Error('disk full');
    };
    await expectSigned(jobOrder(), 503, 'storage_unavailable');
    expect(running.provider.openCount()).toBe(0);
    const { text } = await request(running.url).get('/metrics');
    expect(text).toContain('assay_provider_jobs_running 0');
  });

  it('when the queue is full, and is good for a later call', async () => {
    await running.stop();
    const engine = gatedEngine();
    running = await startProvider({ engine, limits: { runningMax: 1, waitingMax: 0 } });
    const first = new JobStream(running.url, jobOrder());
    while (running.provider.openCount() === 0) await request(running.url).get('/healthz');
    const second = jobOrder({ jobId: hashOf('b') });
    await expectSigned(second, 429, 'queue_full');
    expect((await refusal(second, 429)).headers['retry-after']).toBe('1');
    engine.open();
    await first.commitment();
    expect((await runToClaim(running.url, second)).end).toBeNull();
  });

  it('when too many transcripts wait for permissions', async () => {
    await running.stop();
    running = await startProvider({ limits: { openMax: 1 } });
    await new JobStream(running.url, jobOrder()).commitment();
    await expectSigned(jobOrder({ jobId: hashOf('b') }), 429, 'queue_full');
  });
});

describe('a used jobId', () => {
  it('is remembered until its ticket cannot be accepted any more, then forgotten', async () => {
    const ticket = { retainUntilMs: START_MS };
    await runToClaim(running.url, jobOrder({ ticket }));
    running.clock.advance(60_000 + CLOCK_SKEW_MS);
    const later = { issuedAtMs: running.clock.nowMs(), expiresAtMs: running.clock.nowMs() + 200_000 };
    await expectSigned(jobOrder({ ticket: { ...ticket, ...later } }), 409, 'ticket_replayed');
    running.clock.advance(60_001);
    await runToClaim(running.url, jobOrder({ jobId: hashOf('b'), ticket: later }));
    expect(running.store.job(hashOf('job'))).toBeUndefined();
  });
});

describe('a body is refused', () => {
  const post = (text: string, path = '/v1/jobs') =>
    request(running.url).post(path).set('content-type', 'application/json').send(text);

  it('when it is not JSON, without repeating it', async () => {
    const { body } = await post('{"secret').expect(400);
    expect(body.error.code).toBe('invalid_json');
    expect(JSON.stringify(body)).not.toContain('secret');
  });

  it('when it has a member that the schema does not know, without repeating it', async () => {
    const { body } = await post(JSON.stringify({ ...jobOrder(), secret: 'prompt text' })).expect(400);
    expect(body.error.code).toBe('invalid_request');
    expect(JSON.stringify(body)).not.toMatch(/secret|prompt text/);
  });

  it('when it is too large', async () => {
    await running.stop();
    running = await startProvider({ limits: { bodyBytesMax: 100 } });
    await expectUnsigned(jobOrder(), 413, 'request_too_large');
  });

  it('when its job or its route does not exist', async () => {
    const positions = { positions: [0] };
    await expectUnsigned(positions, 400, 'invalid_request');
    for (const id of [hashOf('nothing'), 'x', `0x${'0'.repeat(63)}G`]) {
      const answer = await refusal(positions, 404, `/v1/jobs/${id}/evidence`);
      expect(answer.error.code).toBe('job_unknown');
    }
    expect((await refusal({}, 404, '/v1/nothing')).error.code).toBe('not_found');
    await request(running.url).get('/v1/jobs').expect(405);
  });
});

describe('a log', () => {
  it('of accepted and refused jobs holds neither tokens nor keys', async () => {
    await running.stop();
    const lines: string[] = [];
    const keep = (event: string, fields?: object) => lines.push(JSON.stringify({ event, ...fields }));
    running = await startProvider({ log: { debug: keep, info: keep, warn: keep, error: keep } });
    await runToClaim(running.url, jobOrder());
    await refusal(jobOrder({ seed: 8n }), 409);
    await refusal(scoreOrder([300]), 409, '/v1/scores');
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) {
      expect(line).not.toContain(GATEWAY.sign(new Uint8Array(32)).slice(2, 20));
      expect(line).not.toMatch(/\[\d+(,\d+)+\]/);
    }
  });
});
