/** The real gateway in a process of its own, started over one data folder again and again, and killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { ROOT } from '../contract/program.ts';

const ENTRY = path.join(ROOT, 'dist/main.js');

export interface GatewaySettings {
  readonly dataFolder: string;
  readonly keyFile: string;
  readonly modelFolder: string;
  readonly providers: readonly string[];
  readonly referee: string;
  readonly apiKey: string;
  readonly logOrigin: string;
  /** Flags on top, such as `--appeal-ms=0`. */
  readonly flags?: readonly string[];
}

export interface GatewayProcess {
  readonly child: ChildProcess;
  readonly startedAt: number;
  /** Resolves with the base URL once it listens; null when it ends before. */
  readonly ready: Promise<string | null>;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
  stderr(): string;
  kill(): void;
}

export function startGatewayProcess(settings: GatewaySettings): GatewayProcess {
  const { PATH, HOME } = process.env;
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [
      ENTRY,
      'gateway',
      '--port=0',
      `--data-folder=${settings.dataFolder}`,
      `--key-file=${settings.keyFile}`,
      `--model-folders=${settings.modelFolder}`,
      `--providers=${settings.providers.join(',')}`,
      `--referee=${settings.referee}`,
      `--log-origin=${settings.logOrigin}`,
      '--log-level=error',
      ...(settings.flags ?? []),
    ],
    { env: { PATH, HOME, ASSAY_GATEWAY_API_KEY: settings.apiKey }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stdout = '';
  let stderr = '';
  child.stderr!.on('data', (piece: Buffer) => {
    stderr += piece.toString('utf8');
  });
  const gone = once(child, 'close').then(() => undefined);
  const ready = new Promise<string | null>((resolve) => {
    child.stdout!.on('data', (piece: Buffer) => {
      stdout += piece.toString('utf8');
      const url = /^assay gateway (http\S+)\/v1 signing/m.exec(stdout)?.[1];
      if (url) resolve(url);
    });
    void gone.then(() => resolve(null));
  });
  return { child, startedAt, ready, gone, stderr: () => stderr, kill: () => child.kill('SIGKILL') };
}
