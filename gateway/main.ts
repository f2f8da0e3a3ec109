/** Composition root of the gateway: real clock, randomness, keys, database, models and server (DESIGN §14). */
import { readFileSync } from 'node:fs';
import pino from 'pino';
import { Registry } from 'prom-client';
import { Agent } from 'undici';
import { createClock } from '#protocol/clock';
import { CONFIG_USAGE, EXIT_FAILED, EXIT_OK, startOf } from '#protocol/command-line';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Address } from '#protocol/hash';
import { settingsHelp } from '#protocol/settings';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { stopSignal } from '#protocol/stop-signal';
import type { Traces } from '#protocol/trace-context';
import { readAdminKey } from './admin/admin-key.ts';
import { logSignerOf } from './attest/log-signer.ts';
import type { SignedHeadFile } from './attest/signed-head.ts';
import type { ChainSetup } from './chain/chain-setup.ts';
import { openChain, placeOf } from './chain/open-chain.ts';
import type { ChainMove } from './chain/outbox.ts';
import { createSecretBox } from './committee/secret-box.ts';
import { ENV_PREFIX, GATEWAY_SETTINGS, type GatewayConfig, redactedConfig } from './config.ts';
import { limitsOf } from './config-limits.ts';
import { HOLD_TEXT, openData } from './data-folder.ts';
import type { DeskMove } from './dispute/desk.ts';
import { createWebhookCaller, type WebhookCall } from './events/webhook-call.ts';
import { Gateway } from './gateway.ts';
import type { GatewayLimits } from './gateway-deps.ts';
import { fileVault, readOrMakeKey } from './key-file.ts';
import { hashApiKey, keyIdOf, newApiKey } from './keys.ts';
import { type BooksProblem, checkBooks } from './ledger/check-books.ts';
import { loadModel } from './load-model.ts';
import { createLog, errorFields, type Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { createProviderFetch } from './provider-fetch.ts';
import { listen } from './server.ts';
import { watchChain, watchState } from './state-gauges.ts';
import { keepNetwork } from './store/chain-network-repo.ts';
import { lockFolder } from './store/folder-lock.ts';
import type { Store } from './store/handle.ts';
import { listApiKeys } from './store/keys-repo.ts';
import { readBooks } from './store/ledger-repo.ts';
import type { StoreOptions } from './store/open-store.ts';
import { leaveAll } from './store/providers-repo.ts';
import { type HoldReason, storedOrigin } from './store/standing.ts';
import { createSystemRng } from './system-rng.ts';
import { tickUntilStopped, type Wanted, wantedProviders } from './tick.ts';

const USAGE = `assay gateway [options]

Serves the OpenAI-compatible API in front of a committee of providers.

${CONFIG_USAGE}
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

const systemRng = createSystemRng();

/** A gateway that listens. */
export interface RunningGateway {
  readonly url: string;
  readonly address: Address;
  /** The preset key, or the one that was made because the database had none; null otherwise. */
  readonly apiKey: string | null;
  /** URLs of providers that could not be admitted yet. */
  readonly missing: readonly string[];
  /** Why it reads and does not write; null while all is well. */
  readonly hold: HoldReason | null;
  /** What is wrong with the books; empty when they balance. */
  checkBooks(): Promise<readonly BooksProblem[]>;
  stop(): Promise<void>;
}

/**
 * Runs a gateway until a signal stops it.
 * @returns the exit code: 0, 1 for a failure at run time, 2 for a bad configuration
 */
export async function runGateway(argv: readonly string[], env: Env): Promise<number> {
  const start = startOf(
    {
      name: 'assay gateway',
      usage: USAGE,
      settings: GATEWAY_SETTINGS,
      envPrefix: ENV_PREFIX,
      redact: redactedConfig,
    },
    { argv, env, readText: (file) => readFileSync(file, 'utf8') },
  );
  if (start.kind === 'exit') {
    process.stdout.write(start.out);
    process.stderr.write(start.err);
    return start.code;
  }
  const { config } = start;
  const destination = pino.destination({ dest: 2, sync: true });
  const log = createLog({ clock: systemClock, level: config.logLevel, destination });
  try {
    const signals = stopSignal(systemClock, process);
    const gateway = await startGateway(config, log);
    process.stdout.write(`assay gateway ${gateway.url}/v1 signing as ${gateway.address}\n`);
    if (gateway.hold !== null) process.stderr.write(`assay gateway: ${HOLD_TEXT[gateway.hold]}\n`);
    else if (config.apiKey === null) process.stdout.write(`${keyLine(gateway.apiKey)}\n`);
    for (const url of gateway.missing) process.stderr.write(`assay gateway: ${url} does not answer yet\n`);
    await signals.first;
    // What a second signal cuts short is durable: the next start closes it.
    void signals.second.then(() => process.exit(EXIT_FAILED));
    await gateway.stop();
    return EXIT_OK;
  } catch (error) {
    log.error('gateway_failed', errorFields(error));
    process.stderr.write(`assay gateway: ${error instanceof Error ? error.message : 'failed'}\n`);
    return EXIT_FAILED;
  }
}

function keyLine(made: string | null): string {
  if (made !== null) return `API key (shown once): ${made}`;
  return 'API keys: those of the database; `assay keygen --api-key` makes more';
}

/** Who is told what happens, and limits of the database, for demonstrations and tests. */
export interface StartOptions {
  readonly onDisputeMove?: (move: DeskMove) => void;
  readonly onChainMove?: (move: ChainMove) => void;
  readonly disk?: Pick<StoreOptions, 'pagesMax'>;
}

/** Puts a gateway together, starts it and listens. @throws {Error} where files, database or port cannot be had */
export async function startGateway(
  configured: GatewayConfig,
  log: Log,
  options: StartOptions = {},
): Promise<RunningGateway> {
  // On a chain only what is staked there counts: the ledger gives nobody a first stake.
  const config = configured.network === null ? configured : { ...configured, stakeNano: 0n };
  // What has been opened so far, closed in reverse order, also when a later step fails.
  const opened: (() => void | Promise<void>)[] = [];
  const stop = async () => {
    for (let close = opened.pop(); close; close = opened.pop()) await close();
  };
  try {
    const lock = lockFolder(config.dataFolder);
    opened.push(() => lock.release());
    const { store, headMark, hold } = await openData(config.dataFolder, systemClock, log, options.disk);
    opened.push(
      () => headMark.close(),
      () => store.close(),
    );
    const agent = new Agent({ connections: 256, keepAliveTimeout: 30_000 });
    const webhooks = createWebhookCaller(config.privateWebhooks === 'allow');
    opened.push(
      () => agent.close(),
      () => webhooks.close(),
    );
    const master = readOrMakeKey(config.keyFile, systemRng);
    const chain = openChain(config, master, options.onChainMove);
    if (hold === null) await store.withTx((tx) => keepNetwork(tx, chain && placeOf(chain), systemClock.nowMs()));
    // Loaded only where it is used: it is as large as the rest.
    const traces =
      config.otlpEndpoint === null
        ? null
        : (await import('./trace/otel.ts')).openOtlpTraces(config.otlpEndpoint, 'assay-gateway');
    if (traces !== null) opened.push(() => traces.close());
    const { onDisputeMove } = options;
    const webhookCall = webhooks.call;
    const parts = { store, headMark, agent, master, log, onDisputeMove, traces, chain, webhookCall };
    const { gateway } = await makeGateway(config, parts, limitsOf(configured));
    opened.push(() => gateway.stop());
    const { apiKey, missing, wanted } = hold === null ? await begin(gateway, store, config) : await beginHeld(gateway);
    const server = await listen(gateway.app.fetch, { ...config, clock: systemClock });
    opened.push(() => server.close());
    // Those who ask meanwhile are told to come again; who is still answered then gets a clean error.
    opened.push(async () => {
      await gateway.drain(config.drainMs);
      await gateway.stop();
    });
    if (hold === null) {
      const ticking = tickUntilStopped(systemClock, gateway, wanted, missing, config, log);
      opened.push(() => ticking.abort());
    }
    return {
      url: server.url,
      address: gateway.signingKeys.active.address,
      apiKey,
      missing,
      hold,
      checkBooks: () => store.withTx(async (tx) => checkBooks(await readBooks(tx))),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Begun {
  readonly apiKey: string | null;
  readonly wanted: Wanted;
  readonly missing: readonly string[];
}

async function begin(gateway: Gateway, store: Store, config: GatewayConfig): Promise<Begun> {
  // Who does not answer now is not drawn until it does.
  await store.withTx((tx) => leaveAll(tx, systemClock.nowMs()));
  await gateway.start();
  const apiKey = await grantFirstKey(gateway, store, config);
  const wanted = await wantedProviders(config, store);
  return { apiKey, wanted, missing: await gateway.admit(wanted, config) };
}

async function beginHeld(gateway: Gateway): Promise<Begun> {
  await gateway.startHeld();
  return { apiKey: null, wanted: [], missing: [] };
}

interface GatewayParts {
  readonly store: Store;
  readonly headMark: SignedHeadFile;
  readonly agent: Agent;
  readonly master: Uint8Array;
  readonly log: Log;
  readonly onDisputeMove: ((move: DeskMove) => void) | undefined;
  readonly traces: Traces | null;
  readonly chain: ChainSetup | null;
  readonly webhookCall: WebhookCall;
}

async function makeGateway(
  config: GatewayConfig,
  { store, headMark, agent, master, log, onDisputeMove, traces, chain, webhookCall }: GatewayParts,
  limits: GatewayLimits,
): Promise<{ gateway: Gateway }> {
  const signer = nativeSigner(master);
  const registry = new Registry();
  watchState(registry, store);
  const gateway = new Gateway({
    store,
    fetch: createProviderFetch(agent),
    signer,
    vault: fileVault(config.keyFile, systemRng),
    operation: {
      adminKey: readAdminKey(config),
      stakeNano: config.stakeNano,
      allowedProviders: config.allowedProviders,
      isPrivateWebhookAllowed: config.privateWebhooks === 'allow',
    },
    logSigner: logSignerOf((await store.read(storedOrigin)) ?? config.logOrigin, master, signer),
    headMark,
    box: createSecretBox(master, systemRng),
    recover: recoverNative,
    domain: chain?.network.domain ?? LOCAL_DOMAIN,
    clock: systemClock,
    rng: systemRng,
    log,
    metrics: createMetrics(registry),
    models: await Promise.all(config.modelFolders.map((folder) => loadModel(folder, config))),
    policyDefault: config.defaultPolicy,
    limits,
    keyRates: {
      requestsPerMinute: config.keyRequestsPerMinute,
      tokensPerMinute: config.keyTokensPerMinute,
      concurrentRequests: config.keyConcurrentRequests,
    },
    webhookCall,
    ...(traces ? { traces } : {}),
    ...(onDisputeMove ? { onDisputeMove } : {}),
    ...(chain ? { chain } : {}),
  });
  watchChain(registry, gateway.chain);
  return { gateway };
}

/** The preset key, or a fresh one for a database that has none; a restart makes no money. */
async function grantFirstKey(gateway: Gateway, store: Store, config: GatewayConfig): Promise<string | null> {
  const known = await store.read(listApiKeys);
  const apiKey = config.apiKey ?? (known.length === 0 ? newApiKey(systemRng) : null);
  if (apiKey === null) return null;
  const keyHash = hashApiKey(apiKey);
  await gateway.grantKey({ keyId: keyIdOf(keyHash), keyHash, label: 'first', fundsNano: config.clientNano });
  return apiKey;
}
