/** `assay provider init|doctor|join|status|disputes|answer` from an empty folder to an admitted provider. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parsePrivateKey } from '#protocol/private-key';
import { nativeSigner } from '#protocol/signer-native';
import type { CommandIo } from '../../provider/cli/command-io.ts';
import { type ProviderCommand, runProviderCommand } from '../../provider/cli/provider-command.ts';
import { llamaProblem } from '../fixtures/engines.ts';
import { clock, signerOf, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';

const MINNOW = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-1m', import.meta.url));
const noLlama = await llamaProblem();
const GATEWAY = 'http://gateway';

let network: ToyNetwork;
let folder: string;
let config: string;
/** Something that is no provider, on a port of its own. */
let stranger: Server;
beforeAll(async () => {
  network = await startToyNetwork({ members: 3 });
  folder = mkdtempSync(path.join(tmpdir(), 'assay-provider-'));
  config = path.join(folder, 'assay-provider.json');
  stranger = createServer((_, response) => response.end('{}'));
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await network.stop();
  stranger.close();
  rmSync(folder, { recursive: true, force: true });
});

let draws = 0;
async function run(
  command: ProviderCommand,
  argv: readonly string[],
  options: { nodeVersion?: string; skewMs?: number; env?: CommandIo['env'] } = {},
) {
  const out: string[] = [];
  const err: string[] = [];
  const io: CommandIo = {
    print: (line) => out.push(line),
    fail: (line) => err.push(line),
    clock,
    rng: { bytes: (length) => new Uint8Array(length).fill(++draws) },
    env: options.env ?? {},
    async fetch(url, init) {
      const { pathname, search, origin } = new URL(url);
      if (origin !== GATEWAY) return fetch(url, init);
      const response = await network.call(pathname + search, init);
      const date = new Date(clock.nowMs() + (options.skewMs ?? 0)).toUTCString();
      return new Response(response.body, { status: response.status, headers: { date } });
    },
    modelFolder: MINNOW,
  };
  const code = await runProviderCommand(command, argv, io, options.nodeVersion ?? 'v20.11.0');
  return { code, out: out.join('\n'), err: err.join('\n') };
}
const address = () =>
  nativeSigner(parsePrivateKey(readFileSync(path.join(folder, 'data/provider/key'), 'utf8'))).address;
const edit = (change: object) =>
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), ...change }));

test('init makes a key that only its owner reads and a configuration that runs, and replaces neither', async () => {
  expect((await run('init', ['--config', config])).err).toMatch(/operator.*required.*gateway-addresses.*required/);
  const { code, out } = await run('init', ['--config', config, '--operator', 'me', '--gateway', GATEWAY, '--port=0']);
  expect(code).toBe(0);
  expect(out).toContain(address());
  expect(out).toContain('ask its operator');
  expect(statSync(path.join(folder, 'data/provider/key')).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(config, 'utf8'))).toMatchObject({
    operator: 'me',
    modelId: 'minnow-1m',
    gatewayAddresses: signerOf('gateway').address,
  });
  expect(await run('init', ['--config', config, '--operator', 'you', '--gateway', GATEWAY])).toMatchObject({ code: 1 });
});

test('doctor says ok line by line where all is well, and is not stopped by a provider that is not admitted yet', async () => {
  const { code, out } = await run('doctor', ['--config', config, '--gateway', GATEWAY]);
  expect(code).toBe(0);
  for (const name of ['node', 'key', 'disk', 'execution-providers', 'model', 'engine', 'port', 'gateway', 'clock']) {
    expect(out).toMatch(new RegExp(`^(ok|warn) +${name} `, 'm'));
  }
  expect(out).toMatch(/^warn +admission +not admitted/m);
  expect(out).not.toMatch(/^fail/m);
  expect(out).toMatch(/^ok +engines +onnxruntime \d[^;]*; onnxruntime-wasm \d[^;]*; llama-cpp /m);
});

test.skipIf(noLlama === null)(
  'doctor fails for an engine whose package is not installed, with the command that installs it',
  async () => {
    const before = readFileSync(config, 'utf8');
    edit({ engine: 'llama-cpp' });
    const { code, out } = await run('doctor', ['--config', config, '--gateway', GATEWAY]);
    writeFileSync(config, before);
    expect(code).toBe(1);
    expect(out).toMatch(/^fail +engines .*node-llama-cpp is not installed: npm install /m);
  },
);

test.each([
  ['an old Node', 'node', { nodeVersion: 'v18.19.0' }, {}],
  ['a clock that is off', 'clock', { skewMs: 40_000 }, {}],
  ['an execution provider that this build lacks', 'execution-providers', {}, { executionProviders: 'tpu' }],
  ['a model folder that is not there', 'model', {}, { modelFolder: '/nowhere' }],
  ['a gateway that is not trusted', 'gateway', {}, { gatewayAddresses: `0x${'11'.repeat(20)}` }],
  ['a key file that others read', 'key', {}, {}],
  ['a data folder that is a file', 'disk', {}, {}],
  ['a port that something else has', 'port', {}, {}],
])('doctor fails for %s, and goes on', async (_, name, options, change) => {
  const before = readFileSync(config, 'utf8');
  const key = path.join(folder, 'open-key');
  writeFileSync(key, readFileSync(path.join(folder, 'data/provider/key')), { mode: 0o644 });
  const also = {
    key: { keyFile: key },
    disk: { dataFolder: key },
    port: { port: (stranger.address() as AddressInfo).port },
  }[name];
  edit({ ...change, ...also });
  const { code, out } = await run('doctor', ['--config', config, '--gateway', GATEWAY], options);
  writeFileSync(config, before);
  expect(code).toBe(1);
  expect(out).toMatch(new RegExp(`^fail +${name} `, 'm'));
  expect(out).toMatch(/admission/);
});

test('join asks the operator, and status says what is owed once admitted', async () => {
  const url = network.addMember('newcomer');
  const joined = await run('join', ['--config', config, '--gateway', GATEWAY, '--url', url]);
  expect(joined).toMatchObject({ code: 0, out: expect.stringContaining(`${address()} at ${url}: pending`) });
  expect(joined.out).toContain(`assay admin applications approve ${address()}`);
  // Another provider answers at that URL, so the operator cannot admit this one by mistake.
  expect((await network.admin('POST', `/applications/${address()}/approve`)).status).toBe(400);
  const status = ['--config', config, '--gateway', GATEWAY];
  expect(await run('status', status)).toMatchObject({ code: 1, err: expect.stringContaining('not a provider') });
});

test('status and disputes of an admitted provider', async () => {
  const key = path.join(folder, 'p0-key');
  // The toy network's p0 signs with the hash of its name.
  const { sha256, toHex, utf8 } = await import('#protocol/hash');
  writeFileSync(key, toHex(sha256(utf8('p0'))), { mode: 0o600 });
  const other = path.join(folder, 'p0.json');
  writeFileSync(other, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), keyFile: key }));
  await network.ask('hello', { verification: { mode: 'quorum', n: 3 } });
  await network.gateway.settled();
  const status = await run('status', ['--config', other, '--gateway', GATEWAY]);
  expect(status.out).toMatch(/^0x[0-9a-f]{40}: active\nowed [1-9]\d* nano, stake 1000000000000/);
  expect(status.out).toContain('member counted: 1 jobs');
  const since = await run('status', ['--config', other, '--gateway', GATEWAY, '--since', '2100-01-01']);
  expect(since.out).toContain('earned 0 nano since 2100-01-01');
  expect((await run('disputes', ['--config', other, '--gateway', GATEWAY])).out).toBe('no disputes');
  const unknown = ['--config', other, '--gateway', GATEWAY, `0x${'00'.repeat(32)}`];
  expect(await run('answer', unknown)).toMatchObject({ code: 1, err: expect.stringContaining('no such dispute') });
  expect((await run('doctor', ['--config', other, '--gateway', GATEWAY])).out).toMatch(/^ok +admission +active/m);
});

test('wrong calls are refused with exit code 2', async () => {
  expect((await run('join', ['--config', config])).err).toContain('needs --gateway');
  expect((await run('join', ['--config', config, '--gateway', 'x', '--url', 'y'])).code).toBe(2);
  expect((await run('status', ['--gateway', GATEWAY, '--since', 'yesterday'])).err).toContain('--since must be a date');
  expect((await run('answer', ['--gateway', GATEWAY])).code).toBe(2);
  expect((await run('status', ['--gateway', GATEWAY, '--operator', 'x'])).err).toContain('not a known flag');
  expect(await run('status', ['--gateway', GATEWAY, '--config', path.join(folder, 'none')])).toMatchObject({ code: 1 });
});
