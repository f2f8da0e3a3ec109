#!/usr/bin/env node
/** The `assay` command: the only place that knows both servers, and each is loaded only when it is asked for. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClock } from '#protocol/clock';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK } from '#protocol/command-line';
import type { CliIo } from './gateway/cli/cli-io.ts';
import type { ChainCommand } from './provider/cli/chain-command.ts';

const USAGE = `usage: assay <command> [options]

  demo       gateway, providers and referee on this machine
  gateway    the OpenAI-compatible gateway
  provider   one provider in front of a model
  stake      a provider's stake onto a chain
  unstake    and off it again
  claim      a provider's earnings from a chain
  escrow     pay a gateway out of a client's escrow
  watch      look for faults, and prove them on a chain
  calibrate  how far honest engines of a model differ
  verify     check a saved answer offline
  audit-proof  check offline that promised audits were done
  keygen     make a private key or an API key
  migrate    bring databases up to date
  admin      operate a running gateway
  backup     copy a gateway's database while it runs
  restore    let a gateway go on over a copy
  fsck       check a gateway's database against itself
  deploy     the contracts, onto a chain
  referee    judge a gateway's cases for a chain

assay <command> --help tells more; assay --version prints the version.
Exit codes: 0 done, 1 failed, 2 used or configured wrongly.`;

const entry = fileURLToPath(import.meta.url);

const io: CliIo = {
  print: (line) => process.stdout.write(`${line}\n`),
  fail: (line) => process.stderr.write(`${line}\n`),
  clock: createClock({
    now: () => Date.now(),
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  }),
  rng: { bytes: (length) => new Uint8Array(randomBytes(length)) },
};

/** A file or folder of the package, which lies next to the sources or above the built program. */
function packaged(...parts: readonly string[]): string {
  for (let folder = path.dirname(entry); ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, ...parts);
    if (existsSync(candidate)) return candidate;
    if (path.dirname(folder) === folder) throw new Error(`the installation lacks ${parts.join('/')}`);
  }
}

function version(): string {
  const { version: text } = JSON.parse(readFileSync(packaged('package.json'), 'utf8')) as { version: string };
  return text;
}

const PARENT_MS = 500;

/** Resolves at the first signal; later ones change nothing, so that nothing is left half stopped. */
function stopped(): Promise<void> {
  return new Promise((resolve) => {
    // A SIGTERM to `npm start` ends npm and its shell, and does not come here: another parent says the same.
    const parent = process.ppid;
    const watch = () => process.ppid !== parent && resolve();
    if (process.env.npm_lifecycle_event !== undefined) setInterval(watch, PARENT_MS).unref();
    process.on('SIGTERM', () => resolve());
    process.on('SIGINT', () => resolve());
  });
}

async function demo(args: readonly string[]): Promise<number> {
  const { runDemo } = await import('./gateway/demo/demo.ts');
  const { startGateway } = await import('./gateway/main.ts');
  const models = packaged('provider', 'models', 'minnow', 'dist');
  const abis = packaged('contracts', 'chain', 'abi');
  return runDemo(args, { ...io, entry, models, abis, env: process.env, startGateway, stopped });
}

async function openTraces() {
  return (await import('./gateway/trace/otel.ts')).openOtlpTraces;
}

function providerIo() {
  const modelFolder = packaged('provider', 'models', 'minnow', 'dist', 'minnow-5m');
  return { ...io, env: process.env, fetch, modelFolder };
}

async function onChain(command: ChainCommand, args: readonly string[]): Promise<number> {
  return (await import('./provider/cli/chain-command.ts')).runChainCommand(command, args, providerIo());
}

async function watch(args: readonly string[]): Promise<number> {
  return (await import('./provider/cli/watch-command.ts')).runWatch(args, providerIo(), stopped);
}

async function provider([command, ...args]: readonly string[]): Promise<number> {
  const { PROVIDER_COMMANDS, runProviderCommand } = await import('./provider/cli/provider-command.ts');
  if (command === 'stake' || command === 'unstake' || command === 'claim') return onChain(command, args);
  if (command === 'watch') return watch(args);
  const known = PROVIDER_COMMANDS.find((name) => name === command);
  if (known === undefined) {
    const argv = command === undefined ? args : [command, ...args];
    return (await import('./provider/main.ts')).runProvider(argv, process.env, openTraces);
  }
  return runProviderCommand(known, args, providerIo(), process.version);
}

async function calibrate(args: readonly string[]): Promise<number> {
  return (await import('./provider/cli/calibrate.ts')).runCalibrate(args, providerIo(), process.version);
}

async function migrate(args: readonly string[]): Promise<number> {
  const { runMigrate } = await import('./gateway/cli/migrate.ts');
  const { migrateProvider, providerMigrationsFolder } = await import('./provider/store/migrations.ts');
  return runMigrate(args, io, (database) => migrateProvider(database, providerMigrationsFolder()));
}

async function main([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case 'demo':
      return demo(args);
    case 'gateway':
      return (await import('./gateway/main.ts')).runGateway(args, process.env);
    case 'provider':
      return provider(args);
    case 'stake':
    case 'unstake':
    case 'claim':
      return onChain(command, args);
    case 'escrow':
      return (await import('./provider/cli/escrow-command.ts')).runEscrow(args, providerIo());
    case 'watch':
      return watch(args);
    case 'verify':
      return (await import('./gateway/cli/verify.ts')).runVerify(args, io);
    case 'audit-proof':
      return (await import('./gateway/cli/audit-proof.ts')).runAuditProof(args, { ...io, fetch: (url) => fetch(url) });
    case 'keygen':
      return (await import('./gateway/cli/keygen.ts')).runKeygen(args, io);
    case 'calibrate':
      return calibrate(args);
    case 'migrate':
      return migrate(args);
    case 'admin':
      return (await import('./gateway/cli/admin.ts')).runAdmin(args, { ...io, env: process.env, fetch });
    case 'backup':
      return (await import('./gateway/cli/backup.ts')).runBackup(args, io);
    case 'restore':
      return (await import('./gateway/cli/restore.ts')).runRestore(args, { ...io, fetch: (url) => fetch(url) });
    case 'fsck':
      return (await import('./gateway/cli/fsck.ts')).runFsck(args, io);
    case 'deploy':
      return (await import('./gateway/cli/deploy.ts')).runDeploy(args, io, packaged('contracts', 'chain', 'abi'));
    case 'referee':
      return (await import('./gateway/cli/referee.ts')).runReferee(args, { ...io, fetch });
    case '--version':
    case '-v':
      io.print(version());
      return EXIT_OK;
    case 'help':
    case '--help':
    case '-h':
      io.print(USAGE);
      return EXIT_OK;
    case undefined:
      io.fail(USAGE);
      return EXIT_MISUSED;
    default:
      io.fail(`assay: ${JSON.stringify(command.slice(0, 64))} is not a known command; assay --help lists them`);
      return EXIT_MISUSED;
  }
}

try {
  // Exits by itself when nothing is left to do, so that output is flushed.
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  io.fail(`assay: ${error instanceof Error ? error.message : 'failed'}`);
  process.exitCode = EXIT_FAILED;
}
