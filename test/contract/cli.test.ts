/** The command line: usage, exit codes, one-line reasons, keys and migrations (issue 2, section C). */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { hashApiKey } from '../../gateway/keys.ts';
import { checkBooks } from '../../gateway/ledger/check-books.ts';
import { activeApiKeyByHash } from '../../gateway/store/keys-repo.ts';
import { balanceNano, readBooks } from '../../gateway/store/ledger-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { migrateProvider, providerMigrationsFolder } from '../../provider/store/migrations.ts';
import { ensureBuilt, MODEL, ROOT, run } from './program.ts';

// Processes on a busy machine; nothing here asserts how long anything takes.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 });

let folder: string;
beforeAll(ensureBuilt);
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const COMMANDS = ['demo', 'gateway', 'provider', 'calibrate', 'verify', 'keygen', 'migrate'];

describe('usage', () => {
  test('assay --help and help list every command on standard output, with exit code 0', async () => {
    for (const word of ['--help', 'help', '-h']) {
      const { code, stdout, stderr } = await run([word]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
  });

  test.each(COMMANDS)('assay %s --help tells how it is used, with exit code 0', async (command) => {
    const { code, stdout, stderr } = await run([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`assay ${command}\\b`));
    expect(stdout).toContain('--help');
    expect(stdout).not.toContain('[object');
  });

  test('assay --version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('no command and an unknown command are misuse: exit code 2, nothing on standard output', async () => {
    const none = await run([]);
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expect(none.stderr).toContain('usage: assay <command>');
    expect(await run(['serve'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'assay: "serve" is not a known command; assay --help lists them\n',
    });
  });

  test.each(COMMANDS)('assay %s refuses an unknown flag with exit code 2 and a line that names it', async (command) => {
    const { code, stdout, stderr } = await run([command, '--nonsense']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^assay ${command}: .*--nonsense`, 'm'));
  });

  test('the demo refuses bad variables, all at once', async () => {
    const { code, stderr } = await run(['demo'], {
      env: { ASSAY_PORT: '80x', ASSAY_PROVIDER: '3' },
    });
    expect(code).toBe(2);
    expect(stderr).toBe(
      'assay demo: ASSAY_PROVIDER is not a known variable\nassay demo: ASSAY_PORT must be an integer from 0 to 65535\n',
    );
  });
});

describe('configuration', () => {
  const needed = ['--providers', 'http://127.0.0.1:1', '--referee', 'http://127.0.0.1:2', '--model-folders', MODEL];

  test('file, environment and flags join in rising order, and are printed without secrets', async () => {
    const file = path.join(folder, 'gateway.json');
    writeFileSync(file, JSON.stringify({ port: 1, host: '127.0.0.2', defaultPolicy: 'quorum; n=5', appealMs: 5 }));
    const { code, stdout } = await run(['gateway', ...needed, '--config', file, '--port=3', '--print-config'], {
      env: { ASSAY_GATEWAY_PORT: '2', ASSAY_GATEWAY_APPEAL_MS: '6', ASSAY_GATEWAY_API_KEY: 'sk-very-secret' },
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ port: 3, host: '127.0.0.2', appealMs: 6, apiKey: '[redacted]' });
    expect(stdout).not.toContain('sk-very-secret');
  });

  test('a server that cannot start ends with 1 and a line', async () => {
    const provider = ['--model-folder', folder, '--model-id', 'x', '--operator', 'x', '--log-level', 'silent'];
    const places = ['--data-folder', folder, '--key-file', path.join(folder, 'key')];
    const address = `0x${'ab'.repeat(20)}`;
    const { code, stderr } = await run(['provider', ...provider, ...places, '--gateway-addresses', address]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^assay provider: .*model\.onnx.*\n$/);
    const models = ['--providers', 'http://127.0.0.1:1', '--referee', 'http://127.0.0.1:2', '--model-folders', folder];
    const gateway = await run(['gateway', ...models, ...places, '--log-level', 'silent']);
    expect(gateway).toEqual({ code: 1, stdout: '', stderr: 'assay gateway: the model folder has no config.json\n' });
  });
});

describe('keygen', () => {
  test('makes a private key for its owner alone, prints the address, and never replaces a file', async () => {
    const file = path.join(folder, 'deep', 'key');
    const made = await run(['keygen', file]);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toMatch(/^0x[0-9a-f]{40}\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/^0x[0-9a-f]{64}\n$/);
    expect(await run(['keygen', file])).toEqual({
      code: 1,
      stdout: '',
      stderr: `assay keygen: ${file} exists and is not replaced\n`,
    });
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('puts an API key with funds and a policy into a gateway database, by its hash alone', async () => {
    const file = path.join(folder, 'assay.sqlite');
    await openStore({ file }).close();
    const options = ['--data-folder', folder, '--funds-nano', '5000', '--policy', 'quorum; n=5', '--label', 'ci'];
    const { code, stdout } = await run(['keygen', '--api-key', ...options]);
    expect(code).toBe(0);
    const apiKey = /^API key \(shown once\): (\S+)$/m.exec(stdout)![1]!;
    expect(stdout).toContain(`hash: ${hashApiKey(apiKey)}`);
    const store = openStore({ file });
    const row = await store.read((handle) => activeApiKeyByHash(handle, hashApiKey(apiKey)));
    expect(row).toMatchObject({ label: 'ci', policyJson: expect.stringContaining('"n":5') });
    expect(await store.read((handle) => balanceNano(handle, `client:${row!.account}`))).toBe(5000n);
    expect(checkBooks(await store.withTx(readBooks))).toEqual([]);
    await store.close();
    expect(readFileSync(file).includes(apiKey)).toBe(false);
  });

  test('refuses a folder without a database, and options that do not go together', async () => {
    const { code, stderr } = await run(['keygen', '--api-key', '--data-folder', folder]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `assay keygen: ${folder} holds no gateway database; start the gateway once\n`,
    });
    for (const args of [
      [],
      ['a', 'b'],
      ['--api-key', 'file'],
      ['file', '--label', 'x'],
      ['--api-key', '--label', 'x'],
    ]) {
      expect((await run(['keygen', ...args])).code, args.join(' ')).toBe(2);
    }
  });
});

describe('migrate', () => {
  test('brings the databases of a folder and its subfolders up to date, and says what it did', async () => {
    new Database(path.join(folder, 'assay.sqlite')).close();
    mkdirSync(path.join(folder, 'provider-1'));
    new Database(path.join(folder, 'provider-1', 'jobs.sqlite')).close();
    const first = await run(['migrate', folder]);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(
      /assay\.sqlite: \d+ migrations? applied\n.*provider-1.jobs\.sqlite: \d+ migrations? applied\n$/,
    );
    expect((await run(['migrate', folder])).stdout.match(/up to date/g)).toHaveLength(2);
  });

  test.each(['assay.sqlite', 'jobs.sqlite'])('refuses an edited history of %s and leaves it alone', async (name) => {
    const file = path.join(folder, name);
    new Database(file).close();
    await run(['migrate', folder]);
    const database = new Database(file);
    database.exec("update __drizzle_migrations set hash = 'edited'");
    database.close();
    const { code, stdout, stderr } = await run(['migrate', folder]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(`assay migrate: ${file}: A migration was edited after it was applied.\n`);
  });

  test('a provider refuses to start on an edited history as well', () => {
    const database = new Database(path.join(folder, 'jobs.sqlite'));
    migrateProvider(database, providerMigrationsFolder());
    database.exec("update __drizzle_migrations set hash = 'edited'");
    expect(() => migrateProvider(database, providerMigrationsFolder())).toThrow('edited after it was applied');
    database.close();
  });

  test('finds nothing in an empty folder: exit code 1', async () => {
    expect(await run(['migrate', folder])).toMatchObject({ code: 1, stdout: '' });
    expect((await run(['migrate'])).code).toBe(2);
  });
});
