/** The provider as its own process with minnow: start, serve, kill -9, restart, stop (DESIGN §14). */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256, toHex, utf8 } from '#protocol/hash';
import { zManifestReply } from '#protocol/messages';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { GATEWAY, jobOrder, type OrderChanges, PROVIDER, permit } from './provider-fixture.ts';
import { JobStream, reveal, runToClaim } from './provider-stream.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MODELS = path.join(ROOT, 'provider/models/minnow/dist');
const MODEL = path.join(MODELS, 'minnow-5m');
const { modelDigest } = await readModelFolder(MODEL);
const PROMPT_IDS = [1, 20, 30, 40, 50];

let folder: string;
let children: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-process-'));
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function spawnProvider(args: readonly string[], env: Record<string, string> = {}) {
  const run = `const { runProvider } = await import(${JSON.stringify(path.join(ROOT, 'provider/main.ts'))});
    process.exit(await runProvider(process.argv.slice(1), process.env));`;
  const node = ['--conditions=assay-source', '--import', 'tsx', '--input-type=module', '-e', run, '--', ...args];
  const child = spawn(process.execPath, node, { cwd: ROOT, env: { PATH: process.env.PATH, ...env } });
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, exit, stderr: () => stderr, stdout: child.stdout };
}

async function startProcess(options: { key?: boolean; env?: Record<string, string>; args?: readonly string[] } = {}) {
  const keyFile = path.join(folder, 'key');
  if (options.key !== false) writeFileSync(keyFile, toHex(sha256(utf8('provider'))), { mode: 0o600 });
  const settings = ['--model-folder', MODEL, '--model-id', 'toy', '--operator', 'tester', '--port', '0'];
  const places = ['--data-folder', path.join(folder, 'data'), '--key-file', keyFile];
  const args = [
    ...settings,
    ...places,
    '--gateway-addresses',
    GATEWAY.address,
    '--ready-json',
    ...(options.args ?? []),
  ];
  const started = spawnProvider(args, options.env);
  for await (const line of createInterface({ input: started.stdout })) {
    const ready = JSON.parse(line) as { ready: boolean; port: number; address: string };
    expect(ready.ready).toBe(true);
    return { ...started, ...ready, keyFile, url: `http://127.0.0.1:${ready.port}` };
  }
  throw new Error(`no ready line: ${started.stderr()}`);
}

/** An order whose times are those of the process. */
function orderNow(changes: OrderChanges) {
  const nowMs = Date.now();
  const times = { issuedAtMs: nowMs, expiresAtMs: nowMs + 60_000, retainUntilMs: nowMs + 60_000 };
  return jobOrder({ promptIds: PROMPT_IDS, modelDigest, maxTokens: 8, ...changes, ticket: times });
}

describe('a provider process', () => {
  it('answers a job with minnow, resumes it after kill -9 with the same commitment, and stops on SIGTERM', async () => {
    const first = await startProcess();
    expect(first.address).toBe(PROVIDER.address);
    const order = orderNow({ chunkSizes: [8] });
    const before = await new JobStream(first.url, order).commitment();
    first.child.kill('SIGKILL');
    await first.exit;
    const second = await startProcess();
    const stream = new JobStream(second.url, order);
    expect(await stream.commitment()).toEqual(before);
    await reveal(second.url, before.jobId, permit(before)).expect(200);
    const { tokens } = await stream.reveal();
    expect((await stream.claim()).claim.outputTokens).toBe(tokens.length);
    second.child.kill('SIGTERM');
    expect(await second.exit).toBe(0);
  });

  it('makes its key where it has none, for its owner alone, and keeps it', async () => {
    const first = await startProcess({ key: false, args: ['--exit-with-parent'] });
    expect(statSync(first.keyFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(first.keyFile, 'utf8')).toMatch(/^0x[0-9a-f]{64}\n$/);
    // What a parent's death does to a pipe.
    first.child.stdin!.end();
    expect(await first.exit).toBe(0);
    const second = await startProcess({ key: false });
    expect(second.address).toBe(first.address);
  });

  it('claims one model and runs another only by the cheat switch', async () => {
    const env = { ASSAY_PROVIDER_ACTUAL_MODEL_FOLDER: path.join(MODELS, 'minnow-1m') };
    const cheat = await startProcess({ env });
    const { manifest } = zManifestReply.parse((await request(cheat.url).get('/v1/provider')).body);
    expect(manifest.models[0]!.digest).toBe(modelDigest);
    const cheated = (await runToClaim(cheat.url, orderNow({}))).claim.claim.transcriptHash;
    cheat.child.kill('SIGTERM');
    await cheat.exit;
    rmSync(path.join(folder, 'data'), { recursive: true });
    const honest = await startProcess();
    expect((await runToClaim(honest.url, orderNow({}))).claim.claim.transcriptHash).not.toBe(cheated);
  });

  it('exits with 2 and all problems on a bad configuration, with 1 when it cannot start', async () => {
    const bad = spawnProvider(['--port', 'x', '--nonsense'], { ASSAY_PROVIDER_PORTT: '1' });
    expect(await bad.exit).toBe(2);
    for (const part of ['--port must', '--nonsense', 'PORTT', '--operator']) expect(bad.stderr()).toContain(part);
    const missing = ['--model-folder', folder, '--model-id', 'x', '--operator', 'x', '--data-folder', folder];
    const args = [...missing, '--key-file', path.join(folder, 'key'), '--gateway-addresses', GATEWAY.address];
    expect(await spawnProvider(args).exit).toBe(1);
  });

  it('prints its help and its configuration', async () => {
    const help = spawnProvider(['--help']);
    let text = '';
    for await (const piece of help.stdout) text += String(piece);
    expect(await help.exit).toBe(0);
    expect(text).toContain('--gateway-addresses <value>');
  });
});

describe('a provider process that is told to stop while a job is open', () => {
  /** A job that has sealed its only chunk and waits for the permission to open it. */
  async function startSealed(drainMs: number) {
    const started = await startProcess({ args: ['--drain-ms', String(drainMs)] });
    const order = orderNow({ chunkSizes: [8] });
    const stream = new JobStream(started.url, order);
    return { ...started, order, stream, sealed: await stream.commitment() };
  }
  const untilDraining = async (url: string) => {
    while ((await request(url).get('/readyz')).status !== 503);
  };
  /** The same order to a process that begins where the last one ended. */
  async function resumed(order: ReturnType<typeof orderNow>) {
    const { child, exit, url } = await startProcess();
    const stream = new JobStream(url, order);
    const sealed = await stream.commitment();
    await reveal(url, sealed.jobId, permit(sealed)).expect(200);
    await stream.reveal();
    const { claim } = await stream.claim();
    child.kill('SIGTERM');
    expect(await exit).toBe(0);
    return { sealed, claim };
  }

  it('refuses new jobs, finishes the open one, and ends', async () => {
    const { child, exit, url, stream, sealed } = await startSealed(3_600_000);
    child.kill('SIGTERM');
    await untilDraining(url);
    const refused = await request(url)
      .post('/v1/jobs')
      .send(orderNow({ jobId: toHex(sha256(utf8('another'))) }));
    expect([refused.status, refused.body.error.code]).toEqual([503, 'shutting_down']);
    await reveal(url, sealed.jobId, permit(sealed)).expect(200);
    const { tokens } = await stream.reveal();
    expect((await stream.claim()).claim.outputTokens).toBe(tokens.length);
    expect(await stream.next()).toBeNull();
    expect(await exit).toBe(0);
  });

  it('ends it with a clean error when its time is over; the next process resumes it under the same seal', async () => {
    const { child, exit, order, stream, sealed } = await startSealed(0);
    child.kill('SIGTERM');
    expect(await stream.next()).toMatchObject({ event: 'error', data: { code: 'shutting_down', retryable: true } });
    expect(await stream.next()).toBeNull();
    expect(await exit).toBe(0);
    const again = await resumed(order);
    expect(again.sealed).toEqual(sealed);
    expect(again.claim.chunkCount).toBe(1);
  });

  it('does not wait after a second signal of another kind, and loses nothing by it', async () => {
    const { child, exit, url, order, sealed } = await startSealed(3_600_000);
    child.kill('SIGTERM');
    await untilDraining(url);
    child.kill('SIGINT');
    expect(await exit).toBe(1);
    expect((await resumed(order)).sealed).toEqual(sealed);
  });
});
