/** The built program as its users run it: processes, their output, and whether they are gone. */
import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const MODEL = path.join(ROOT, 'provider/models/minnow/dist/minnow-5m');
const ENTRY = path.join(ROOT, 'dist/main.js');
/** For what another process does in its own time: a poll, never a guess of how long it takes. */
const POLL_MS = 20;

/** Compiles the sources where dist/ is older; once a test file. */
export function ensureBuilt(): void {
  const { status, stdout } = spawnSync(process.execPath, [path.join(ROOT, 'build.mjs'), '--if-stale']);
  if (status !== 0) throw new Error(`the build failed: ${stdout}`);
}

export interface Program {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Exit code, or null for a signal; resolves when output has ended too. */
  readonly exit: Promise<number | null>;
}

export interface RunOptions {
  /** On top of PATH and HOME alone. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default: this checkout's built program. */
  readonly entry?: string;
}

/** Starts `assay` with these arguments. */
export function start(args: readonly string[], options: RunOptions = {}): Program {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [options.entry ?? ENTRY, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { PATH, HOME, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (piece: Buffer) => {
      texts[name] += piece.toString('utf8');
    });
  }
  const exit = once(child, 'close').then(([code]) => code as number | null);
  return { process: child, pid: child.pid!, stdout: () => texts.stdout, stderr: () => texts.stderr, exit };
}

/** Runs `assay` to its end. */
export async function run(args: readonly string[], options: RunOptions = {}) {
  const program = start(args, options);
  const code = await program.exit;
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

/** A network that has said that it is ready. */
export interface Network extends Program {
  /** Without `/v1`. */
  readonly url: string;
  readonly apiKey: string;
  /** Provider and referee processes. */
  readonly children: readonly number[];
  /** Milliseconds from the command to the ready line. */
  readonly readyMs: number;
}

/** Starts `assay demo` on a free port over `dataFolder`, and waits for its welcome. */
export async function startDemo(
  dataFolder: string,
  options: RunOptions & { readonly args?: readonly string[] } = {},
): Promise<Network> {
  const begunAt = performance.now();
  const env = { ASSAY_DATA: dataFolder, ASSAY_PORT: '0', ...options.env };
  const program = start(['demo', ...(options.args ?? [])], { ...options, env });
  await until(() => /^ {2}curl .*\n/m.test(program.stdout()) || program.process.exitCode !== null);
  const readyMs = performance.now() - begunAt;
  const url = /base URL {2}(\S+)\/v1$/m.exec(program.stdout())?.[1];
  const apiKey = /API key {3}(\S+)$/m.exec(program.stdout())?.[1];
  if (!url || !apiKey) throw new Error(`the demo did not start: ${program.stdout()}${program.stderr()}`);
  return { ...program, url, apiKey, readyMs, children: childrenOf(program.pid) };
}

/** Asks for a completion; `fields` go on top of a question and temperature 0. */
export async function ask(network: { url: string; apiKey: string }, fields: object = {}) {
  const body = {
    model: 'minnow-5m',
    temperature: 0,
    max_tokens: 24,
    messages: [{ role: 'user', content: 'What is the capital of Norway?' }],
    ...fields,
  };
  return fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${network.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** Process ids of direct children. */
export function childrenOf(pid: number): number[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, command]) => Number(parent) === pid && command !== 'ps')
    .map(([child]) => Number(child));
}

/** Whether a process is there; one that ended and was not waited for is not. */
export function isAlive(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
}

/** Resolves once all are gone; the test's own timeout bounds it. */
export function untilGone(pids: readonly number[]): Promise<void> {
  return until(() => !pids.some(isAlive));
}

/** Polls until it holds; the test's own timeout bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(POLL_MS);
}

/** Resident memory of a process in MiB. */
export function rssMib(pid: number): number {
  return Math.round(Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024);
}
