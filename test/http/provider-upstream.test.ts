/** A provider in front of an upstream: manifest, refusals, sealed jobs, scores, failures, and its start as a process. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import request from 'supertest';
import { afterEach, describe, expect, it } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { margin } from '#protocol/evidence';
import { manifestDigest } from '#protocol/manifest';
import { zManifestReply, zScoreReply } from '#protocol/messages';
import { GREEDY, type Sampling } from '#protocol/sampling';
import { recoverNative } from '#protocol/signer-native';
import { digests } from '#protocol/typed';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';
import { DIALECTS, type DialectName } from '../../provider/engine/upstream/dialect.ts';
import { createLog } from '../../provider/log.ts';
import { fakeModelOf } from '../fixtures/fake-upstream/fake-model.ts';
import { FakeUpstream } from '../fixtures/fake-upstream/fake-server.ts';
import { openUpstream, runOf } from '../fixtures/fake-upstream/open.ts';
import {
  GATEWAY,
  hashOf,
  jobOrder,
  ManualClock,
  PROMPT_IDS,
  PROVIDER,
  type ProviderOptions,
  scoreOrder,
  startProvider,
} from './provider-fixture.ts';
import { JobStream, runToClaim } from './provider-stream.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MINNOW = path.join(ROOT, 'provider/models/minnow/dist/minnow-5m');

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serveUpstream(dialect: DialectName, options: ProviderOptions = {}) {
  const upstream = await openUpstream({ dialect });
  closing.push(upstream.close);
  const running = await startProvider({ ...options, engine: upstream.engine });
  closing.push(() => running.stop());
  return { ...upstream, running, providerUrl: running.url };
}

describe.each(DIALECTS)('a provider in front of %s', (dialect) => {
  it('says in its signed manifest that it does not run the shared sampler, and what it is', async () => {
    const { providerUrl } = await serveUpstream(dialect);
    const { manifest, signature } = zManifestReply.parse((await request(providerUrl).get('/v1/provider')).body);
    expect(manifest.capabilities).toEqual({ sampler: null, scores: true, evidence: true });
    expect(manifest.engine.name).toBe(dialect);
    expect(manifest.models[0]!.numericClass).toMatch(new RegExp(`^${dialect}-[^/]+/h200/fp32/kv-fp32/served-model$`));
    expect(recoverNative(manifestDigest(LOCAL_DOMAIN, manifest), signature)).toBe(PROVIDER.address);
  });

  it.each<[string, Partial<Sampling>]>([
    ['a temperature', { temperature: 1 }],
    ['a penalty', { frequencyPenalty: 1 }],
    ['a bias', { logitBias: [[0, -100]] }],
  ])('refuses %s with a signed refusal, before the jobId is used or the server is asked', async (_, change) => {
    const { providerUrl, fake, running } = await serveUpstream(dialect);
    const before = fake.calls.length;
    const order = jobOrder({ sampling: { ...GREEDY, ...change } });
    const refused = await request(providerUrl).post('/v1/jobs').send(order);
    expect(refused.status).toBe(400);
    expect(refused.body).toMatchObject({ error: { code: 'unsupported_parameter' } });
    const { refusal } = refused.body as { refusal: { code: string; atMs: number; signature: `0x${string}` } };
    const { jobId } = order.ticket;
    const ticket = { ...order.ticket, inputNanoPerMtok: 1_000n, outputNanoPerMtok: 2_000n };
    const ticketHash = `0x${Buffer.from(digests.ticket(LOCAL_DOMAIN, ticket)).toString('hex')}` as const;
    const digest = digests.refusal(LOCAL_DOMAIN, { jobId, ticketHash, code: refusal.code, atMs: refusal.atMs });
    expect(recoverNative(digest, refusal.signature)).toBe(PROVIDER.address);
    const scored = await request(providerUrl)
      .post('/v1/scores')
      .send(scoreOrder([70], { jobId: hashOf('score'), sampling: { ...GREEDY, ...change } }));
    expect(scored.body).toMatchObject({ error: { code: 'unsupported_parameter' } });
    expect(running.store.job(jobId)).toBeUndefined();
    expect(fake.calls.length).toBe(before);
  });

  it('answers a sealed job at temperature 0 as an engine of our own would, and scores it', async () => {
    const { providerUrl } = await serveUpstream(dialect);
    const order = jobOrder({ sampling: GREEDY, maxTokens: 12, chunkSizes: [2, 4] });
    const { reveals, claim } = await runToClaim(providerUrl, order);
    const own = await runOf(createToyEngine(), PROMPT_IDS, { maxTokens: 12 });
    expect(reveals.flatMap(({ tokens }) => tokens)).toEqual(own.ids);
    expect(claim.claim.outputTokens).toBe(own.ids.length);
    const scored = await request(providerUrl)
      .post('/v1/scores')
      .send(scoreOrder(own.ids, { sampling: GREEDY, jobId: hashOf('score') }));
    const { evidence } = zScoreReply.parse(scored.body);
    const noise = { temperature: 0, seed: 7n, borderTolerance: 0 };
    expect(evidence.every((item, position) => margin(item, { ...noise, position }).margin === 0)).toBe(true);
  });

  it('ends a job whose upstream fails with an error event, logs the code, and says nothing of the content', async () => {
    const lines: string[] = [];
    const clock = new ManualClock();
    const log = createLog({ clock, level: 'info', destination: { write: (line: string) => void lines.push(line) } });
    const { providerUrl, fake } = await serveUpstream(dialect, { log, clock });
    fake.faults.status = 500;
    const stream = new JobStream(providerUrl, jobOrder({ sampling: GREEDY }));
    expect(await stream.next()).toMatchObject({ event: 'error', data: { code: 'internal_error' } });
    const failed = lines.find((line) => line.includes('generation_failed'));
    expect(failed).toContain('"code":"upstream_failed"');
    expect(lines.join('')).not.toContain(PROMPT_IDS.slice(0, 4).join(','));
    expect(lines.join('')).not.toContain('cannot serve');
  });
});

describe('a provider process with an upstream', () => {
  async function start(args: readonly string[], env: Record<string, string> = {}) {
    const folder = mkdtempSync(path.join(tmpdir(), 'assay-upstream-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const run = `const { runProvider } = await import(${JSON.stringify(path.join(ROOT, 'provider/main.ts'))});
      process.exit(await runProvider(process.argv.slice(1), process.env));`;
    const node = ['--conditions=assay-source', '--import', 'tsx', '--input-type=module', '-e', run, '--'];
    const places = ['--data-folder', path.join(folder, 'data'), '--key-file', path.join(folder, 'key'), '--port', '0'];
    const model = ['--model-folder', MINNOW, '--model-id', 'minnow-5m', '--operator', 'tester', '--ready-json'];
    const all = [...node, ...places, ...model, '--gateway-addresses', GATEWAY.address, ...args];
    const child = spawn(process.execPath, all, { cwd: ROOT, env: { PATH: process.env.PATH, ...env } });
    closing.push(() => void child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.on('data', (piece: Buffer) => {
      stderr += piece.toString();
    });
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
    return { child, exit, stderr: () => stderr };
  }

  async function minnowServer(dialect: DialectName, apiKey: string) {
    const minnow = await createOnnxEngine(await readModelFolder(MINNOW));
    const fake = new FakeUpstream({ dialect, model: fakeModelOf(minnow), apiKey, contextMax: 2048 });
    const url = await fake.listen();
    closing.push(() => minnow.close());
    closing.push(() => fake.close());
    const parts = ['--upstream-device', 'h200', '--upstream-dtype', 'fp32', '--upstream-kv-dtype', 'fp32'];
    const args = ['--upstream-url', url, '--upstream-dialect', dialect, '--upstream-model', 'served-model', ...parts];
    return { fake, args };
  }

  it('starts, takes its key from the environment alone, and has the class of the upstream', async () => {
    const { fake, args } = await minnowServer('vllm', 'sk-upstream');
    const { child } = await start(args, { ASSAY_PROVIDER_UPSTREAM_API_KEY: 'sk-upstream' });
    for await (const line of createInterface({ input: child.stdout })) {
      const { port } = JSON.parse(line) as { port: number };
      const reply = await request(`http://127.0.0.1:${port}`).get('/v1/provider');
      const { manifest } = zManifestReply.parse(reply.body);
      expect(manifest.models[0]).toMatchObject({
        numericClass: 'vllm-0.11.0/h200/fp32/kv-fp32/served-model',
        digest: (await readModelFolder(MINNOW)).modelDigest,
        contextMax: 1024,
      });
      break;
    }
    expect(fake.calls.length).toBeGreaterThan(2);
    child.kill('SIGTERM');
  });

  it('does not start where the trial fails, and says why without the key', async () => {
    const { fake, args } = await minnowServer('vllm', 'sk-upstream');
    fake.faults.noTokenIds = true;
    const { exit, stderr } = await start(args, { ASSAY_PROVIDER_UPSTREAM_API_KEY: 'sk-upstream' });
    expect(await exit).toBe(1);
    expect(stderr()).toContain('assay provider: the upstream does not return token ids');
    expect(stderr()).not.toContain('sk-upstream');
  });
});
