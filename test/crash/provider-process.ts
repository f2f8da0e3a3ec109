/** The real provider in a process of its own over minnow-1m, started over one data folder again and again, and killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { sha256, toHex, utf8 } from '#protocol/hash';
import { ROOT } from '../contract/program.ts';
import { GATEWAY } from '../http/provider-fixture.ts';

const ENTRY = path.join(ROOT, 'dist/main.js');
export const PROVIDER_MODEL = path.join(ROOT, 'provider/models/minnow/dist/minnow-1m');

export interface ProviderProcess {
  readonly startedAt: number;
  /** Resolves with the base URL once it listens; null when it ends before. */
  readonly ready: Promise<string | null>;
  readonly gone: Promise<void>;
  stderr(): string;
  kill(): void;
}

/** @param folder holds the key and the job store */
export function startProviderProcess(folder: string): ProviderProcess {
  const { PATH, HOME } = process.env;
  const keyFile = path.join(folder, 'key');
  // The key that the fixture's orders are addressed to.
  writeFileSync(keyFile, toHex(sha256(utf8('provider'))), { mode: 0o600 });
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [
      ENTRY,
      'provider',
      '--port=0',
      `--model-folder=${PROVIDER_MODEL}`,
      '--model-id=toy',
      '--operator=crash',
      `--data-folder=${path.join(folder, 'data')}`,
      `--key-file=${keyFile}`,
      `--gateway-addresses=${GATEWAY.address}`,
      '--log-level=error',
      '--ready-json',
    ],
    { env: { PATH, HOME }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString('utf8');
  });
  const gone = once(child, 'close').then(() => undefined);
  const ready = new Promise<string | null>((resolve) => {
    child.stdout.on('data', (piece: Buffer) => {
      stdout += piece.toString('utf8');
      if (stdout.includes('\n')) resolve(`http://127.0.0.1:${(JSON.parse(stdout) as { port: number }).port}`);
    });
    void gone.then(() => resolve(null));
  });
  return { startedAt, ready, gone, stderr: () => stderr, kill: () => child.kill('SIGKILL') };
}
