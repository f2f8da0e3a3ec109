/** What the engine bench asks, and of whom. */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** So many jobs of one prompt at the same time, each with `maxTokens` tokens. */
export interface Task {
  readonly promptIds: readonly number[];
  readonly jobs: number;
  readonly maxTokens: number;
  readonly temperature: number;
}

export interface Reply {
  readonly tokens: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

const TRANSFORMERS = '4.3.1';
const INSTALL_MS = 240_000;

/** Installs transformers.js unless the folder has it. @returns null, or why it is not there */
export function installTransformers(folder: string): string | null {
  const there = () => existsSync(path.join(folder, 'node_modules/@huggingface/transformers/package.json'));
  if (there()) return null;
  mkdirSync(folder, { recursive: true });
  const manifest = { private: true, dependencies: { '@huggingface/transformers': TRANSFORMERS } };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=1'];
  const { status, error } = spawnSync('npm', args, { cwd: folder, timeout: INSTALL_MS, encoding: 'utf8' });
  if (status === 0 && there()) return null;
  return `npm install did not work (${error?.message ?? `exit ${status}`}): is the registry reachable?`;
}

/** One engine process. */
export class EngineProcess {
  readonly #child: ChildProcess;
  /** Rejects when the process ends; never resolves. */
  readonly #ended: Promise<never>;

  private constructor(child: ChildProcess, ended: Promise<never>) {
    this.#child = child;
    this.#ended = ended;
  }

  static async start(script: string, args: readonly string[]): Promise<EngineProcess> {
    const file = path.join(import.meta.dirname, script);
    const child = fork(file, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const ended = once(child, 'exit').then(([code]): never => {
      throw new Error(`${script} ended with ${code}`);
    });
    ended.catch(() => {});
    const engine = new EngineProcess(child, ended);
    await engine.#message();
    return engine;
  }

  async run(task: Task): Promise<Reply> {
    this.#child.send(task);
    return (await this.#message()) as Reply;
  }

  stop(): void {
    this.#child.kill();
  }

  async #message(): Promise<unknown> {
    const over = new AbortController();
    try {
      const [message] = await Promise.race([once(this.#child, 'message', { signal: over.signal }), this.#ended]);
      return message;
    } finally {
      over.abort();
    }
  }
}
