/** What people are told to type is what the commands take: each line of the documents and units is parsed by its own command. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { createClock } from '#protocol/clock';
import { EXIT_MISUSED, EXIT_OK } from '#protocol/command-line';
import { runAdmin } from '../../gateway/cli/admin.ts';
import { ADMIN_COMMANDS } from '../../gateway/cli/admin-commands.ts';
import { runAuditProof } from '../../gateway/cli/audit-proof.ts';
import { runBackup } from '../../gateway/cli/backup.ts';
import type { CliIo } from '../../gateway/cli/cli-io.ts';
import { runDeploy } from '../../gateway/cli/deploy.ts';
import { runFsck } from '../../gateway/cli/fsck.ts';
import { runKeygen } from '../../gateway/cli/keygen.ts';
import { runMigrate } from '../../gateway/cli/migrate.ts';
import { runReferee } from '../../gateway/cli/referee.ts';
import { runRestore } from '../../gateway/cli/restore.ts';
import { runVerify } from '../../gateway/cli/verify.ts';
import { runGateway } from '../../gateway/main.ts';
import { runCalibrate } from '../../provider/cli/calibrate.ts';
import { runChainCommand } from '../../provider/cli/chain-command.ts';
import { runEscrow } from '../../provider/cli/escrow-command.ts';
import { PROVIDER_COMMANDS, runProviderCommand } from '../../provider/cli/provider-command.ts';
import { runWatch } from '../../provider/cli/watch-command.ts';
import { runProvider } from '../../provider/main.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const DOCUMENTS = ['README.md', 'SECURITY.md', 'gateway/ops/OPERATIONS.md'];
const UNITS = ['gateway/ops/assay-gateway.service', 'provider/ops/assay-provider.service'];
const COMPOSE = 'gateway/ops/compose.yaml';
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

const home = mkdtempSync(path.join(tmpdir(), 'assay-lines-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

/** One command line, as its words; what stands for something of the reader's own is filled in. */
interface Line {
  readonly file: string;
  readonly words: readonly string[];
  /** Cut short in the document. */
  readonly isCut: boolean;
}

function lineOf(file: string, text: string): Line {
  const [command = ''] = text.split(/\s#\s/);
  const filled = command
    .replaceAll('<url>', 'http://127.0.0.1:1')
    .replaceAll(/<[^>]*>/g, path.join(home, 'none'))
    .replaceAll('0x…', `0x${'ab'.repeat(20)}`)
    .replaceAll(',…', '')
    .replaceAll('/data/', `${home}/data/`);
  const words = [...filled.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
  return { file, words: words.filter((word) => word !== '…'), isCut: words.includes('…') };
}

/** The name of a command, or of a group of them, is no line. */
function isName([first, second, ...more]: readonly string[]): boolean {
  if (second === undefined) return true;
  const isGroup = Object.keys(ADMIN_COMMANDS).some((name) => name.startsWith(`${second} `));
  return first === 'admin' && more.length === 0 && isGroup;
}

/** Of code spans and code blocks. */
function linesOf(file: string): Line[] {
  const text = read(file);
  const spans = [...text.matchAll(/`(?:npx )?assay ([^`\n]+)`/g)].map(([, line]) => line!);
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.split('\n'));
  const typed = blocks.flatMap((line) => /^(?:npx )?assay (.+)$/.exec(line)?.[1] ?? []);
  return [...spans, ...typed].map((line) => lineOf(file, line)).filter(({ words }) => !isName(words));
}

const started = UNITS.map((file) =>
  lineOf(file, /^ExecStart=\/usr\/bin\/node dist\/main\.js (.+)$/m.exec(read(file))![1]!),
);
const composed = [
  ...[...read(COMPOSE).matchAll(/command: (\[.+\])/g)].map(([, list]) => (JSON.parse(list!) as string[]).join(' ')),
  ...[...read(COMPOSE).matchAll(/ run .*--rm gateway (.+)$/gm)].map(([, line]) => line!),
].map((line) => lineOf(COMPOSE, line));
const LINES = [...DOCUMENTS.flatMap(linesOf), ...started, ...composed];

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const unreachable = () => Promise.reject(new TypeError('connection refused'));

async function run([command, ...argv]: readonly string[]): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => err.push(String(text)) > 0);
  const io: CliIo = {
    print: (line) => out.push(line),
    fail: (line) => err.push(line),
    clock: createClock({ now: () => 0, after: () => () => undefined }),
    rng: { bytes: (length) => new Uint8Array(length).fill(7) },
  };
  const code = await codeOf(command!, argv, io);
  vi.restoreAllMocks();
  return { code, out: out.join('\n'), err: err.join('\n') };
}

async function codeOf(command: string, argv: readonly string[], io: CliIo): Promise<number> {
  const more = { ...io, env: {}, fetch: unreachable, modelFolder: home };
  switch (command) {
    case 'stake':
    case 'unstake':
    case 'claim':
      return runChainCommand(command, argv, more);
    case 'escrow':
      return runEscrow(argv, more);
    case 'watch':
      return runWatch(argv, more, async () => undefined);
    case 'calibrate':
      return runCalibrate(argv, more, process.version);
    case 'gateway':
      return runGateway([...argv, '--print-config'], {});
    case 'provider': {
      const known = PROVIDER_COMMANDS.find((name) => name === argv[0]);
      if (known === undefined) return runProvider([...argv, '--print-config'], {});
      return runProviderCommand(known, argv.slice(1), more, process.version);
    }
    case 'admin': {
      const fetch = async () => Response.json({});
      return runAdmin(argv, { ...io, env: { ASSAY_ADMIN_KEY: 'key' }, fetch });
    }
    case 'keygen':
      return runKeygen(argv, io);
    case 'migrate':
      return runMigrate(argv, io, () => 0);
    case 'verify':
      return runVerify(argv, io);
    case 'audit-proof':
      return runAuditProof(argv, { ...io, fetch: unreachable });
    case 'backup':
      return runBackup(argv, io);
    case 'restore':
      return runRestore(argv, { ...io, fetch: unreachable });
    case 'fsck':
      return runFsck(argv, io);
    case 'deploy':
      return runDeploy(argv, io, home);
    case 'referee':
      return runReferee(argv, { ...io, fetch: unreachable });
    default:
      throw new Error(`assay has no ${command}`);
  }
}

/** What a command says of a flag or word that it does not take; what else is wrong is the example's own. */
const NOT_TAKEN =
  /known flag|not expected here|known command|does not go with|given twice|takes no value|needs a value/;
/** A server is configured by its environment too, and the files that are verified are the reader's own. */
const MAY_LACK = ['gateway', 'provider', 'verify', 'stake', 'unstake', 'claim', 'watch', 'calibrate', 'escrow'];

describe('a line that people are told to type', () => {
  test.each(LINES.map((line) => [line.words.join(' '), line] as const))('is taken: assay %s', async (_, line) => {
    const { code, err } = await run(line.words);
    // A line that is cut short may end in a flag without its value.
    expect(line.isCut ? err.replaceAll(/.* needs a value/g, '') : err).not.toMatch(NOT_TAKEN);
    if (line.isCut || MAY_LACK.includes(line.words[0]!)) return;
    if (line.words[0] === 'admin') expect([code, err]).toEqual([EXIT_OK, '']);
    else expect(code, err).not.toBe(EXIT_MISUSED);
  });

  test('is looked for in every document', () => {
    expect(LINES.length).toBeGreaterThan(20);
    for (const file of ['README.md', 'gateway/ops/OPERATIONS.md', COMPOSE, ...UNITS]) {
      expect(LINES.map((line) => line.file)).toContain(file);
    }
  });

  test('is refused where a flag, a word or a command is not there', async () => {
    for (const line of [
      'fsck --folder x',
      'admin keys make',
      'admin books --force-it',
      'gateway --prot 1',
      'provider init now',
    ]) {
      expect((await run(line.split(' '))).err, line).toMatch(NOT_TAKEN);
    }
  });
});

/** npm's. */
const FOREIGN = ['--foreground-scripts', '--ignore-scripts', '--omit', '--prefix'];

test('every flag that a document names is one of the commands’', async () => {
  const helps = [
    'gateway',
    'provider',
    'provider init',
    'admin',
    'keygen',
    'migrate',
    'verify',
    'backup',
    'restore',
    'fsck',
    'deploy',
    'stake',
    'unstake',
    'claim',
    'watch',
    'escrow',
    'calibrate',
    'referee',
  ];
  // The demo's usage would need a network to be printed.
  const known = new Set([...FOREIGN, ...read('gateway/demo/demo.ts').match(/--[a-z][a-z-]*[a-z]/g)!]);
  for (const command of helps) {
    const { out } = await run([...command.split(' '), '--help']);
    for (const [flag] of out.matchAll(/--[a-z][a-z-]*[a-z]/g)) known.add(flag);
  }
  const named = DOCUMENTS.flatMap((file) =>
    [...read(file).matchAll(/(?<=[`\s])--[a-z][a-z-]*[a-z]/g)].map(([flag]) => flag),
  );
  expect(named.filter((flag) => !known.has(flag))).toEqual([]);
  expect(new Set(named).size).toBeGreaterThan(20);
});

test('every file that a document names or links is there', () => {
  const inside = /[`(]((?:gateway|provider|contracts|migrations|test)\/[\w./-]+\w)[`)]/g;
  const named = [...DOCUMENTS, 'CONTRIBUTING.md'].flatMap((file) =>
    [...read(file).matchAll(inside)].map(([, name]) => name!),
  );
  expect(named.filter((name) => !existsSync(path.join(ROOT, name)))).toEqual([]);
  expect(named.length).toBeGreaterThan(10);
});
