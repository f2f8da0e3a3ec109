/**
 * `assay demo`: the whole network on one machine; `--cheat`: the same with one provider that runs a smaller model; `--mixed`: the
 * same with engines that compute differently.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { QUORUM_DEFAULT_N } from '#protocol/policy';
import { integer, parseSettings, path as pathSetting, type Settings, word } from '#protocol/settings';
import { nativeSigner } from '#protocol/signer-native';
import { type CliIo, reasonOf } from '../cli/cli-io.ts';
import { type GatewayConfig, parseGatewayConfig } from '../config.ts';
import type { DeskMove } from '../dispute/desk.ts';
import { readOrMakeKey } from '../key-file.ts';
import { newApiKey } from '../keys.ts';
import { createLog } from '../log.ts';
import type { RunningGateway, startGateway } from '../main.ts';
import { portProblem } from '../server.ts';
import { lockFolder } from '../store/folder-lock.ts';
import { chainMoves, showChain, stakeAll } from './chain-show.ts';
import { type ChainStage, startStage } from './chain-stage.ts';
import { showCheat } from './cheat.ts';
import {
  type ProviderSpec,
  type RunningProvider,
  Stopped,
  startProviders,
  stopProviders,
  untilStopped,
} from './network.ts';
import { welcomeLines } from './welcome.ts';

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

const USAGE = `assay demo [--cheat | --chain | --mixed]

Starts a gateway, five providers and a referee on this machine, with the embedded model; Ctrl-C ends them all.

  --cheat    one provider quietly runs a smaller model: watch it being caught
  --chain    the same with stake, slash and payouts on a chain of its own (needs anvil, which npm installs for development)
  --mixed    providers run the model by turns on onnxruntime, onnxruntime-wasm and llama-cpp; the last two are packages that
             are installed apart (README, "Engines")
  --help     print this text

ASSAY_PORT (8080; 0 lets the system choose), ASSAY_DATA (./data), ASSAY_API_KEY (a fresh one) and ASSAY_PROVIDERS (5) change the
defaults; ASSAY_GATEWAY_… and ASSAY_PROVIDER_… settings hold for the gateway and for every provider.`;

/** What providers run by turns with --mixed; the names are the provider's own. */
const MIXED_ENGINES = ['onnxruntime', 'onnxruntime-wasm', 'llama-cpp'] as const;

/** The liar, two honest members beside it, and a fresh one that scores where they part. */
const CHEAT_PROVIDERS_MIN = 4;

export interface DemoDeps extends CliIo {
  /** The program's own entry point, which children are started from. */
  readonly entry: string;
  /** Folder that holds minnow-5m and minnow-1m. */
  readonly models: string;
  /** Folder of the contracts' ABIs. */
  readonly abis: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly startGateway: typeof startGateway;
  /** Begins to listen for signals; resolves at the first. */
  readonly stopped: () => Promise<void>;
}

/** Variables of the demonstration itself; those with a longer prefix belong to gateway and providers. */
function demoEnv(env: DemoDeps['env']): Record<string, string | undefined> {
  const own = Object.entries(env).filter(
    ([name]) => name.startsWith('ASSAY_') && !/^ASSAY_(GATEWAY|PROVIDER)_/.test(name),
  );
  return Object.fromEntries(own);
}

/** Which demonstration; each keeps its data apart, since providers are what they were the last time. */
type Show = 'plain' | 'cheat' | 'chain' | 'mixed';

/** Those that are asked for by name. */
const SHOWS = ['cheat', 'chain', 'mixed'] as const;

/** Whether one provider lies in it. */
const hasLiar = (show: Show): boolean => show === 'cheat' || show === 'chain';

/** Everything that is decided before anything is started. */
interface Plan {
  readonly show: Show;
  readonly providers: number;
  readonly dataFolder: string;
  readonly modelFolder: string;
  /** Without the URLs of its providers, which have none yet. */
  readonly gateway: GatewayConfig;
}

/** @returns the exit code: 0, 1 for a failure at run time, 2 for a bad configuration */
export async function runDemo(argv: readonly string[], deps: DemoDeps): Promise<number> {
  const line = parseCommandLine(argv, { valued: [], switches: [...SHOWS, 'help'] });
  if (line.switches.has('help')) {
    deps.print(USAGE);
    return EXIT_OK;
  }
  const asked = SHOWS.filter((name) => line.switches.has(name));
  const plan = planOf(asked[0] ?? 'plain', deps);
  const problems = [
    ...line.problems,
    ...(asked.length > 1 ? [`${asked.map((name) => `--${name}`).join(' and ')} exclude each other`] : []),
    ...('problems' in plan ? plan.problems : []),
  ];
  if ('problems' in plan || problems.length > 0) {
    for (const problem of problems) deps.fail(`assay demo: ${problem}`);
    return EXIT_MISUSED;
  }
  const stopped = deps.stopped();
  try {
    mkdirSync(plan.dataFolder, { recursive: true });
    const lock = lockFolder(plan.dataFolder);
    try {
      const problem = await portProblem(plan.gateway);
      if (problem) throw new Error(`${problem}; ASSAY_PORT names another`);
      return await runNetwork(plan, stopped, deps);
    } finally {
      lock.release();
    }
  } catch (error) {
    if (error instanceof Stopped) return hasLiar(plan.show) ? EXIT_FAILED : EXIT_OK;
    deps.fail(`assay demo: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

function planOf(show: Show, deps: DemoDeps): Plan | { readonly problems: readonly string[] } {
  const parsed = parseSettings(SETTINGS, 'ASSAY_', { env: demoEnv(deps.env), flags: {}, file: {} });
  if (!parsed.ok) return parsed;
  const { providers, port, data, apiKey } = parsed.config;
  const cheat = hasLiar(show);
  if (cheat && providers < CHEAT_PROVIDERS_MIN) {
    return { problems: [`--${show} needs ASSAY_PROVIDERS of ${CHEAT_PROVIDERS_MIN} or more`] };
  }
  const dataFolder = path.resolve(show === 'plain' ? data : path.join(data, show));
  const modelFolder = path.join(deps.models, 'minnow-5m');
  const gateway = parseGatewayConfig({
    env: apiKey === null ? deps.env : { ...deps.env, ASSAY_GATEWAY_API_KEY: apiKey },
    flags: {
      port,
      dataFolder: path.join(dataFolder, 'gateway'),
      keyFile: path.join(dataFolder, 'gateway', 'key'),
      // Known once they listen.
      providers: 'http://127.0.0.1',
      referee: 'http://127.0.0.1',
      modelFolders: modelFolder,
      // The demonstration shows the slash at once; a real network leaves a day to appeal.
      ...(cheat ? { appealMs: 0 } : {}),
    },
    // Weaker than a variable: whoever sets one knows what they want.
    file: { logLevel: 'warn', ...(providers < QUORUM_DEFAULT_N ? { defaultPolicy: smallPolicy(providers) } : {}) },
  });
  if (!gateway.ok) return gateway;
  const config = { ...gateway.config, apiKey: gateway.config.apiKey ?? newApiKey(deps.rng) };
  return { show, providers, dataFolder, modelFolder, gateway: config };
}

/** The default policy of a network that cannot seat the usual quorum. */
function smallPolicy(providers: number): string {
  return providers < 2 ? 'single' : `quorum; n=${providers}`;
}

function specsOf({ show, providers }: Plan, models: string): ProviderSpec[] {
  const members = Array.from({ length: providers }, (_, i) => ({
    name: `provider-${i + 1}`,
    operator: `operator-${i + 1}`,
    role: 'member' as const,
    env: memberEnv(show, i, models),
  }));
  return [...members, { name: 'referee', operator: 'gateway-operator', role: 'referee' }];
}

function memberEnv(show: Show, i: number, models: string): Record<string, string> {
  if (show === 'mixed') return { ASSAY_PROVIDER_ENGINE: MIXED_ENGINES[i % MIXED_ENGINES.length]! };
  const isLiar = hasLiar(show) && i === 0;
  return isLiar ? { ASSAY_PROVIDER_ACTUAL_MODEL_FOLDER: path.join(models, 'minnow-1m') } : {};
}

async function runNetwork(plan: Plan, stopped: Promise<void>, deps: DemoDeps): Promise<number> {
  const specs = specsOf(plan, deps.models);
  // A liar that was slashed the last time has no stake left to be drawn with: the show begins afresh.
  if (hasLiar(plan.show)) {
    for (const name of ['gateway', ...specs.map((spec) => spec.name)]) {
      rmSync(path.join(plan.dataFolder, name), { recursive: true, force: true });
    }
  }
  const stage = plan.show === 'chain' ? await startStage({ ...deps, dataFolder: plan.dataFolder }) : null;
  try {
    return await runProviders(plan, specs, stage, stopped, deps);
  } finally {
    await stage?.stop();
  }
}

async function runProviders(
  plan: Plan,
  specs: readonly ProviderSpec[],
  stage: ChainStage | null,
  stopped: Promise<void>,
  deps: DemoDeps,
): Promise<number> {
  const gatewayAddress = nativeSigner(readOrMakeKey(plan.gateway.keyFile, deps.rng)).address;
  const providers = await startProviders(
    specs,
    {
      entry: deps.entry,
      dataFolder: plan.dataFolder,
      modelFolder: plan.modelFolder,
      gatewayAddress,
      env: stage === null ? deps.env : { ...deps.env, ASSAY_PROVIDER_NETWORK: stage.networkFile },
    },
    stopped,
  );
  let gateway: RunningGateway | null = null;
  let stopping = false;
  for (const { process: child, spec } of providers) {
    child.once('exit', (code, signal) => {
      if (stopping) return;
      deps.fail(`assay demo: ${spec.name} has ended (${signal ?? `code ${code}`}); the network goes on without it`);
    });
  }
  try {
    const moves: DeskMove[] = [];
    if (stage !== null) {
      const staking = stakeAll({ ...deps, ...foldersOf(plan), stage, providers }, gatewayAddress);
      await untilStopped(staking, stopped);
    }
    gateway = await startDemoGateway(plan, stage, providers, moves, deps);
    const engines = plan.show === 'mixed' ? MIXED_ENGINES.slice(0, plan.providers) : [];
    const welcome = { url: gateway.url, apiKey: gateway.apiKey ?? '', engines, ...plan };
    for (const text of welcomeLines(welcome)) deps.print(text);
    const interrupted = stopped.then(() => {
      stopping = true;
      return hasLiar(plan.show) ? EXIT_FAILED : EXIT_OK;
    });
    if (!hasLiar(plan.show)) return await interrupted;
    const show = { ...deps, gateway, providers, moves };
    const shown = stage === null ? showCheat(show) : showChain({ ...show, ...foldersOf(plan), stage });
    return await Promise.race([shown, interrupted]);
  } finally {
    stopping = true;
    await gateway?.stop();
    await stopProviders(providers, deps.clock);
  }
}

const foldersOf = ({ dataFolder, modelFolder }: Plan) => ({ dataFolder, modelFolder });

/** The chain's own pace, for a demonstration: a block is final at once, and roots do not wait an hour. */
const CHAIN_PACE = { confirmations: 0, chainPollMs: 200, rootMs: 1_000, reconcileMs: 2_000 };

function startDemoGateway(
  plan: Plan,
  stage: ChainStage | null,
  providers: readonly RunningProvider[],
  moves: DeskMove[],
  deps: DemoDeps,
): Promise<RunningGateway> {
  const urlsOf = (role: string) => providers.filter(({ spec }) => spec.role === role).map(({ url }) => url);
  const onChain = stage === null ? {} : { network: stage.networkFile, rpcUrl: stage.chain.url, ...CHAIN_PACE };
  const config = { ...plan.gateway, ...onChain, providers: urlsOf('member'), referee: urlsOf('referee')[0]! };
  const destination = pino.destination({ dest: 2, sync: true });
  const log = createLog({ clock: deps.clock, level: config.logLevel, destination });
  return deps.startGateway(config, log, {
    onDisputeMove: (move) => moves.push(move),
    ...(stage === null ? {} : { onChainMove: chainMoves(stage, deps.print) }),
  });
}
