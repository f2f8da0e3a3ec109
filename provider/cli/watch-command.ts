/** `assay watch`: looks for faults of providers and of the gateway itself, and takes them to the chain. */
import { existsSync } from 'node:fs';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { baseUrl, integer } from '#protocol/settings';
import { recoverNative } from '#protocol/signer-native';
import type { ProviderConfig } from '../config.ts';
import { ownOpening } from '../watch/own-openings.ts';
import { Watcher, type WatchOptions } from '../watch/watcher.ts';
import { openWallet } from './chain-command.ts';
import { CONFIG_FILE, CommandError, type CommandIo, readConfig } from './command-io.ts';
import { readSigner } from './gateway-call.ts';

const USAGE = `assay watch --gateway <url> --network <file> --rpc-url <url> --key <file> --state <folder>

Keeps a copy of a gateway's public log and proves on the chain what contradicts it: two checkpoints, two roots, an attestation
that the log does not hold, keys that stay hidden, providers that contradict themselves. Rewards go to the sending key.
With the configuration of a provider it also answers demands against it, and looks at what roots of earnings give it.

  --gateway <url>       the gateway to watch
  --network <file>      what \`assay deploy\` wrote
  --rpc-url <url>       JSON-RPC of a node of its chain
  --key <file>          private key that sends; it needs coin for gas, and tokens for the bonds of demands
  --state <folder>      what must be remembered: keep it
  --config <file>       configuration of one's own provider (default ${CONFIG_FILE}, where there is one)
  --providers <urls>    providers whose evidence against the gateway is read, by commas
  --saved <folder>      saved answers to hold against the log
  --every <seconds>     time between looks (default 15)
  --once                look once: exit code 0 where all is well, 1 where something is not
  --help                print this text`;

const EVERY_SECONDS = 15;
const VALUED = ['gateway', 'network', 'rpc-url', 'key', 'state', 'config', 'providers', 'saved', 'every'] as const;

/** @param stopped resolves when the watcher is to end. @returns the exit code */
export async function runWatch(argv: readonly string[], io: CommandIo, stopped: () => Promise<void>): Promise<number> {
  const line = parseCommandLine(argv, { valued: VALUED, switches: ['once', 'help'] });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const { values } = line;
  const problems = [...line.problems];
  for (const flag of ['gateway', 'state']) if (!values.has(flag)) problems.push(`needs --${flag}`);
  const providers = (values.get('providers') ?? '').split(',').filter((url) => url !== '');
  for (const url of [values.get('gateway'), ...providers]) {
    if (url !== undefined && 'problem' in baseUrl(url)) problems.push(`${url} must be a base URL`);
  }
  const every = integer(1, 86_400)(values.get('every') ?? String(EVERY_SECONDS));
  if ('problem' in every) problems.push(`--every ${every.problem}`);
  if (problems.length > 0 || 'problem' in every) {
    for (const problem of problems) io.fail(`assay watch: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const watcher = new Watcher(await optionsOf(values, providers, io), io);
    if (line.switches.has('once')) {
      const { proven, problems: open } = await watcher.look();
      io.print(`${proven} faults proven, ${open} problems open`);
      return open === 0 ? EXIT_OK : EXIT_FAILED;
    }
    return await watch(watcher, every.value, io, stopped());
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    io.fail(`assay watch: ${error.message}`);
    return EXIT_FAILED;
  }
}

async function watch(watcher: Watcher, everySeconds: number, io: CommandIo, stopped: Promise<void>): Promise<number> {
  const stop = new AbortController();
  void stopped.then(() => stop.abort());
  io.print(`watching, every ${everySeconds} s`);
  while (!stop.signal.aborted) {
    try {
      await watcher.look();
    } catch (error) {
      // One look may fail in a way nobody thought of; the next one still has to be made.
      io.fail(`assay watch: ${error instanceof Error ? error.message : 'failed'}`);
    }
    await io.clock.sleep(everySeconds * 1000, stop.signal).catch(() => undefined);
  }
  return EXIT_OK;
}

/** @throws {Error} where something is missing, or the chain does not answer */
async function optionsOf(
  values: ReadonlyMap<string, string>,
  providers: readonly string[],
  io: CommandIo,
): Promise<WatchOptions> {
  const named = values.get('config');
  const config = named !== undefined || existsSync(CONFIG_FILE) ? readConfig(named ?? CONFIG_FILE, io.env) : null;
  if (config === null && !values.has('key')) throw new CommandError('needs --key, or the configuration of a provider');
  const nobody = { network: null, rpcUrl: null, accountKeyFile: null, keyFile: '' };
  const chain = await openWallet(values, config ?? nobody);
  return {
    chain,
    gateway: values.get('gateway')!,
    stateFolder: values.get('state')!,
    providers: [...providers, ...(config === null ? [] : [ownUrl(config)])],
    saved: values.get('saved') ?? null,
    recover: recoverNative,
    ...ownSide(config, chain.network.domain, io),
  };
}

function ownUrl({ host, port }: ProviderConfig): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function ownSide(
  config: ProviderConfig | null,
  domain: WatchOptions['chain']['network']['domain'],
  io: CommandIo,
): Pick<WatchOptions, 'provider' | 'openingOf'> {
  if (config === null) return { provider: null, openingOf: async () => null };
  const signer = readSigner(config);
  return {
    provider: signer.address,
    openingOf: (commitment) => ownOpening({ config, signer, domain, io }, commitment),
  };
}
