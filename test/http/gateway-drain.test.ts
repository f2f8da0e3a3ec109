/** The gateway as a process that is told to stop while it answers (DESIGN §13). */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serve } from '@hono/node-server';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createClock } from '#protocol/clock';
import { sha256, toHex, utf8 } from '#protocol/hash';
import { recoverNative } from '#protocol/signer-native';
import type { Provider } from '../../provider/app.ts';
import { untilHolds } from '../fixtures/hand-clock.ts';
import { makeProvider } from '../fixtures/network.ts';
import { loadMinnows, type Minnows, signerOf } from '../fixtures/network-http.ts';
import { gatedEngine } from './provider-fixture.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MODEL = path.join(ROOT, 'provider/models/minnow/dist/minnow-5m');
const API_KEY = 'sk-assay-drain-test';

const clock = createClock({
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
});

let minnows: Minnows;
let folder: string;
let engine: ReturnType<typeof gatedEngine>;
let provider: Provider;
let server: Server;
let child: ChildProcess | null;

beforeAll(async () => {
  minnows = await loadMinnows();
});
afterAll(() => minnows.close());

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-drain-'));
  engine = gatedEngine(minnows.honest);
  provider = makeProvider({
    clock,
    recover: recoverNative,
    rng: () => ({ bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) }),
    name: 'member',
    role: 'member',
    signer: signerOf('member'),
    gateway: signerOf('gateway').address,
    digest: minnows.model.digest,
    modelId: 'minnow-5m',
    engine,
  });
  server = serve({ fetch: provider.app.fetch, hostname: '127.0.0.1', port: 0 }) as Server;
  await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  child = null;
});

afterEach(async () => {
  child?.kill('SIGKILL');
  engine.open();
  provider.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

/** A gateway process with one member, and a stream that it is in the middle of answering. */
async function startAnswering(drainMs: number) {
  const keyFile = path.join(folder, 'key');
  writeFileSync(keyFile, toHex(sha256(utf8('gateway'))), { mode: 0o600 });
  const { port } = server.address() as AddressInfo;
  const settings = {
    ASSAY_GATEWAY_PORT: '0',
    ASSAY_GATEWAY_DATA_FOLDER: path.join(folder, 'data'),
    ASSAY_GATEWAY_KEY_FILE: keyFile,
    ASSAY_GATEWAY_PROVIDERS: `http://127.0.0.1:${port}`,
    ASSAY_GATEWAY_REFEREE: `http://127.0.0.1:${port}/none`,
    ASSAY_GATEWAY_MODEL_FOLDERS: MODEL,
    ASSAY_GATEWAY_DEFAULT_POLICY: 'single',
    ASSAY_GATEWAY_DRAIN_MS: String(drainMs),
    ASSAY_GATEWAY_API_KEY: API_KEY,
  };
  const run = `const { runGateway } = await import(${JSON.stringify(path.join(ROOT, 'gateway/main.ts'))});
    process.exitCode = await runGateway([], process.env);`;
  const node = ['--conditions=assay-source', '--import', 'tsx', '--input-type=module', '-e', run];
  const spawned = spawn(process.execPath, node, { cwd: ROOT, env: { PATH: process.env.PATH, ...settings } });
  child = spawned;
  const exit = new Promise<number | null>((resolve) => spawned.once('exit', resolve));
  let out = '';
  for await (const piece of spawned.stdout) {
    out += String(piece);
    if (/^assay gateway \S+\/v1/m.test(out)) break;
  }
  const url = /^assay gateway (\S+)\/v1/m.exec(out)![1]!;
  const ask = () =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'minnow-5m',
        stream: true,
        max_tokens: 4,
        messages: [{ role: 'user', content: 'Are you still there?' }],
      }),
    });
  const stream = await ask();
  expect(stream.status).toBe(200);
  await untilHolds(() => engine.active() > 0);
  return { spawned, exit, url, ask, stream };
}

async function untilDraining(url: string): Promise<void> {
  while ((await fetch(`${url}/readyz`)).status !== 503);
}

test('a signal refuses what comes and finishes what runs', async () => {
  const { spawned, exit, url, ask, stream } = await startAnswering(60_000);
  spawned.kill('SIGTERM');
  await untilDraining(url);
  const refused = await ask();
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(await refused.json()).toMatchObject({ error: { code: 'shutting_down' } });
  engine.open();
  const text = await stream.text();
  expect(text).toContain('"finish_reason"');
  expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  expect(await exit).toBe(0);
});

test('what is not done in time ends with a clean error, never with a bare end', async () => {
  const { spawned, exit, stream } = await startAnswering(0);
  spawned.kill('SIGTERM');
  const text = await stream.text();
  expect(text).toContain('"code":"shutting_down"');
  expect(text).not.toContain('[DONE]');
  expect(await exit).toBe(0);
});

test('a second signal of another kind does not wait', async () => {
  const { spawned, exit, url, stream } = await startAnswering(3_600_000);
  spawned.kill('SIGTERM');
  await untilDraining(url);
  spawned.kill('SIGINT');
  expect(await exit).toBe(1);
  await expect(stream.text()).rejects.toThrow();
});
