/** What is said in confidence stays there: no prompt, answer or key in logs, metrics, public routes or files (DESIGN §13). */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ask, ensureBuilt, type Network, startDemo, untilGone } from './program.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 });

const SECRET = 'Xylophone7 marzipan';
const STOP = 'zebracrossing9';
const PRESET_KEY = 'sk-preset-quixotic-4711';

let folder: string;
let network: Network;
let answer: string;

beforeAll(async () => {
  ensureBuilt();
  folder = mkdtempSync(path.join(tmpdir(), 'assay-privacy-'));
  const env = { ASSAY_API_KEY: PRESET_KEY, ASSAY_GATEWAY_LOG_LEVEL: 'debug', ASSAY_PROVIDER_LOG_LEVEL: 'debug' };
  network = await startDemo(folder, { env });
  const fields = {
    max_tokens: 60,
    stop: [STOP],
    messages: [{ role: 'user', content: `Tell me about Japan. ${SECRET}` }],
  };
  const plain = await ask(network, fields);
  expect(plain.status).toBe(200);
  answer = ((await plain.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
  expect(answer.length).toBeGreaterThan(20);
  await (await ask(network, { ...fields, stream: true })).text();
  // Failures are where content likes to leak: a refused field, an unknown model, a broken body, a wrong key.
  await ask(network, { ...fields, tools: [{ type: 'function', function: { name: SECRET } }] });
  await ask(network, { ...fields, model: SECRET });
  await ask({ ...network, apiKey: 'sk-wrong-perambulator' }, fields);
  await fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${PRESET_KEY}`, 'content-type': 'application/json' },
    body: `{"model":"minnow-5m","messages":[{"role":"user","content":"${SECRET}`,
  });
});

afterAll(async () => {
  network.process.kill('SIGTERM');
  await untilGone([network.pid, ...network.children]);
  rmSync(folder, { recursive: true });
});

function secrets(): string[] {
  return [SECRET, STOP, answer.slice(0, 20), 'sk-wrong-perambulator'];
}

function leaksIn(text: string): string[] {
  return secrets().filter((secret) => text.includes(secret));
}

test('logs of gateway and providers at debug level hold neither content nor keys', () => {
  const logs = network.stderr();
  expect(logs).toContain('"event"');
  expect(leaksIn(logs)).toEqual([]);
  expect(logs).not.toContain(PRESET_KEY);
});

test.each(['/metrics', '/v1/log/entries', '/v1/disputes', '/v1/providers', '/healthz', '/readyz'])(
  'the public route %s shows none of it',
  async (route) => {
    const response = await fetch(network.url + route);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(leaksIn(text)).toEqual([]);
    expect(text).not.toContain(PRESET_KEY);
  },
);

// Stop strings are the exception: they are sampling parameters, so the attested statement has them until it is forgotten.
test('no file of gateway or provider holds text of prompt or answer, or API keys', () => {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.some(({ name }) => name === 'assay.sqlite')).toBe(true);
  for (const file of files) {
    const bytes = readFileSync(path.join(file.parentPath, file.name)).toString('latin1');
    expect([file.name, ...leaksIn(bytes).filter((leak) => leak !== STOP)]).toEqual([file.name]);
    expect(bytes.includes(PRESET_KEY)).toBe(false);
  }
});

test("somebody else's attestation is as unknown as none", async () => {
  const response = await ask(network);
  const { id } = ((await response.json()) as { assay: { id: string } }).assay;
  const own = await fetch(`${network.url}/v1/attestations/${id}`, {
    headers: { authorization: `Bearer ${PRESET_KEY}` },
  });
  expect(own.status).toBe(200);
  const nobody = await fetch(`${network.url}/v1/attestations/${id}`);
  expect(nobody.status).toBe(401);
});
