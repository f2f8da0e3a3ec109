/** A job from its order to its claim, over a real socket (SPEC.md §5, §6). */
import request from 'supertest';
import { afterEach, describe, expect, it } from 'vitest';
import { canonicalJson } from '#protocol/canonical';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { evidenceInRoot } from '#protocol/evidence-tree';
import { sha256, toHex, utf8, ZERO_HASH } from '#protocol/hash';
import { zEvidenceReply, zManifestReply } from '#protocol/messages';
import { outputHash } from '#protocol/request';
import { commitmentHash, openingFits, rootsHash } from '#protocol/round';
import { recoverPortable } from '#protocol/signer';
import { digests, FINISH_KINDS } from '#protocol/typed';
import { createToyEngine } from '../../provider/engine/toy.ts';
import {
  gatedEngine,
  hashOf,
  jobOrder,
  LONG,
  MODEL_DIGEST,
  PROMPT_IDS,
  PROVIDER,
  permit,
  type RunningProvider,
  startProvider,
} from './provider-fixture.ts';
import { JobStream, reveal, runToClaim } from './provider-stream.ts';

let running: RunningProvider | undefined;
afterEach(async () => {
  await running?.stop();
  running = undefined;
});

async function generatedIds(maxTokens: number, sampling = LONG, seed = 7n): Promise<number[]> {
  const ids: number[] = [];
  const answer = createToyEngine().generate({ promptIds: PROMPT_IDS, sampling, seed, maxTokens });
  for await (const token of answer) ids.push(token.id);
  return ids;
}

describe('a job', () => {
  it('whose answer fits one chunk is sealed, opened and claimed', async () => {
    running = await startProvider();
    const order = jobOrder({ chunkSizes: [64], maxTokens: 5 });
    const { commitments, reveals, roots, claim, end } = await runToClaim(running.url, order);
    expect(commitments).toHaveLength(1);
    const { opening, tokens } = reveals[0]!;
    expect(tokens).toEqual(await generatedIds(5));
    expect(opening).toMatchObject({ index: 0, previous: ZERO_HASH, previousRoot: ZERO_HASH, last: true });
    expect(claim.claim).toMatchObject({
      jobId: order.ticket.jobId,
      requestHash: order.ticket.requestHash,
      roundId: order.ticket.roundId,
      provider: PROVIDER.address,
      checkpoint: order.ticket.checkpoint,
      chunkCount: 1,
      outputTokens: 5,
      finish: FINISH_KINDS.indexOf('length'),
      rootsHash: rootsHash(roots),
    });
    expect(end).toBeNull();
  });

  it('of several chunks chains its commitments and roots, and signs all of it', async () => {
    running = await startProvider();
    const sampling = { ...LONG, temperature: 0.7 };
    const order = jobOrder({ chunkSizes: [2, 3], maxTokens: 12, sampling });
    const { commitments, reveals, roots, claim } = await runToClaim(running.url, order);
    const ids = await generatedIds(12, sampling);
    expect(reveals.flatMap((one) => one.tokens)).toEqual(ids);
    expect(reveals.map((one) => one.tokens.length)).toEqual([2, 3, 3, 3, 1]);
    for (const [i, { opening, signature, tokens, shortEvidence }] of reveals.entries()) {
      const { index, commitment, signature: sealedBy } = commitments[i]!;
      const expected = {
        commitment,
        previous: commitments[i - 1]?.commitment ?? ZERO_HASH,
        previousRoot: roots[i - 1] ?? ZERO_HASH,
      };
      expect(openingFits(PROVIDER.address, opening, expected)).toBe(true);
      expect(opening).toMatchObject({ tokensHash: outputHash(tokens), tokenCount: tokens.length, index });
      expect(shortEvidence).toHaveLength(tokens.length);
      const seal = { jobId: order.ticket.jobId, index, commitment };
      expect(recoverPortable(digests.commitment(LOCAL_DOMAIN, seal), sealedBy)).toBe(PROVIDER.address);
      expect(recoverPortable(digests.reveal(LOCAL_DOMAIN, opening), signature)).toBe(PROVIDER.address);
    }
    expect(claim.claim).toMatchObject({
      transcriptHash: outputHash(ids),
      lastCommitment: commitments.at(-1)!.commitment,
      chunkCount: commitments.length,
      outputTokens: ids.length,
      rootsHash: rootsHash(roots),
    });
    expect(recoverPortable(digests.claim(LOCAL_DOMAIN, claim.claim), claim.signature)).toBe(PROVIDER.address);
  });

  it('draws another salt for every chunk', async () => {
    running = await startProvider();
    const { reveals } = await runToClaim(running.url, jobOrder({ chunkSizes: [1], maxTokens: 4 }));
    expect(new Set(reveals.map((one) => one.opening.salt)).size).toBe(reveals.length);
  });

  it('shows nothing but a commitment before its permission, and seals nothing further', async () => {
    running = await startProvider();
    const stream = new JobStream(running.url, jobOrder({ chunkSizes: [2] }));
    const commitment = await stream.commitment();
    // A second round trip gives the provider every chance to say more.
    await request(running.url).get('/healthz').expect(200);
    expect(stream.pending).toEqual([]);
    const chunk = running.store.chunks(commitment.jobId)[0]!;
    expect(running.store.chunks(commitment.jobId)).toHaveLength(1);
    for (const secret of [chunk.opening.salt, chunk.opening.tokensHash, chunk.opening.evidenceRoot]) {
      expect(stream.text).not.toContain(secret.slice(2));
    }
    expect(commitmentHash(PROVIDER.address, chunk.opening)).toBe(commitment.commitment);
  });

  it('has its chunk in the store before the commitment is signed', async () => {
    const storedAtSigning: number[] = [];
    running = await startProvider();
    const { store } = running;
    const addChunk = store.addChunk.bind(store);
    store.addChunk = (chunk) => {
      addChunk(chunk);
      storedAtSigning.push(chunk.opening.index);
      throw new Error('disk full');
    };
    const stream = new JobStream(running.url, jobOrder());
    expect(await stream.error()).toBe('storage_unavailable');
    expect(storedAtSigning).toEqual([0]);
    expect(stream.text).not.toContain('commitment');
  });

  it('opens nothing when the permission cannot be recorded', async () => {
    running = await startProvider();
    running.store.addRoot = () => {
      throw new Error('disk full');
    };
    const stream = new JobStream(running.url, jobOrder());
    const commitment = await stream.commitment();
    await reveal(running.url, commitment.jobId, permit(commitment)).expect(503);
    expect(stream.pending).toEqual([]);
  });

  it('ends with an error when its permission does not come in time', async () => {
    running = await startProvider({ limits: { permissionTimeoutMs: 1_000 } });
    const stream = new JobStream(running.url, jobOrder());
    await stream.commitment();
    running.clock.advance(1_001);
    expect(await stream.error()).toBe('deadline_exceeded');
    expect(running.provider.openCount()).toBe(0);
    expect(running.clock.sleeping).toBe(0);
  });

  it('that is cancelled claims what was opened', async () => {
    running = await startProvider();
    const stream = new JobStream(running.url, jobOrder({ chunkSizes: [2], maxTokens: 12 }));
    const first = await stream.commitment();
    await reveal(running.url, first.jobId, permit(first)).expect(200);
    const { tokens } = await stream.reveal();
    const second = await stream.commitment();
    await request(running.url).post(`/v1/jobs/${first.jobId}/cancel`).send({}).expect(200);
    const { claim } = await stream.claim();
    expect(claim).toMatchObject({
      finish: FINISH_KINDS.indexOf('cancelled'),
      chunkCount: 1,
      outputTokens: 2,
      transcriptHash: outputHash(tokens),
      lastCommitment: first.commitment,
    });
    expect(await stream.next()).toBeNull();
    const late = await reveal(running.url, first.jobId, permit(second)).expect(400);
    expect(late.body.error.code).toBe('invalid_permission');
  });

  it('that is cancelled before anything is opened ends with an error and is never opened', async () => {
    running = await startProvider();
    const order = jobOrder({ chunkSizes: [64] });
    const stream = new JobStream(running.url, order);
    const commitment = await stream.commitment();
    await request(running.url).post(`/v1/jobs/${commitment.jobId}/cancel`).send({}).expect(200);
    expect(await stream.error()).toBe('client_closed');
    await reveal(running.url, commitment.jobId, permit(commitment)).expect(400);
    const again = await request(running.url).post('/v1/jobs').send(order).expect(410);
    expect(again.body.error.code).toBe('job_lost');
  });

  it('frees its place when the stream is closed', async () => {
    const engine = gatedEngine();
    running = await startProvider({ engine, limits: { runningMax: 1, waitingMax: 0 } });
    const first = new JobStream(running.url, jobOrder());
    while (engine.active() === 0) await request(running.url).get('/healthz');
    await request(running.url)
      .post('/v1/jobs')
      .send(jobOrder({ jobId: hashOf('b') }))
      .expect(429);
    first.close();
    while (engine.active() > 0) await request(running.url).get('/healthz');
    expect(running.provider.openCount()).toBe(0);
    // The engine is still held: only the place that was given up can let this one in.
    const accepted = new JobStream(running.url, jobOrder({ jobId: hashOf('d') }));
    while (engine.active() === 0) await request(running.url).get('/healthz');
    engine.open();
    expect((await accepted.commitment()).jobId).toBe(hashOf('d'));
  });

  it('waits in the queue and starts when the one before it ends', async () => {
    const engine = gatedEngine();
    running = await startProvider({ engine, limits: { runningMax: 1, waitingMax: 1 } });
    const { url } = running;
    const both = [jobOrder(), jobOrder({ jobId: hashOf('b') })].map((order) => runToClaim(url, order));
    while (running.provider.openCount() < 2) await request(url).get('/healthz');
    expect(engine.active()).toBeLessThanOrEqual(1);
    const refused = await request(url)
      .post('/v1/jobs')
      .send(jobOrder({ jobId: hashOf('c') }))
      .expect(429);
    expect(refused.headers['retry-after']).toBe('1');
    engine.open();
    expect((await Promise.all(both)).map((one) => one.end)).toEqual([null, null]);
  });
});

describe('evidence', () => {
  it('of opened chunks proves itself under the committed roots, until its retention is over', async () => {
    running = await startProvider();
    const order = jobOrder({ chunkSizes: [2, 3], maxTokens: 7 });
    const { reveals } = await runToClaim(running.url, order);
    const positions = reveals.flatMap((one) => one.tokens).map((_, position) => position);
    const ask = () => request(running!.url).post(`/v1/jobs/${order.ticket.jobId}/evidence`).send({ positions });
    const { items } = zEvidenceReply.parse((await ask().expect(200)).body);
    expect(items.map((item) => item.position)).toEqual(positions);
    for (const { position, chunkIndex, evidence, path } of items) {
      const before = reveals.slice(0, chunkIndex).flatMap((one) => one.tokens).length;
      const { opening, tokens } = reveals[chunkIndex]!;
      expect(evidence.chosen).toBe(tokens[position - before]);
      expect(evidenceInRoot({ ...opening, firstPosition: before }, position, evidence, path)).toBe(true);
    }
    running.clock.advance(3_600_001);
    expect((await ask().expect(410)).body.error.code).toBe('evidence_expired');
  });

  it('of sealed chunks stays closed', async () => {
    running = await startProvider();
    const stream = new JobStream(running.url, jobOrder({ chunkSizes: [2] }));
    const first = await stream.commitment();
    const ask = (position: number) =>
      request(running!.url)
        .post(`/v1/jobs/${first.jobId}/evidence`)
        .send({ positions: [position] });
    await ask(0).expect(400);
    await reveal(running.url, first.jobId, permit(first)).expect(200);
    await stream.reveal();
    await stream.commitment();
    await ask(1).expect(200);
    await ask(2).expect(400);
  });
});

describe('the status routes', () => {
  it('show a manifest that the provider has signed', async () => {
    running = await startProvider();
    const { body } = await request(running.url).get('/v1/provider').expect(200);
    const { manifest, signature } = zManifestReply.parse(body);
    expect(manifest.models).toMatchObject([{ id: 'toy', digest: MODEL_DIGEST, contextMax: 8192 }]);
    const manifestHash = toHex(sha256(utf8(canonicalJson(manifest))));
    const digest = digests.manifest(LOCAL_DOMAIN, { manifestHash, issuedAtMs: manifest.issuedAtMs });
    expect(recoverPortable(digest, signature)).toBe(PROVIDER.address);
  });

  it('tell a full disk from a healthy process', async () => {
    running = await startProvider();
    await request(running.url).get('/readyz').expect(200);
    running.store.checkWritable = () => {
      throw new Error('disk full');
    };
    await request(running.url).get('/readyz').expect(503);
    await request(running.url).get('/healthz').expect(200);
  });

  it('count jobs, tokens and refusals', async () => {
    running = await startProvider();
    await runToClaim(running.url, jobOrder({ maxTokens: 5 }));
    await request(running.url).post('/v1/jobs').send({}).expect(400);
    const { text } = await request(running.url).get('/metrics').expect(200);
    expect(text).toContain('assay_provider_jobs_total{kind="generate"} 1');
    expect(text).toContain('assay_provider_output_tokens_total 5');
    expect(text).toContain('assay_provider_refusals_total{code="invalid_request"} 1');
  });

  it('take nothing new while draining, and say so', async () => {
    running = await startProvider();
    running.provider.drain();
    const refused = await request(running.url).post('/v1/jobs').send(jobOrder()).expect(503);
    expect(refused.body.error.code).toBe('shutting_down');
    await request(running.url).get('/readyz').expect(503);
  });
});
