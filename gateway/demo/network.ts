/** The embedded network: provider processes and a referee as children of this one, ended with it (DESIGN §14). */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { Address } from '#protocol/hash';

/** One child to start. */
export interface ProviderSpec {
  readonly name: string;
  readonly operator: string;
  readonly role: 'member' | 'referee';
  /** Overrides on top of the shared settings, such as other weights. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface NetworkOptions {
  /** The program's own entry point: children run `node <entry> provider …`. */
  readonly entry: string;
  readonly dataFolder: string;
  readonly modelFolder: string;
  readonly gatewayAddress: Address;
  /** Environment that every child gets. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A child that listens. */
export interface RunningProvider {
  readonly spec: ProviderSpec;
  readonly url: string;
  readonly address: Address;
  readonly process: ChildProcess;
}

/** Starts all children at once and waits until each listens. @throws {Error} when one ends before */
export async function startProviders(
  specs: readonly ProviderSpec[],
  options: NetworkOptions,
): Promise<RunningProvider[]> {
  const children = specs.map((spec) => ({ spec, process: spawnProvider(spec, options) }));
  try {
    return await Promise.all(children.map(({ spec, process }) => whenReady(spec, process)));
  } catch (error) {
    for (const child of children) child.process.kill('SIGKILL');
    throw error;
  }
}

function spawnProvider(spec: ProviderSpec, options: NetworkOptions): ChildProcess {
  const folder = path.join(options.dataFolder, spec.name);
  const args = [
    options.entry,
    'provider',
    '--port=0',
    `--model-folder=${options.modelFolder}`,
    `--model-id=${path.basename(options.modelFolder)}`,
    `--data-folder=${folder}`,
    `--key-file=${path.join(folder, 'key')}`,
    `--operator=${spec.operator}`,
    `--role=${spec.role}`,
    `--gateway-addresses=${options.gatewayAddress}`,
    '--log-level=warn',
    '--ready-json',
    '--exit-with-parent',
  ];
  // Standard input is the leash: it closes however this process ends, a kill -9 included.
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...options.env, ...spec.env } });
}

async function whenReady(spec: ProviderSpec, child: ChildProcess): Promise<RunningProvider> {
  let printed = '';
  const line = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${spec.name} ended with code ${code} before it was ready`)));
    child.stdout!.on('data', (piece: Buffer) => {
      printed += piece.toString('utf8');
      const end = printed.indexOf('\n');
      if (end >= 0) resolve(printed.slice(0, end));
    });
  });
  const { port, address } = JSON.parse(line) as { port: number; address: Address };
  return { spec, url: `http://127.0.0.1:${port}`, address, process: child };
}

/** Ends every child and waits until it is gone. */
export async function stopProviders(providers: readonly RunningProvider[]): Promise<void> {
  await Promise.all(
    providers.map(({ process: child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return undefined;
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      return gone;
    }),
  );
}
