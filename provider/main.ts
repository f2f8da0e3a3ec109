/** Composition root of the provider: real clock, randomness, key, store, engine and server (DESIGN §14). */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { serve } from '@hono/node-server';
import pino from 'pino';
import { createClock } from '#protocol/clock';
import { CONFIG_USAGE, EXIT_FAILED, EXIT_OK, startOf } from '#protocol/command-line';
import type { Rng } from '#protocol/env';
import { settingsHelp } from '#protocol/settings';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { stopSignal } from '#protocol/stop-signal';
import type { OpenTraces, Traces } from '#protocol/trace-context';
import { createProvider, type Provider } from './app.ts';
import { ENV_PREFIX, PROVIDER_SETTINGS, type ProviderConfig, redactedConfig } from './config.ts';
import { DEFAULT_LIMITS } from './deps.ts';
import { readOrMakeKey } from './key-file.ts';
import { loadModel } from './load-model.ts';
import { createLog, errorFields, type Log } from './log.ts';
import { domainOf } from './network-file.ts';
import { providerMigrationsFolder } from './store/migrations.ts';
import { openSqliteStore } from './store/sqlite.ts';

const DRAIN_STEP_MS = 25;
/** How long gateways may take to read how their jobs ended. */
const LINGER_MS = 1_000;
const USAGE = `assay provider [options]

Serves one model to the trusted gateways. See also: assay provider init, doctor, join, status, disputes, answer,
stake, unstake, claim, watch.

${CONFIG_USAGE}
  --ready-json                     print one line of JSON on standard output once the server listens
  --exit-with-parent               exit when standard input closes
${settingsHelp(PROVIDER_SETTINGS)}
`;

type Env = Readonly<Record<string, string | undefined>>;

const clock = createClock({
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
});

const rng: Rng = { bytes: (length) => new Uint8Array(randomBytes(length)) };

/**
 * Runs a provider until a signal (or its parent's end) stops it.
 * @param argv arguments after the command's name
 * @param openTraces loads what sends spans; called only where an endpoint is configured
 * @returns the exit code: 0, 1 for a failure at run time, 2 for a bad configuration
 */
export async function runProvider(
  argv: readonly string[],
  env: Env,
  openTraces: () => Promise<OpenTraces | null> = async () => null,
): Promise<number> {
  const start = startOf(
    {
      name: 'assay provider',
      usage: USAGE,
      settings: PROVIDER_SETTINGS,
      envPrefix: ENV_PREFIX,
      switches: ['ready-json', 'exit-with-parent'],
      redact: redactedConfig,
    },
    { argv, env, readText: (file) => readFileSync(file, 'utf8') },
  );
  if (start.kind === 'exit') {
    process.stdout.write(start.out);
    process.stderr.write(start.err);
    return start.code;
  }
  const { config, switches } = start;
  // Standard output belongs to --ready-json.
  const log = createLog({ clock, level: config.logLevel, destination: pino.destination({ dest: 2, sync: true }) });
  try {
    const open = config.otlpEndpoint === null ? null : await openTraces();
    const traces = open === null ? null : open(config.otlpEndpoint!, 'assay-provider');
    return await serveUntilStopped(config, switches, log, traces);
  } catch (error) {
    log.error('provider_failed', errorFields(error));
    process.stderr.write(`assay provider: ${failureText(error, config)}\n`);
    return EXIT_FAILED;
  }
}

async function serveUntilStopped(
  config: ProviderConfig,
  switches: ReadonlySet<string>,
  log: Log,
  traces: Traces | null,
): Promise<number> {
  const signer = nativeSigner(readOrMakeKey(config.keyFile, rng));
  mkdirSync(config.dataFolder, { recursive: true });
  const store = openSqliteStore({
    path: path.join(config.dataFolder, 'jobs.sqlite'),
    migrationsFolder: providerMigrationsFolder(),
    exclusive: true,
  });
  const { digest, engine } = await loadModel(config, clock);
  const provider = createProvider({
    models: new Map([[digest, { id: config.modelId, engine }]]),
    manifest: { operator: config.operator, role: config.role, region: config.region },
    signer,
    recover: recoverNative,
    domain: domainOf(config),
    gatewayAddresses: new Set(config.gatewayAddresses),
    store,
    clock,
    rng,
    log,
    ...(traces ? { traces } : {}),
    limits: { ...DEFAULT_LIMITS, runningMax: config.concurrency, waitingMax: config.queue },
  });
  const server = serve({ fetch: provider.app.fetch, hostname: config.host, port: config.port });
  const stopped = stopRequest(switches.has('exit-with-parent'));
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', reject);
    });
    const { port } = server.address() as AddressInfo;
    log.info('provider_listening', { port, address: signer.address, model: config.modelId });
    if (switches.has('ready-json')) {
      process.stdout.write(`${JSON.stringify({ ready: true, port, address: signer.address })}\n`);
    }
    log.info('provider_stopping', { signal: await stopped.first });
    // What is signed was durable before, so nothing is lost by ending at once.
    void stopped.second.then(() => process.exit(EXIT_FAILED));
    await drain(provider, config.drainMs);
  } finally {
    provider.close();
    await closeServer(server);
    await engine.close();
    await traces?.close();
    store.close();
  }
  return EXIT_OK;
}

/** Takes no more connections; those that are open are cut once their last events had time to leave. */
async function closeServer(server: ReturnType<typeof serve>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const late = new AbortController();
  await Promise.race([closed, clock.sleep(LINGER_MS, late.signal).catch(() => undefined)]);
  late.abort();
  if ('closeAllConnections' in server) server.closeAllConnections();
}

/** Lets open jobs come to their end, for a while. */
async function drain(provider: Provider, drainMs: number): Promise<void> {
  provider.drain();
  for (let waitedMs = 0; provider.openCount() > 0 && waitedMs < drainMs; waitedMs += DRAIN_STEP_MS) {
    await clock.sleep(DRAIN_STEP_MS);
  }
}

/** What asks this process to stop: a signal, or its parent's end. */
function stopRequest(exitWithParent: boolean): { first: Promise<string>; second: Promise<string> } {
  const signals = stopSignal(clock, process);
  if (!exitWithParent) return signals;
  const parentExit = new Promise<string>((resolve) => {
    // The pipe closes however the parent ends, a kill -9 included.
    process.stdin.once('end', () => resolve('parent_exit'));
    process.stdin.once('error', () => resolve('parent_exit'));
    process.stdin.resume();
  });
  const first = Promise.race([signals.first, parentExit]).then((reason) => {
    // An open pipe would keep this process alive after everything else has ended.
    process.stdin.destroy();
    return reason;
  });
  return { first, second: signals.second };
}

/** The usual reasons not to start, in plain words. */
function failureText(error: unknown, { host, port, dataFolder }: ProviderConfig): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'EADDRINUSE') return `port ${port} of ${host} is taken by another program`;
  if (code === 'SQLITE_BUSY') return `${dataFolder} is in use by another provider`;
  return error instanceof Error ? error.message : 'failed';
}
