/** Processes of the benchmark: each is ended with this one, and its CPU time is read from the system. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { ROOT } from '../../contract/program.ts';

export interface Child {
  readonly pid: number;
  readonly lines: AsyncIterableIterator<string>;
  /** What it wrote to standard error so far. */
  stderr(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts `node` with these arguments; children with a leash end when their standard input closes. */
export function startNode(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Child {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: options.cwd ?? ROOT,
    env: { PATH, HOME, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    // A log of every request would fill the memory of a long run: its end is what tells of a failure.
    stderr = (stderr + piece).slice(-20_000);
  });
  // Writing to a child that is gone must not end this process.
  child.stdin.on('error', () => undefined);
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const reader: Interface = createInterface(child.stdout);
  return {
    pid: child.pid!,
    lines: reader[Symbol.asyncIterator](),
    stderr: () => stderr,
    async stop(signal = 'SIGTERM') {
      if (isRunning(child)) child.kill(signal);
      await exit;
    },
  };
}

/** A TypeScript program of this folder. */
export function startSource(file: string, args: readonly string[]): Child {
  const entry = path.join(import.meta.dirname, file);
  return startNode(['--conditions=assay-source', '--import', 'tsx', entry, ...args]);
}

/** The next line of its output. @throws {Error} when it ends before */
export async function lineOf(child: Child): Promise<string> {
  const line = await child.lines.next();
  if (line.done) throw new Error(`a process of the benchmark ended early: ${child.stderr()}`);
  return line.value;
}

/** URL of a child that prints `{"port": …}`. */
export async function urlOf(child: Child): Promise<string> {
  const { port } = JSON.parse(await lineOf(child)) as { port: number };
  return `http://127.0.0.1:${port}`;
}

/** Processor time of a process and all its threads in nanoseconds (Linux); null elsewhere. */
export function cpuNs(pid: number): number | null {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.reduce(
      (sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
      0,
    );
  } catch {
    return null;
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
