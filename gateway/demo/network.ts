/** The embedded network: provider processes and a referee as children of this one, ended with it (DESIGN §14). */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { Clock } from '#protocol/env';
import type { Address } from '#protocol/hash';

/** Longer than a provider drains after a signal (5 s). */
const PATIENCE_MS = 8_000;

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

/** Whoever runs the demonstration has ended it before it had begun. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** The work, unless it is ended before. @throws {Stopped} */
export function untilStopped<T>(work: Promise<T>, stopped: Promise<void>): Promise<T> {
  const ended = stopped.then((): never => {
    throw new Stopped();
  });
  return Promise.race([work, ended]);
}

/** Starts all children at once and waits until each listens. @throws {Error} when one ends before @throws {Stopped} */
export async function startProviders(
  specs: readonly ProviderSpec[],
  options: NetworkOptions,
  stopped: Promise<void>,
): Promise<RunningProvider[]> {
  const children = specs.map((spec) => ({ spec, process: spawnProvider(spec, options) }));
  try {
    const ready = Promise.all(children.map(({ spec, process }) => whenReady(spec, process)));
    return await untilStopped(ready, stopped);
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
  // What is the gateway's, its API key above all, is not the providers'.
  const inherited = Object.entries(options.env).filter(
    ([name]) => !name.startsWith('ASSAY_') || name.startsWith('ASSAY_PROVIDER_'),
  );
  // Standard input is the leash: it closes however this process ends, a kill -9 included.
  return spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...Object.fromEntries(inherited), ...spec.env },
  });
}

async function whenReady(spec: ProviderSpec, child: ChildProcess): Promise<RunningProvider> {
  let printed = '';
  const line = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`${spec.name} ended (${signal ?? `code ${code}`}) before it was ready`)),
    );
    // Writing to a child that is gone must not end this process; the leash carries no data anyway.
    child.stdin!.on('error', () => undefined);
    child.stdout!.on('data', (piece: Buffer) => {
      printed += piece.toString('utf8');
      const end = printed.indexOf('\n');
      if (end >= 0) resolve(printed.slice(0, end));
    });
  });
  const { port, address } = JSON.parse(line) as { port: number; address: Address };
  return { spec, url: `http://127.0.0.1:${port}`, address, process: child };
}

/** Ends every child and waits until it is gone; one that does not go by itself is killed. */
export async function stopProviders(providers: readonly RunningProvider[], clock: Clock): Promise<void> {
  await Promise.all(
    providers.map(async ({ process: child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      const inTime = new AbortController();
      const late = clock.sleep(PATIENCE_MS, inTime.signal).then(
        () => child.kill('SIGKILL'),
        () => undefined,
      );
      await gone;
      inTime.abort();
      await late;
    }),
  );
}
