/** `assay admin` against a running gateway: what it sends, prints and refuses. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AdminIo, runAdmin } from '../../gateway/cli/admin.ts';
import { ADMIN_COMMANDS } from '../../gateway/cli/admin-commands.ts';
import { hashApiKey, keyIdOf } from '../../gateway/keys.ts';
import { ADMIN_KEY, clock, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';

let network: ToyNetwork;
let folder: string;
let keyFile: string;
beforeAll(async () => {
  network = await startToyNetwork({ members: 3 });
  folder = mkdtempSync(path.join(tmpdir(), 'assay-admin-'));
  keyFile = path.join(folder, 'admin-key');
  writeFileSync(keyFile, `${ADMIN_KEY}\n`);
});
afterAll(async () => {
  await network.stop();
  rmSync(folder, { recursive: true, force: true });
});

let seed = 0;
async function run(argv: readonly string[], env: AdminIo['env'] = { ASSAY_ADMIN_KEY: ADMIN_KEY }) {
  const out: string[] = [];
  const err: string[] = [];
  const bodies: string[] = [];
  const code = await runAdmin(argv, {
    print: (text) => out.push(text),
    fail: (text) => err.push(text),
    clock,
    rng: { bytes: (length) => new Uint8Array(length).fill(++seed) },
    env,
    fetch: (url, init) => {
      if (typeof init.body === 'string') bodies.push(init.body);
      return network.call(new URL(url).pathname + new URL(url).search, init);
    },
  });
  return { code, out: out.join('\n'), err: err.join('\n'), bodies };
}

test('keys are made here, limited, listed and revoked, and the key itself is never sent', async () => {
  const made = await run(['keys', 'create', '--label', 'cli', '--funds-nano=9', '--requests-per-minute', '2']);
  expect(made.code).toBe(0);
  const key = /shown once\): (\S+)$/.exec(made.out)![1]!;
  expect(made.bodies.join('')).not.toContain(key);
  const id = keyIdOf(hashApiKey(key));
  expect((await run(['keys', 'list'])).out).toContain(id);
  const changed = JSON.parse(
    (await run(['keys', 'set', id, '--requests-per-minute', 'none', '--policy', 'single'])).out,
  );
  expect(changed).toMatchObject({ id, requests_per_minute: null, policy: expect.stringContaining('single') });
  const funded = await run(['deposit', `key:${id}`, '--amount-nano', '4', '--reference', 'r-1']);
  expect(JSON.parse(funded.out)).toMatchObject({ balance_nano: '13' });
  expect(JSON.parse((await run(['keys', 'revoke', id])).out).revoked_at_ms).toEqual(expect.any(Number));
});

test('every command reaches a route of the admin API', async () => {
  const words: Record<string, string> = {
    '<key id>': 'key-test',
    '<account>': 'reserve',
    '<url>': 'http://p0',
    '<address>': network.members[2]!.address,
    '<policy>': 'quorum; n=3',
    '<newest epoch>': '0',
  };
  const to = 'https://client.example/hook';
  const values: Record<string, string> = { 'amount-nano': '1', reference: 'every', reason: 'test', to };
  for (const [name, command] of Object.entries(ADMIN_COMMANDS)) {
    const flags = (command.required ?? []).map((flag) => `--${flag}=${values[flag]}`);
    const { code, err } = await run([...name.split(' '), ...command.words.map((word) => words[word]!), ...flags]);
    // No application, no webhook, no second signing key and no chain here: these are told as such, and none as an unknown route.
    if (code !== 0)
      expect(err).toMatch(/no such (application|signing key|webhook)|cannot change its signing key|is on no chain/);
    expect(err).not.toContain('Unknown request URL');
  }
});

test('a wrong key, a missing key and a wrong call are said in one line, with exit codes 1 and 2', async () => {
  expect(await run(['books'], { ASSAY_ADMIN_KEY: 'wrong' })).toMatchObject({
    code: 1,
    err: 'assay admin: 401: Incorrect admin key provided.',
  });
  expect((await run(['books'], {})).err).toContain('needs the admin key');
  expect((await run(['books', '--admin-key-file', keyFile], {})).code).toBe(0);
  expect(await run(['keys', 'explode'])).toMatchObject({ code: 2 });
  expect((await run(['providers', 'quarantine', '0x00'])).err).toContain('needs --reason');
  expect((await run(['books', '--label', 'x'])).err).toContain('does not go with books');
  expect((await run(['keys', 'revoke'])).err).toContain('needs <key id>');
  expect((await run(['toString'])).code).toBe(2);
});
