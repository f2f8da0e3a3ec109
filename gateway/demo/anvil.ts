/** A chain of its own for the demonstration: anvil, which npm installs for development, on a free port of this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import path from 'node:path';

const SYSTEMS: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'darwin', win32: 'win32' };
const CPUS: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** A running chain. */
export interface DemoChain {
  readonly url: string;
  /** A call that only such a chain has: balances, time. @throws {Error} */
  control(method: string, params: readonly unknown[]): Promise<unknown>;
  stop(): Promise<void>;
}

/** The first key of anvil's own mnemonic, which it prints at every start: money of no chain. */
export const RICH_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

/** @throws {Error} saying what is missing and how to get it */
function anvilBinary(): string {
  const name = `@foundry-rs/anvil-${SYSTEMS[process.platform]}-${CPUS[process.arch]}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    return path.join(path.dirname(manifest), 'bin', process.platform === 'win32' ? 'anvil.exe' : 'anvil');
  } catch {
    throw new Error(
      `--chain needs anvil (${name}), which is a dependency for development: \`npm install --include=dev\` in a clone, or \`npm install @foundry-rs/anvil@1.7.1\` beside an installed package`,
    );
  }
}

/** @throws {Error} where anvil is not installed or does not start */
export async function startDemoChain(): Promise<DemoChain> {
  const binary = anvilBinary();
  const port = await freePort();
  const child = spawn(binary, ['--host', '127.0.0.1', '--port', String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // However this process ends, the chain ends with it.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  await listening(child);
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    async control(method, params) {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
      const reply = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      const { result, error } = (await reply.json()) as { result?: unknown; error?: { message: string } };
      if (error) throw new Error(`${method}: ${error.message}`);
      return result;
    },
    async stop() {
      process.removeListener('exit', kill);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill();
      await ended;
    },
  };
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Resolves when anvil says that it listens. @throws {Error} where it ends before */
export function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout!.on('data', (chunk) => {
      text = `${text}${String(chunk)}`.slice(-4096);
      if (text.includes('Listening on')) resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`anvil ended with ${code} before it listened`)));
  });
}
