/** The package that `npm pack` builds, installed in an empty folder as a user installs it. */
import { execFile, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ask, childrenOf, ensureBuilt, ROOT, run, until, untilGone } from './program.ts';

// Processes on a busy machine; nothing here asserts how long anything takes.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 });

/** Largest tarball in bytes: the models are 36 MB of weights that do not compress. */
const PACKED_MAX = 40_000_000;
const ADDON = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node';
const BODY = { model: 'minnow-5m', temperature: 0, messages: [{ role: 'user', content: 'Tell me about Japan.' }] };

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

let folder: string;
let app: string;
let packed: Packed;

/** npm itself, without what the npm that runs this suite has put into the environment. */
async function npm(args: readonly string[], cwd: string): Promise<string> {
  const { PATH, HOME } = process.env;
  const options = { cwd, env: { PATH, HOME }, maxBuffer: 1 << 26 };
  return (await promisify(execFile)('npm', [...args], options)).stdout;
}

const versionIn = (root: string) =>
  (JSON.parse(readFileSync(path.join(root, 'node_modules/better-sqlite3/package.json'), 'utf8')) as { version: string })
    .version;

beforeAll(async () => {
  ensureBuilt();
  folder = mkdtempSync(path.join(tmpdir(), 'assay-package-'));
  app = path.join(folder, 'app');
  mkdirSync(app);
  const report = await npm(['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT);
  [packed] = JSON.parse(report) as [Packed];
  const tarball = path.join(folder, packed.filename);
  // Install scripts only compile or download what this checkout already has: the one addon without a prebuilt form is
  // taken from here while its version is the same, since compiling SQLite takes a minute.
  await npm(['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball], app);
  if (versionIn(app) === versionIn(ROOT)) {
    mkdirSync(path.dirname(path.join(app, ADDON)), { recursive: true });
    copyFileSync(path.join(ROOT, ADDON), path.join(app, ADDON));
  } else {
    await npm(['rebuild', 'better-sqlite3'], app);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the tarball holds what a user needs, and nothing else', () => {
  const paths = packed.files.map((file) => file.path);
  const wanted = [
    /^dist\/(main|(gateway|provider|contracts\/(protocol|chain))\/[a-z0-9/-]+)\.(js|d\.ts)$/,
    /^contracts\/chain\/abi\/[A-Za-z]+\.json$/,
    /^provider\/models\/minnow\/dist\/minnow-[15]m\/([a-z_]+\.json|calibration\/[0-9-]+\.json|onnx\/model(_[a-z0-9]+)?\.onnx)$/,
    /^provider\/models\/minnow\/(MODEL_CARD\.md|LICENSES\/[a-z-]+\.txt)$/,
    /^migrations\/(provider-)?sqlite\/(\d{4}_[a-z0-9_-]+\.sql|meta\/(\d{4}_snapshot|_journal)\.json)$/,
    /^contracts\/protocol\/[A-Za-z-]+\.md$/,
    /^(README|CHANGELOG|SECURITY)\.md$/,
    /^(gateway|provider)\/ops\/[A-Za-z.-]+$/,
    /^package\.json$/,
  ];
  expect(paths.filter((file) => !wanted.some((pattern) => pattern.test(file)))).toEqual([]);
  for (const pattern of wanted)
    expect(
      paths.some((file) => pattern.test(file)),
      String(pattern),
    ).toBe(true);
  expect(packed.size).toBeLessThan(PACKED_MAX);
});

test('npx assay demo serves, npx assay verify and `assay/verify` check its answer, and Ctrl-C ends everything', async () => {
  const { PATH, HOME } = process.env;
  const child = spawn('npx', ['--no-install', 'assay', 'demo'], {
    cwd: app,
    // A group of its own, so that the signal reaches it as a terminal's Ctrl-C does.
    detached: true,
    env: { PATH, HOME, ASSAY_PORT: '0', ASSAY_API_KEY: 'sk-package-test' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (piece: Buffer) => {
    printed += piece.toString('utf8');
  });
  await until(() => /^ {2}curl .*\n/m.test(printed) || child.exitCode !== null);
  const url = /base URL {2}(\S+)\/v1$/m.exec(printed)?.[1];
  expect(url, printed).toBeDefined();
  const response = await ask({ url: url!, apiKey: 'sk-package-test' }, BODY);
  const answer = await response.text();
  expect(JSON.parse(answer)).toMatchObject({ assay: { verdict: 'agreed' } });
  const started = [child.pid!, ...descendantsOf(child.pid!)];
  process.kill(-child.pid!, 'SIGINT');
  await untilGone(started);

  writeFileSync(path.join(app, 'answer.json'), answer);
  writeFileSync(path.join(app, 'swapped.json'), answer.replace('Tokyo', 'Kyoto'));
  const entry = path.join(app, 'node_modules/assay/dist/main.js');
  const model = ['--model', 'node_modules/assay/provider/models/minnow/dist/minnow-5m'];
  const honest = await npm(['exec', '--no-install', '--', 'assay', 'verify', 'answer.json', ...model], app);
  expect(honest).toMatch(/^proved +answer-text/m);
  const swapped = await run(['verify', 'swapped.json', ...model], { cwd: app, entry });
  expect(swapped.code).toBe(1);
  expect(swapped.stdout).toMatch(/^failed +answer-text/m);

  writeFileSync(
    path.join(app, 'check.mjs'),
    `import { readFileSync } from 'node:fs';
import { verifyResponse } from 'assay/verify';
const ok = (file) => verifyResponse({ response: readFileSync(file, 'utf8') }).ok;
console.log(ok('answer.json'), ok('swapped.json'));`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ['check.mjs'], { cwd: app });
  expect(stdout).toBe('true false\n');
});

/** All processes below one, npm's shells among them. */
function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}
