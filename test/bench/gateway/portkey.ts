/** The nearest sibling, `@portkey-ai/gateway`, installed from npm into a folder of its own and bound to the loopback. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, startNode } from './child.ts';

const VERSION = '1.15.2';
/**
 * From its own lock file: what a fresh installation resolves to answers every stream with 500 (its issues 1389 and 1550).
 */
const PINS = { '@hono/node-server': '1.13.5', '@hono/node-ws': '1.2.0', hono: '4.9.7' };
const INSTALL_MS = 120_000;
const READY_MS = 20_000;

/** Installs it unless the folder has it. @returns null, or why it is not there */
export function installPortkey(folder: string): string | null {
  if (existsSync(entryIn(folder))) return null;
  mkdirSync(folder, { recursive: true });
  const manifest = { private: true, dependencies: { '@portkey-ai/gateway': VERSION }, overrides: PINS };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=1'];
  const { status, error } = spawnSync('npm', args, { cwd: folder, timeout: INSTALL_MS, encoding: 'utf8' });
  if (status === 0 && existsSync(entryIn(folder))) return null;
  return `npm install did not work (${error?.message ?? `exit ${status}`}): is the registry reachable?`;
}

/** Starts it in front of `upstream`; requests need the headers that come with it. */
export async function startPortkey(
  folder: string,
  upstream: string,
): Promise<{ child: Child; url: string; headers: Record<string, string> }> {
  const port = await freePort();
  const loopback = path.join(import.meta.dirname, 'loopback-only.mjs');
  const child = startNode(['--import', loopback, entryIn(folder), '--headless', `--port=${port}`], { cwd: folder });
  const url = `http://127.0.0.1:${port}`;
  const endMs = performance.now() + READY_MS;
  for (;;) {
    const answered = await fetch(url).then(
      (response) => response.status,
      () => null,
    );
    if (answered !== null) break;
    if (performance.now() > endMs) {
      await child.stop('SIGKILL');
      throw new Error(`it does not answer: ${child.stderr().slice(-300)}`);
    }
    await delay(50);
  }
  const headers = {
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${upstream}/v1`,
    authorization: 'Bearer bench',
  };
  return { child, url, headers };
}

function entryIn(folder: string): string {
  return path.join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
