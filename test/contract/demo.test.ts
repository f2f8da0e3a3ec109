/** The whole network as processes: start, answer, restart, crash, stop (DESIGN §14). */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { llamaProblem } from '../fixtures/engines.ts';
import { ask, ensureBuilt, isAlive, MODEL, type Network, run, startDemo, until, untilGone } from './program.ts';

// Processes on a busy machine; nothing here asserts how long anything takes.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 });

let folder: string;
let networks: Network[];
beforeAll(ensureBuilt);
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-demo-'));
  networks = [];
});
afterEach(async () => {
  // The leash ends the providers of whatever a failed test left.
  for (const network of networks) network.process.kill('SIGKILL');
  await untilGone(networks.flatMap(({ children }) => children));
  rmSync(folder, { recursive: true });
});

async function demo(env: Record<string, string> = {}, args: readonly string[] = []): Promise<Network> {
  const network = await startDemo(folder, { env, args });
  networks.push(network);
  return network;
}

interface Answered {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly assay: {
    readonly id: string;
    readonly verdict: string;
    readonly agreement: { readonly of: number };
    readonly receipt: { readonly epoch: { readonly index: number } };
  };
}
const answerOf = async (network: { url: string; apiKey: string }, fields: object = {}) => {
  const response = await ask(network, fields);
  expect(response.status).toBe(200);
  return (await response.json()) as Answered;
};
const get = async (network: Network, route: string, key = network.apiKey) =>
  fetch(`${network.url}${route}`, { headers: { authorization: `Bearer ${key}` } });
const logSize = async (network: Network) =>
  Number((await (await get(network, '/v1/log/checkpoint')).text()).split('\n')[1]);
const stakes = async (network: Network) => {
  const { data } = (await (await get(network, '/v1/providers')).json()) as {
    data: { id: string; operator: string; stake_nano: string; earnings_nano: string }[];
  };
  return data.map(({ id, operator, stake_nano }) => ({ id, operator, stake_nano }));
};

test('the demo answers, ends all its processes on Ctrl-C, twice too, and a second start goes on with stake, log and keys', async () => {
  const first = await demo();
  expect(first.children).toHaveLength(6);
  expect(first.stdout()).toContain('Assay is ready: 5 providers, 1 referee, model minnow-5m, policy quorum n=3.');
  const answer = await answerOf(first);
  expect(answer.choices[0]!.message.content).toContain('Oslo');
  expect(answer.assay).toMatchObject({ verdict: 'agreed', agreement: { of: 3 } });
  const before = { stakes: await stakes(first), size: await logSize(first) };
  // As a terminal does it: to the whole group, and by an impatient hand.
  for (const pid of [first.pid, ...first.children, first.pid]) process.kill(pid, 'SIGINT');
  expect(await first.exit).toBe(0);
  expect(first.children.filter(isAlive)).toEqual([]);
  expect(first.stderr()).toBe('');

  const second = await demo();
  expect(await stakes(second)).toEqual(before.stakes);
  expect(await logSize(second)).toBeGreaterThanOrEqual(before.size);
  expect(second.apiKey).not.toBe(first.apiKey);
  const saved = await get(second, `/v1/attestations/${answer.assay.id}`, first.apiKey);
  expect(saved.status).toBe(200);
  const again = await answerOf({ url: second.url, apiKey: first.apiKey });
  expect(again.choices).toEqual(answer.choices);
  expect(await logSize(second)).toBeGreaterThan(before.size);
  second.process.kill('SIGTERM');
  expect(await second.exit).toBe(0);
  expect(second.children.filter(isAlive)).toEqual([]);
});

test('a kill -9 of the demo ends its providers', async () => {
  const network = await demo();
  network.process.kill('SIGKILL');
  await network.exit;
  await untilGone(network.children);
});

test('a provider that dies is reported in one line, and the others go on without it', async () => {
  const network = await demo({ ASSAY_PROVIDERS: '4' });
  process.kill(network.children[0]!, 'SIGKILL');
  await until(() => network.stderr().includes('\n'));
  expect(network.stderr()).toBe('assay demo: provider-1 has ended (SIGKILL); the network goes on without it\n');
  for (let i = 0; i < 4; i++) expect((await answerOf(network, { seed: i })).assay.verdict).toBe('agreed');
  network.process.kill('SIGINT');
  expect(await network.exit).toBe(0);
  expect(network.children.filter(isAlive)).toEqual([]);
});

test.each([
  ['1', 'policy single.', 1, 'unverified'],
  ['2', 'policy quorum n=2.', 2, 'agreed'],
])('a network of %s has a default policy that it can serve, and says so', async (providers, line, of, verdict) => {
  const network = await demo({ ASSAY_PROVIDERS: providers, ASSAY_API_KEY: 'sk-preset-by-hand' });
  expect(network.stdout()).toContain(line);
  expect(network.stdout()).toContain('cannot seat the usual quorum of 3: the default policy is smaller');
  expect(network.apiKey).toBe('sk-preset-by-hand');
  expect((await answerOf(network)).assay).toMatchObject({ verdict, agreement: { of } });
});

test('a smaller network on a data folder of a larger one draws nobody who is gone', async () => {
  const large = await demo({ ASSAY_PROVIDERS: '6' });
  large.process.kill('SIGINT');
  await large.exit;
  const small = await demo({ ASSAY_PROVIDERS: '3' });
  for (let i = 0; i < 4; i++) {
    const response = await ask(small, { seed: i });
    expect(await response.json()).toMatchObject({ assay: { verdict: 'agreed', faults: [] } });
  }
});

test('a second provider over one job store would sign twice, so it does not start', async () => {
  await demo({ ASSAY_PROVIDERS: '1' });
  const place = path.join(folder, 'provider-1');
  const settings = ['--model-folder', MODEL, '--model-id', 'minnow-5m', '--operator', 'x', '--port', '0'];
  const places = ['--data-folder', place, '--key-file', path.join(place, 'key'), '--log-level', 'silent'];
  const address = `0x${'ab'.repeat(20)}`;
  expect(await run(['provider', ...settings, ...places, '--gateway-addresses', address])).toEqual({
    code: 1,
    stdout: '',
    stderr: `assay provider: ${place} is in use by another provider\n`,
  });
});

test('a port or a data folder that is taken ends the demo with 1 and one plain line, and starts nothing', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as { port: number };
  const taken = await run(['demo'], { env: { ASSAY_DATA: folder, ASSAY_PORT: String(port) } });
  holder.close();
  expect(taken).toEqual({
    code: 1,
    stdout: '',
    stderr: `assay demo: port ${port} of 127.0.0.1 is taken by another program; ASSAY_PORT names another\n`,
  });
  await demo({ ASSAY_PROVIDERS: '1' });
  const twice = await run(['demo'], { env: { ASSAY_DATA: folder, ASSAY_PORT: '0' } });
  expect(twice).toEqual({
    code: 1,
    stdout: '',
    stderr: `assay demo: ${folder} is in use by another assay process\n`,
  });
});

test('demo --cheat shows divergence, ruling and slash, balances its books and exits with 0', async () => {
  const { code, stdout, stderr } = await run(['demo', '--cheat'], {
    env: { ASSAY_DATA: folder, ASSAY_PORT: '0', ASSAY_PROVIDERS: '4' },
  });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  for (const part of [
    /first diverging token: \d+/,
    /ruling: upheld; state: settled/,
    /slashed: \d+ nano/,
    /upheld 1 {2}<- slashed/,
    /Books balance\./,
  ]) {
    expect(stdout).toMatch(part);
  }
});

test('demo --mixed runs the engines by turns, or says which package it lacks', async () => {
  const problem = await llamaProblem();
  if (problem !== null) {
    const { code, stderr } = await run(['demo', '--mixed'], { env: { ASSAY_DATA: folder, ASSAY_PORT: '0' } });
    expect(code).toBe(1);
    expect(stderr).toContain(`assay provider: ${problem}`);
    return;
  }
  const network = await demo({ ASSAY_PROVIDERS: '3' }, ['--mixed']);
  expect(network.stdout()).toContain('engines   onnxruntime, onnxruntime-wasm, llama-cpp, by turns');
  const { data } = (await (await fetch(`${network.url}/v1/providers`)).json()) as { data: { numeric_class: string }[] };
  const classes = new Set(data.map(({ numeric_class: name }) => name.replace(/-v?[\d.]+\/.*$/, '')));
  expect(classes).toEqual(new Set(['ort', 'ort-wasm', 'llamacpp']));
  const response = await ask(network);
  expect(await response.json()).toMatchObject({ assay: { agreement: { of: 3 }, faults: [] } });
});

test('demo takes one show at a time', async () => {
  const { code, stderr } = await run(['demo', '--mixed', '--cheat'], { env: { ASSAY_DATA: folder, ASSAY_PORT: '0' } });
  expect({ code, stderr }).toEqual({ code: 2, stderr: 'assay demo: --cheat and --mixed exclude each other\n' });
});
