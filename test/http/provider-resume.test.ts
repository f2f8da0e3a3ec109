/** Lost connections and crashes: the stored transcript again, or `job_lost`, never a second commitment (SPEC.md §6). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FINISH_KINDS } from '#protocol/typed';
import { openSqliteStore } from '../../provider/store/sqlite.ts';
import type { ProviderStore } from '../../provider/store/store.ts';
import {
  countingRng,
  gatedEngine,
  jobOrder,
  type ManualClock,
  permit,
  type RunningProvider,
  startProvider,
} from './provider-fixture.ts';
import { JobStream, reveal, runToClaim } from './provider-stream.ts';

const MIGRATIONS = path.resolve(import.meta.dirname, '../../migrations/provider-sqlite');
/** One source for all lives of a provider: a salt drawn twice would differ. */
const rng = countingRng();

let folder: string;
let store: ProviderStore;
let running: RunningProvider;
let clock: ManualClock | undefined;

const openStore = () => openSqliteStore({ path: path.join(folder, 'jobs.sqlite'), migrationsFolder: MIGRATIONS });

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-provider-'));
  clock = undefined;
  store = openStore();
  running = await startProvider({ store, rng });
});

afterEach(async () => {
  await running.stop();
  store.close();
  rmSync(folder, { recursive: true });
});

/** Nothing of the first process survives but its file. */
async function crash(): Promise<void> {
  clock = running.clock;
  await running.stop();
  store.close();
  store = openStore();
  running = await startProvider({ store, rng, clock });
}

const lost = async (order: object) => {
  const { body } = await request(running.url).post('/v1/jobs').send(order).expect(410);
  expect(body.error.code).toBe('job_lost');
  expect(body.refusal.code).toBe('job_lost');
};

describe('after a crash', () => {
  it('a sealed transcript is resumed with the identical commitment', async () => {
    const order = jobOrder({ chunkSizes: [64] });
    const before = await new JobStream(running.url, order).commitment();
    await crash();
    const stream = new JobStream(running.url, order);
    expect(await stream.commitment()).toEqual(before);
    await reveal(running.url, before.jobId, permit(before)).expect(200);
    expect((await stream.reveal()).opening.last).toBe(true);
    expect((await stream.claim()).claim.lastCommitment).toBe(before.commitment);
  });

  it('a permission that was recorded before its opening was sent opens the same chunk', async () => {
    const order = jobOrder({ chunkSizes: [64] });
    const before = await new JobStream(running.url, order).commitment();
    const { permission, slot, signature } = permit(before);
    store.addRoot(before.jobId, { index: 0, root: permission.roundRoot, slot, signature });
    await crash();
    const stream = new JobStream(running.url, order);
    await stream.commitment();
    expect((await stream.reveal()).tokens).toHaveLength(12);
    expect((await stream.claim()).claim.outputTokens).toBe(12);
    const conflicting = permit(before, { other: permission.roundRoot });
    await reveal(running.url, before.jobId, conflicting).expect(409);
  });

  it('a finished job is replayed byte for byte', async () => {
    const order = jobOrder();
    const { text } = await runToClaim(running.url, order);
    await crash();
    const stream = new JobStream(running.url, order);
    while ((await stream.next()) !== null);
    expect(stream.text).toBe(text);
  });

  it('a job that was still generating is lost, and no second commitment is made', async () => {
    const order = jobOrder({ chunkSizes: [2] });
    const before = await new JobStream(running.url, order).commitment();
    await crash();
    await lost(order);
    expect(store.chunks(before.jobId).map((chunk) => chunk.commitment)).toEqual([before.commitment]);
  });

  it('what was opened of a lost job can still be claimed by cancelling it', async () => {
    const order = jobOrder({ chunkSizes: [2] });
    const first = new JobStream(running.url, order);
    const commitment = await first.commitment();
    await reveal(running.url, commitment.jobId, permit(commitment)).expect(200);
    await first.reveal();
    await first.commitment();
    await crash();
    await lost(order);
    await request(running.url).post(`/v1/jobs/${commitment.jobId}/cancel`).send({}).expect(200);
    const stream = new JobStream(running.url, order);
    await stream.commitment();
    await stream.reveal();
    await stream.commitment();
    const { claim } = await stream.claim();
    expect(claim).toMatchObject({ finish: FINISH_KINDS.indexOf('cancelled'), chunkCount: 1, outputTokens: 2 });
  });
});

describe('after a lost connection', () => {
  it('a transcript that was generated to its end goes on', async () => {
    const order = jobOrder({ chunkSizes: [5] });
    const first = new JobStream(running.url, order);
    const before = await first.commitment();
    // The whole answer is generated ahead; only its first chunk is sealed.
    while (!(await request(running.url).get('/metrics')).text.includes('output_tokens_total 12'));
    first.close();
    const { commitments, claim } = await runToClaim(running.url, order);
    expect(commitments[0]).toEqual(before);
    expect(claim.claim.outputTokens).toBe(12);
  });

  it('a job that was not generated to its end is stopped and lost', async () => {
    const engine = gatedEngine();
    await running.stop();
    running = await startProvider({ engine, store, rng });
    const order = jobOrder();
    const first = new JobStream(running.url, order);
    while (engine.active() === 0) await request(running.url).get('/healthz');
    first.close();
    while (running.provider.openCount() > 0) await request(running.url).get('/healthz');
    engine.open();
    await lost(order);
    expect(store.chunks(order.ticket.jobId)).toEqual([]);
  });

  it('a second stream of a running job sees the same events', async () => {
    const order = jobOrder({ chunkSizes: [64] });
    const streams = [new JobStream(running.url, order), new JobStream(running.url, order)];
    const [one, two] = await Promise.all(streams.map((stream) => stream.commitment()));
    expect(one).toEqual(two);
    await reveal(running.url, one!.jobId, permit(one!)).expect(200);
    const [first, second] = await Promise.all(streams.map((stream) => stream.reveal()));
    expect(first).toEqual(second);
  });

  it('a sealed transcript can be resumed until its ticket expires', async () => {
    const order = jobOrder({ chunkSizes: [64] });
    const first = new JobStream(running.url, order);
    await first.commitment();
    first.close();
    while (running.provider.openCount() > 0) await request(running.url).get('/healthz');
    expect(running.clock.sleeping).toBe(0);
    running.clock.advance(90_001);
    const { body } = await request(running.url).post('/v1/jobs').send(order).expect(410);
    expect(body.error.code).toBe('ticket_expired');
  });
});
