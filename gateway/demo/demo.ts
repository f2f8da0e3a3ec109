/** `assay demo`: the whole network on one machine, and `--cheat`: the same with one provider that runs a smaller model. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';
import type { Clock } from '#protocol/env';
import type { Address } from '#protocol/hash';
import { integer, parseSettings, path as pathSetting, type Settings, word } from '#protocol/settings';
import { nativeSigner } from '#protocol/signer-native';
import { parseGatewayConfig } from '../config.ts';
import type { DeskMove } from '../dispute/desk.ts';
import { createLog } from '../log.ts';
import type { RunningGateway, readOrMakeKey, startGateway } from '../main.ts';
import { showCheat } from './cheat.ts';
import { type ProviderSpec, startProviders, stopProviders } from './network.ts';

/** What `ASSAY_…` variables change. */
export interface DemoConfig {
  readonly port: number;
  readonly data: string;
  readonly apiKey: string | null;
  readonly providers: number;
}

const SETTINGS: Settings<DemoConfig> = {
  port: { env: 'ASSAY_PORT', help: 'port of the gateway', fallback: 8080, parse: integer(0, 65_535) },
  data: { env: 'ASSAY_DATA', help: 'folder of databases and keys', fallback: './data', parse: pathSetting },
  apiKey: { env: 'ASSAY_API_KEY', help: 'preset API key', fallback: null, parse: word(512), envOnly: true },
  providers: { env: 'ASSAY_PROVIDERS', help: 'number of member providers', fallback: 5, parse: integer(1, 15) },
};

export const DEMO_USAGE = `assay demo [--cheat]

Starts a gateway, five providers and a referee on this machine, with the embedded model.
  --cheat    one provider quietly runs a smaller model: watch it being caught
  --help     print this text
ASSAY_PORT (8080), ASSAY_DATA (./data), ASSAY_API_KEY (a fresh one) and ASSAY_PROVIDERS (5) change the defaults;
ASSAY_GATEWAY_… and ASSAY_PROVIDER_… settings hold for the gateway and for every provider.
`;

export interface DemoDeps {
  readonly entry: string;
  /** Folder that holds minnow-5m and minnow-1m. */
  readonly models: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly startGateway: typeof startGateway;
  readonly readOrMakeKey: typeof readOrMakeKey;
  readonly stopped: Promise<void>;
  readonly print: (line: string) => void;
}

/** Variables of the demonstration itself; those with a longer prefix belong to gateway and providers. */
function demoEnv(env: DemoDeps['env']): Record<string, string | undefined> {
  const own = Object.entries(env).filter(
    ([name]) => name.startsWith('ASSAY_') && !/^ASSAY_(GATEWAY|PROVIDER)_/.test(name),
  );
  return Object.fromEntries(own);
}

function memberSpecs(count: number, cheatFolder: string | null): ProviderSpec[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `provider-${i + 1}`,
    operator: `operator-${i + 1}`,
    role: 'member' as const,
    ...(cheatFolder !== null && i === 0 ? { env: { ASSAY_PROVIDER_ACTUAL_MODEL_FOLDER: cheatFolder } } : {}),
  }));
}

/** @returns the exit code: 0, 1 for a failure at run time, 2 for a bad configuration */
export async function runDemo(argv: readonly string[], deps: DemoDeps): Promise<number> {
  const unknown = argv.filter((word_) => word_ !== '--cheat' && word_ !== '--help');
  const parsed = parseSettings(SETTINGS, 'ASSAY_', { env: demoEnv(deps.env), flags: {}, file: {} });
  if (argv.includes('--help')) {
    deps.print(DEMO_USAGE);
    return 0;
  }
  if (unknown.length > 0 || !parsed.ok) {
    for (const word_ of unknown) deps.print(`assay demo: ${word_} is not a known flag`);
    if (!parsed.ok) for (const problem of parsed.problems) deps.print(`assay demo: ${problem}`);
    return 2;
  }
  return runNetwork(parsed.config, argv.includes('--cheat'), deps);
}

async function runNetwork(demo: DemoConfig, cheat: boolean, deps: DemoDeps): Promise<number> {
  const dataFolder = path.resolve(cheat ? path.join(demo.data, 'cheat') : demo.data);
  mkdirSync(dataFolder, { recursive: true });
  const keyFile = path.join(dataFolder, 'gateway', 'key');
  const gatewayAddress: Address = nativeSigner(deps.readOrMakeKey(keyFile)).address;
  const modelFolder = path.join(deps.models, 'minnow-5m');
  const specs = [
    ...memberSpecs(demo.providers, cheat ? path.join(deps.models, 'minnow-1m') : null),
    { name: 'referee', operator: 'gateway-operator', role: 'referee' as const },
  ];
  const providers = await startProviders(specs, {
    entry: deps.entry,
    dataFolder,
    modelFolder,
    gatewayAddress,
    env: deps.env,
  });
  let gateway: RunningGateway | null = null;
  try {
    const moves: DeskMove[] = [];
    gateway = await startDemoGateway(demo, cheat, deps, { dataFolder, keyFile, modelFolder, providers, moves });
    printWelcome(gateway, demo, deps.print);
    if (cheat) return await showCheat({ gateway, providers, moves, clock: deps.clock, print: deps.print });
    await Promise.race([deps.stopped, ...providers.map((provider) => whenGone(provider.process, provider.spec.name))]);
    return 0;
  } catch (error) {
    deps.print(`assay demo: ${error instanceof Error ? error.message : 'failed'}`);
    return 1;
  } finally {
    await gateway?.stop();
    await stopProviders(providers);
  }
}

/** The network goes on without one of its providers; the operator is told. */
function whenGone(child: { once(event: 'exit', listener: () => void): unknown }, name: string): Promise<never> {
  return new Promise((_, reject) => {
    child.once('exit', () => reject(new Error(`${name} has ended`)));
  });
}

interface DemoParts {
  readonly dataFolder: string;
  readonly keyFile: string;
  readonly modelFolder: string;
  readonly providers: Awaited<ReturnType<typeof startProviders>>;
  readonly moves: DeskMove[];
}

async function startDemoGateway(
  demo: DemoConfig,
  cheat: boolean,
  deps: DemoDeps,
  parts: DemoParts,
): Promise<RunningGateway> {
  const members = parts.providers.filter((provider) => provider.spec.role === 'member');
  const referee = parts.providers.find((provider) => provider.spec.role === 'referee')!;
  const parsed = parseGatewayConfig({
    env: demo.apiKey === null ? deps.env : { ...deps.env, ASSAY_GATEWAY_API_KEY: demo.apiKey },
    flags: {
      port: demo.port,
      dataFolder: path.join(parts.dataFolder, 'gateway'),
      keyFile: parts.keyFile,
      providers: members.map((provider) => provider.url),
      referee: referee.url,
      modelFolders: [parts.modelFolder],
      // The demonstration shows the slash at once; a real network leaves a day to appeal.
      ...(cheat ? { appealMs: 0 } : {}),
    },
    file: { logLevel: 'warn' },
  });
  if (!parsed.ok) throw new Error(parsed.problems.join('; '));
  const destination = pino.destination({ dest: 2, sync: true });
  const log = createLog({ clock: deps.clock, level: parsed.config.logLevel, destination });
  return deps.startGateway(parsed.config, log, (move) => parts.moves.push(move));
}

function printWelcome(gateway: RunningGateway, demo: DemoConfig, print: DemoDeps['print']): void {
  print(`Assay is ready: ${demo.providers} providers, 1 referee, model minnow-5m, policy quorum n=3.`);
  print(`  base URL  ${gateway.url}/v1`);
  print(`  API key   ${gateway.apiKey}`);
  print('Try:');
  print(
    `  curl -s ${gateway.url}/v1/chat/completions -H 'Authorization: Bearer ${gateway.apiKey}' -H 'Content-Type: application/json' ` +
      `-d '{"model":"minnow-5m","temperature":0,"messages":[{"role":"user","content":"What is the capital of Norway?"}]}'`,
  );
}
