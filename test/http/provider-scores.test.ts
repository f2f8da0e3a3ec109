/** Scores of claimed tokens (SPEC.md §6, §7). */
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { evidenceRoot } from '#protocol/evidence-tree';
import { type ScoreOrderWire, zProviderError, zScoreReply } from '#protocol/messages';
import { scoredHash } from '#protocol/request';
import { recoverPortable } from '#protocol/signer';
import { digests, TICKET_KINDS } from '#protocol/typed';
import { createToyEngine } from '../../provider/engine/toy.ts';
import {
  gatedEngine,
  hashOf,
  jobOrder,
  LONG,
  PROMPT_IDS,
  PROVIDER,
  type RunningProvider,
  scoreOrder,
  signerOf,
  startProvider,
} from './provider-fixture.ts';
import { runToClaim } from './provider-stream.ts';

let running: RunningProvider;
beforeEach(async () => {
  running = await startProvider();
});
afterEach(() => running.stop());

const post = (order: ScoreOrderWire) => request(running.url).post('/v1/scores').send(order);

async function expectRefused(order: ScoreOrderWire, status: number, code: string): Promise<void> {
  const { error } = zProviderError.parse((await post(order).expect(status)).body);
  expect(error.code).toBe(code);
}

describe('a score', () => {
  it('holds signed evidence for every claimed token', async () => {
    const outputIds = [72, 105, 33];
    const order = scoreOrder(outputIds);
    const { score, signature, evidence } = zScoreReply.parse((await post(order).expect(200)).body);
    expect(score).toMatchObject({
      jobId: order.ticket.jobId,
      provider: PROVIDER.address,
      transcriptHash: scoredHash(PROMPT_IDS, outputIds),
      outputTokens: 3,
      evidenceRoot: evidenceRoot(0, evidence),
    });
    expect(evidence.map((item) => item.chosen)).toEqual(outputIds);
    expect(recoverPortable(digests.score(LOCAL_DOMAIN, score), signature)).toBe(PROVIDER.address);
    const own = await createToyEngine().score({ promptIds: PROMPT_IDS, outputIds, sampling: LONG, seed: 7n });
    expect(evidence).toEqual(own);
  });

  it('of an honest transcript finds every token best', async () => {
    const { reveals } = await runToClaim(running.url, jobOrder());
    const outputIds = reveals.flatMap((one) => one.tokens);
    const order = scoreOrder(outputIds, { jobId: hashOf('score') });
    const { evidence } = zScoreReply.parse((await post(order).expect(200)).body);
    expect(evidence.map((item) => item.top[0]![0])).toEqual(outputIds);
  });

  it('is answered again, byte for byte, and computed once', async () => {
    let runs = 0;
    const toy = createToyEngine();
    await running.stop();
    const engine = {
      ...gatedEngine(toy),
      score: (order: Parameters<typeof toy.score>[0]) => {
        runs++;
        return toy.score(order);
      },
    };
    running = await startProvider({ engine });
    const order = scoreOrder([72, 105]);
    const replies = await Promise.all([post(order), post(order)]);
    replies.push(await post(order));
    expect(new Set(replies.map((reply) => reply.text)).size).toBe(1);
    expect(replies.map((reply) => reply.status)).toEqual([200, 200, 200]);
    expect(runs).toBe(1);
  });

  it('that was lost in a crash is not computed again', async () => {
    const order = scoreOrder([72, 105]);
    const { body } = await post(order).expect(200);
    expect(running.store.score(body.score.jobId)).toBeDefined();
    running.store.score = () => undefined;
    await expectRefused(order, 410, 'job_lost');
  });

  it('is not signed when the engine leaves evidence out', async () => {
    await running.stop();
    const toy = createToyEngine();
    const engine = { ...gatedEngine(toy), score: async () => [] };
    running = await startProvider({ engine });
    await expectRefused(scoreOrder([72]), 500, 'internal_error');
  });

  it('waits in the same queue as generating jobs', async () => {
    await running.stop();
    const engine = gatedEngine();
    running = await startProvider({ engine, limits: { runningMax: 1, waitingMax: 0 } });
    const first = post(scoreOrder([72])).then((reply) => reply.status);
    while (running.provider.openCount() === 0) await request(running.url).get('/healthz');
    await expectRefused(scoreOrder([72], { jobId: hashOf('b') }), 429, 'queue_full');
    engine.open();
    expect(await first).toBe(200);
  });
});

describe('a score is refused', () => {
  it('when the ticket is forged, expired, of another kind or for another provider', async () => {
    await expectRefused(scoreOrder([72], { signer: signerOf('somebody') }), 401, 'invalid_signature');
    await expectRefused(scoreOrder([72], { ticket: { kind: TICKET_KINDS.generate } }), 400, 'invalid_ticket');
    const provider = signerOf('other').address;
    await expectRefused(scoreOrder([72], { ticket: { provider } }), 400, 'invalid_ticket');
    running.clock.advance(90_001);
    await expectRefused(scoreOrder([72]), 410, 'ticket_expired');
  });

  it('when other tokens were sent than the ticket covers', async () => {
    await expectRefused({ ...scoreOrder([72]), outputIds: [73] }, 400, 'invalid_ticket');
    await expectRefused({ ...scoreOrder([72]), promptIds: [73] }, 400, 'invalid_ticket');
  });

  it('when a claimed token is not in the vocabulary, without using up the ticket', async () => {
    const order = scoreOrder([72, 128]);
    await expectRefused(order, 400, 'invalid_request');
    expect(running.store.job(order.ticket.jobId)).toBeUndefined();
  });

  it('when its jobId was used by another ticket', async () => {
    await post(scoreOrder([72])).expect(200);
    await expectRefused(scoreOrder([73]), 409, 'ticket_replayed');
    const generating = await request(running.url).post('/v1/jobs').send(jobOrder()).expect(409);
    expect(generating.body.error.code).toBe('ticket_replayed');
  });
});
