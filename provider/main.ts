/** Composition root of the provider: real clock, randomness, key, store, engine and server (DESIGN §14). */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { serve } from '@hono/node-server';
import pino from 'pino';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Clock, Rng } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { createProvider, type Provider } from './app.ts';
import {
  flagOf,
  type ProviderConfig,
  parseProviderConfig,
  type RawSettings,
  redactedConfig,
  SETTING_NAMES,
  settingsHelp,
} from './config.ts';
import { DEFAULT_LIMITS } from './deps.ts';
import type { Engine } from './engine/engine.ts';
import { readModelFolder } from './engine/model-folder.ts';
import { createOnnxEngine } from './engine/onnx/onnx-engine.ts';
import { readOrMakeKey } from './key-file.ts';
import { createLog, errorFields, type Log } from './log.ts';
import { openSqliteStore } from './store/sqlite.ts';

const EXIT_OK = 0;
const EXIT_RUNTIME = 1;
const EXIT_CONFIG = 2;
/** How long open jobs may go on after a signal; an orchestrator's own patience is 10 s or more. */
const DRAIN_MS = 5_000;
const DRAIN_STEP_MS = 25;
/** Longest delay of setTimeout: a signed 32-bit count of milliseconds. */
const TIMER_MAX_MS = 2 ** 31 - 1;

const USAGE = `assay provider [options]

Serves one model to the trusted gateways.

  --config <file>                  JSON file with the settings below, in camel case
  --print-config                   print the effective configuration and exit
  --ready-json                     print one line of JSON on standard output once the server listens
  --exit-with-parent               exit when standard input closes
  --help                           print this text
${settingsHelp()}
`;

type Env = Readonly<Record<string, string | undefined>>;

interface Switches {
  readonly help: boolean;
  readonly printConfig: boolean;
  readonly readyJson: boolean;
  readonly exitWithParent: boolean;
}

const clock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const stop = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        },
        Math.min(ms, TIMER_MAX_MS),
      );
      signal?.addEventListener('abort', stop, { once: true });
    }),
};

const rng: Rng = { bytes: (length) => new Uint8Array(randomBytes(length)) };

/**
 * Runs a provider until a signal (or its parent's end) stops it.
 * @param argv arguments after the command's name
 * @returns the exit code: 0, 1 for a failure at run time, 2 for a bad configuration
 */
export async function runProvider(argv: readonly string[], env: Env): Promise<number> {
  const { switches, flags, configFile } = parseFlags(argv);
  if (switches.help) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const file = readConfigFile(configFile);
  const result = file === null ? null : parseProviderConfig({ env, flags, file });
  if (result === null || !result.ok) {
    const problems = result === null ? ['--config cannot be read as a JSON object'] : result.problems;
    process.stderr.write(`${problems.map((problem) => `assay provider: ${problem}`).join('\n')}\n`);
    return EXIT_CONFIG;
  }
  const { config } = result;
  if (switches.printConfig) {
    process.stdout.write(`${JSON.stringify(redactedConfig(config), null, 2)}\n`);
    return EXIT_OK;
  }
  // Standard output belongs to --ready-json.
  const log = createLog({ clock, level: config.logLevel, destination: pino.destination({ dest: 2, sync: true }) });
  try {
    return await serveUntilStopped(config, switches, log);
  } catch (error) {
    log.error('provider_failed', errorFields(error));
    process.stderr.write(`assay provider: ${error instanceof Error ? error.message : 'failed'}\n`);
    return EXIT_RUNTIME;
  }
}

async function serveUntilStopped(config: ProviderConfig, switches: Switches, log: Log): Promise<number> {
  const signer = nativeSigner(readOrMakeKey(config.keyFile, rng));
  mkdirSync(config.dataFolder, { recursive: true });
  const store = openSqliteStore({
    path: path.join(config.dataFolder, 'jobs.sqlite'),
    migrationsFolder: migrationsFolder(),
  });
  const { digest, engine } = await loadModel(config);
  const provider = createProvider({
    models: new Map([[digest, { id: config.modelId, engine }]]),
    manifest: { operator: config.operator, role: config.role, region: config.region },
    signer,
    recover: recoverNative,
    domain: LOCAL_DOMAIN,
    gatewayAddresses: new Set(config.gatewayAddresses),
    store,
    clock,
    rng,
    log,
    limits: { ...DEFAULT_LIMITS, runningMax: config.concurrency, waitingMax: config.queue },
  });
  const server = serve({ fetch: provider.app.fetch, hostname: config.host, port: config.port });
  const stopped = stopSignal(switches.exitWithParent);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', reject);
    });
    const { port } = server.address() as AddressInfo;
    log.info('provider_listening', { port, address: signer.address, model: config.modelId });
    if (switches.readyJson) {
      process.stdout.write(`${JSON.stringify({ ready: true, port, address: signer.address })}\n`);
    }
    log.info('provider_stopping', { signal: await stopped });
    await drain(provider);
  } finally {
    provider.close();
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
    await engine.close();
    store.close();
  }
  return EXIT_OK;
}

/** Lets open jobs come to their end, for a while. */
async function drain(provider: Provider): Promise<void> {
  provider.drain();
  for (let waitedMs = 0; provider.openCount() > 0 && waitedMs < DRAIN_MS; waitedMs += DRAIN_STEP_MS) {
    await clock.sleep(DRAIN_STEP_MS);
  }
}

/** Resolves with what asked this process to stop. */
function stopSignal(exitWithParent: boolean): Promise<string> {
  return new Promise((resolve) => {
    const stop = (reason: string) => {
      // An open pipe would keep this process alive after everything else has ended.
      if (exitWithParent) process.stdin.destroy();
      resolve(reason);
    };
    process.once('SIGTERM', () => stop('SIGTERM'));
    process.once('SIGINT', () => stop('SIGINT'));
    if (!exitWithParent) return;
    // The pipe closes however the parent ends, a kill -9 included.
    process.stdin.once('end', () => stop('parent_exit'));
    process.stdin.once('error', () => stop('parent_exit'));
    process.stdin.resume();
  });
}

/** The digest of what is claimed, and the engine of what is run: the same folder, but for the demo's cheat switch. */
async function loadModel(config: ProviderConfig): Promise<{ digest: Hash; engine: Engine }> {
  const { modelFolder, actualModelFolder, weights } = config;
  const claimed = await readModelFolder(modelFolder, weights);
  const run = actualModelFolder === null ? claimed : await readModelFolder(actualModelFolder, weights);
  const { executionProviders, threads } = config;
  return {
    digest: claimed.modelDigest,
    engine: await createOnnxEngine(run, { executionProviders, intraOpThreads: threads }),
  };
}

/** The generated migrations, next to the sources or to `dist`. @throws {Error} in a damaged installation */
function migrationsFolder(): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'migrations', 'provider-sqlite');
    if (existsSync(candidate)) return candidate;
    if (path.dirname(folder) === folder) throw new Error('migrations/provider-sqlite is missing');
  }
}

function parseFlags(argv: readonly string[]): { switches: Switches; flags: RawSettings; configFile: string | null } {
  const names = new Map(SETTING_NAMES.map((key) => [flagOf(key).slice(2), key]));
  const switchNames = ['help', 'print-config', 'ready-json', 'exit-with-parent'];
  const options: Record<string, { type: 'string' | 'boolean' }> = { config: { type: 'string' } };
  for (const name of names.keys()) options[name] = { type: 'string' };
  for (const name of switchNames) options[name] = { type: 'boolean' };
  const { values, positionals } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true });
  const flags: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    if (name !== 'config' && !switchNames.includes(name)) flags[names.get(name) ?? name] = value;
  }
  // A stray word is most likely the value of a mistyped flag; the configuration reports it as unknown.
  for (const word of positionals) flags[word] = word;
  const isOn = (name: string) => values[name] === true;
  return {
    switches: {
      help: isOn('help'),
      printConfig: isOn('print-config'),
      readyJson: isOn('ready-json'),
      exitWithParent: isOn('exit-with-parent'),
    },
    flags,
    configFile: typeof values.config === 'string' ? values.config : values.config === undefined ? null : '',
  };
}

/** The parsed file, an empty object without one, null when it is not a JSON object. */
function readConfigFile(file: string | null): RawSettings | null {
  if (file === null) return {};
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as RawSettings) : null;
  } catch {
    return null;
  }
}
