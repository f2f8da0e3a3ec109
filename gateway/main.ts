/** Composition root of the gateway: real clock, randomness, keys, database, models and server (DESIGN §14). */
import { createPrivateKey, hkdfSync, randomBytes, sign as signNode } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { serve } from '@hono/node-server';
import { ed25519 } from '@noble/curves/ed25519.js';
import pino from 'pino';
import { Agent, type RequestInit as UndiciInit, fetch as undiciFetch } from 'undici';
import { createClock } from '#protocol/clock';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Rng } from '#protocol/env';
import { type Address, fromHex, toHex } from '#protocol/hash';
import type { LogSigner } from '#protocol/log';
import { readModel } from '#protocol/model-folder';
import { flagOf, type RawSettings, settableNames, settingsHelp } from '#protocol/settings';
import type { Signer } from '#protocol/signer';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { createTextModel } from '#protocol/text';
import { createSecretBox } from './committee/secret-box.ts';
import { GATEWAY_SETTINGS, type GatewayConfig, parseGatewayConfig, redactedConfig } from './config.ts';
import type { DeskMove } from './dispute/desk.ts';
import { Gateway, type GatewayLimits } from './gateway.ts';
import { hashApiKey, newApiKey } from './keys.ts';
import { type BooksProblem, checkBooks } from './ledger/check-books.ts';
import { createLog, errorFields, type Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { folderReader } from './model-reader.ts';
import type { ModelEntry } from './openai/answer.ts';
import type { Fetch } from './round/provider-client.ts';
import { readBooks } from './store/ledger-repo.ts';
import { openStore } from './store/open-store.ts';

const EXIT_OK = 0;
const EXIT_RUNTIME = 1;
const EXIT_CONFIG = 2;
/** How often rulings are settled and providers that were down are asked again. */
const TICK_MS = 1_000;
/** How long running requests may go on after a signal. */
const DRAIN_MS = 5_000;

const USAGE = `assay gateway [options]

Serves the OpenAI-compatible API in front of a committee of providers.

  --config <file>                  JSON file with the settings below, in camel case
  --print-config                   print the effective configuration and exit
  --help                           print this text
${settingsHelp(GATEWAY_SETTINGS)}
`;

type Env = Readonly<Record<string, string | undefined>>;

export const systemClock = createClock({
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
});

export const systemRng: Rng = { bytes: (length) => new Uint8Array(randomBytes(length)) };

/** A gateway that listens. */
export interface RunningGateway {
  readonly url: string;
  readonly address: Address;
  readonly apiKey: string;
  /** URLs of providers that could not be admitted yet. */
  readonly missing: readonly string[];
  /** What is wrong with the books; empty when they balance. */
  checkBooks(): Promise<readonly BooksProblem[]>;
  stop(): Promise<void>;
}

/**
 * Runs a gateway until a signal stops it.
 * @returns the exit code: 0, 1 for a failure at run time, 2 for a bad configuration
 */
export async function runGateway(argv: readonly string[], env: Env): Promise<number> {
  const { switches, flags, configFile } = parseFlags(argv);
  if (switches.has('help')) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const file = readConfigFile(configFile);
  const result = file && parseGatewayConfig({ env, flags, file });
  if (!result?.ok) {
    const problems = result ? result.problems : ['--config cannot be read as a JSON object'];
    process.stderr.write(`${problems.map((problem) => `assay gateway: ${problem}`).join('\n')}\n`);
    return EXIT_CONFIG;
  }
  if (switches.has('print-config')) {
    process.stdout.write(`${JSON.stringify(redactedConfig(result.config), null, 2)}\n`);
    return EXIT_OK;
  }
  const destination = pino.destination({ dest: 2, sync: true });
  const log = createLog({ clock: systemClock, level: result.config.logLevel, destination });
  try {
    const stopped = stopSignal();
    const gateway = await startGateway(result.config, log);
    process.stdout.write(`assay gateway ${gateway.url}/v1 signing as ${gateway.address}\n`);
    if (result.config.apiKey === null) process.stdout.write(`API key (shown once): ${gateway.apiKey}\n`);
    await stopped;
    await gateway.stop();
    return EXIT_OK;
  } catch (error) {
    log.error('gateway_failed', errorFields(error));
    process.stderr.write(`assay gateway: ${error instanceof Error ? error.message : 'failed'}\n`);
    return EXIT_RUNTIME;
  }
}

/** Puts a gateway together, starts it and listens. @throws {Error} where files, database or port cannot be had */
export async function startGateway(
  config: GatewayConfig,
  log: Log,
  onDisputeMove?: (move: DeskMove) => void,
): Promise<RunningGateway> {
  mkdirSync(config.dataFolder, { recursive: true });
  const master = readOrMakeKey(config.keyFile);
  const signer = nativeSigner(master);
  const agent = new Agent({ connections: 256, keepAliveTimeout: 30_000 });
  const store = openStore({ file: path.join(config.dataFolder, 'assay.sqlite') });
  const gateway = new Gateway({
    store,
    fetch: fetchOver(agent),
    signer,
    logSigner: logSignerOf(config.logOrigin, master, signer),
    box: createSecretBox(master, systemRng),
    recover: recoverNative,
    domain: LOCAL_DOMAIN,
    clock: systemClock,
    rng: systemRng,
    log,
    metrics: createMetrics(),
    models: await Promise.all(config.modelFolders.map((folder) => loadModel(folder, config))),
    policyDefault: config.defaultPolicy,
    limits: limitsOf(config),
    ...(onDisputeMove ? { onDisputeMove } : {}),
  });
  await gateway.start();
  const apiKey = config.apiKey ?? newApiKey(systemRng);
  const keyHash = hashApiKey(apiKey);
  await gateway.grantKey({
    keyId: `key-${keyHash.slice(2, 14)}`,
    keyHash,
    label: 'first',
    fundsNano: config.clientNano,
  });
  const wanted = [
    ...config.providers.map((url) => ({ url, role: 'member' as const })),
    { url: config.referee, role: 'referee' as const },
  ];
  const missing = await gateway.admit(wanted, config);
  const { url, close } = await listen(gateway, config);
  const ticking = tickUntilStopped(gateway, wanted, missing, config, log);
  return {
    url,
    address: signer.address,
    apiKey,
    missing,
    checkBooks: () => store.withTx(async (tx) => checkBooks(await readBooks(tx))),
    async stop() {
      ticking.abort();
      await close();
      await gateway.stop();
      await agent.close();
      await store.close();
    },
  };
}

/** undici's fetch over our own pool; the two libraries' types of one standard differ in name only. */
function fetchOver(dispatcher: Agent): Fetch {
  return async (url, init) => {
    const response = await undiciFetch(url, { ...(init as UndiciInit), dispatcher });
    return response as unknown as Response;
  };
}

function limitsOf(config: GatewayConfig): GatewayLimits {
  return {
    roundTimeoutMs: config.roundTimeoutMs,
    connectTimeoutMs: Math.min(10_000, config.roundTimeoutMs),
    claimTimeoutMs: Math.min(10_000, config.roundTimeoutMs),
    scoreTimeoutMs: config.roundTimeoutMs,
    manifestTimeoutMs: 5_000,
    jobMs: config.jobTimeoutMs,
    retentionMs: config.retentionMs,
    // 8 tokens are a first sentence's start; doubling keeps the rounds of a long answer few.
    streamChunks: [8, 16, 32, 64],
    appealMs: config.appealMs,
    epochSize: 4096,
    // One provider's weight is at most ten first stakes: a whale cannot fill every committee.
    stakeCapNano: config.stakeNano * 10n,
  };
}

async function loadModel(folder: string, config: GatewayConfig): Promise<ModelEntry> {
  const model = await readModel(folderReader(folder));
  const text = createTextModel(model.textFiles);
  return {
    id: path.basename(path.resolve(folder)),
    digest: model.modelDigest,
    created: 0,
    ownedBy: 'assay',
    contextMax: text.contextMax,
    text,
    price: { inputNanoPerMtok: config.inputNanoPerMtok, outputNanoPerMtok: config.outputNanoPerMtok },
  };
}

/** The log's own Ed25519 key is derived from the gateway's (RFC 5869), so that there is one secret to keep. */
function logSignerOf(origin: string, master: Uint8Array, signer: Signer): LogSigner {
  const seed = new Uint8Array(hkdfSync('sha256', master, new Uint8Array(0), 'assay/log-ed25519/1', 32));
  // PKCS #8 of an Ed25519 seed (RFC 8410 §7): this fixed prefix and the 32 bytes.
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return {
    origin,
    ed25519: toHex(ed25519.getPublicKey(seed)),
    address: signer.address,
    signNote: (message) => new Uint8Array(signNode(null, message, key)),
    signDigest: (digest) => signer.sign(digest),
  };
}

async function listen(gateway: Gateway, config: GatewayConfig): Promise<{ url: string; close: () => Promise<void> }> {
  const server = serve({ fetch: gateway.app.fetch, hostname: config.host, port: config.port });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  const { port } = server.address() as AddressInfo;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return {
    url: `http://${host}:${port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = new AbortController();
      await Promise.race([closed, systemClock.sleep(DRAIN_MS, late.signal).catch(() => undefined)]);
      late.abort();
      if ('closeAllConnections' in server) server.closeAllConnections();
    },
  };
}

/** Settles what has become final; admits providers that were not there at the start. */
function tickUntilStopped(
  gateway: Gateway,
  wanted: readonly { url: string; role: 'member' | 'referee' }[],
  missingAtStart: readonly string[],
  config: GatewayConfig,
  log: Log,
): AbortController {
  const stop = new AbortController();
  let missing = [...missingAtStart];
  const loop = async () => {
    for (;;) {
      await systemClock.sleep(TICK_MS, stop.signal);
      try {
        await gateway.tick();
        const again = wanted.filter(({ url }) => missing.includes(url));
        if (again.length > 0) missing = await gateway.admit(again, config);
      } catch (error) {
        log.error('tick_failed', errorFields(error));
      }
    }
  };
  loop().catch(() => undefined);
  return stop;
}

/** Reads the gateway's key or makes one with mode 0600. @throws {Error} never quoting the file */
export function readOrMakeKey(file: string): Uint8Array {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(path.dirname(file), { recursive: true });
    const key = systemRng.bytes(32);
    writeFileSync(file, `${toHex(key)}\n`, { mode: 0o600, flag: 'wx' });
    return key;
  }
  if (!/^0x[0-9a-f]{64}$/.test(text)) throw new Error('the key file does not hold 32 bytes as hex');
  return fromHex(text as `0x${string}`);
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}

const SWITCHES = ['help', 'print-config'] as const;

function parseFlags(argv: readonly string[]): { switches: Set<string>; flags: RawSettings; configFile: string | null } {
  const names = new Map(settableNames(GATEWAY_SETTINGS).map((name) => [flagOf(name).slice(2), name]));
  const options: Record<string, { type: 'string' | 'boolean' }> = { config: { type: 'string' } };
  for (const name of names.keys()) options[name] = { type: 'string' };
  for (const name of SWITCHES) options[name] = { type: 'boolean' };
  const { values, positionals } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true });
  const flags: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    if (name !== 'config' && !SWITCHES.some((known) => known === name)) flags[names.get(name) ?? name] = value;
  }
  // A stray word is most likely the value of a mistyped flag; the configuration reports it as unknown.
  for (const stray of positionals) flags[stray] = stray;
  const configFile = typeof values.config === 'string' ? values.config : values.config === undefined ? null : '';
  return { switches: new Set(SWITCHES.filter((name) => values[name] === true)), flags, configFile };
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
