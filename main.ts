#!/usr/bin/env node
/** The `assay` command: the only place that knows both servers, and each is loaded only when it is asked for. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const USAGE = `usage: assay <command> [options]

  demo       gateway, providers and referee on this machine
  gateway    the OpenAI-compatible gateway
  provider   one provider in front of a model
  verify     check a saved answer offline
  keygen     make a private key or an API key
  migrate    bring a database up to date

assay <command> --help tells more. Exit codes: 0 done, 1 failed, 2 used or configured wrongly.
`;

const entry = fileURLToPath(import.meta.url);

/** The embedded models, next to the sources or to the built program. */
function modelsFolder(): string {
  for (let folder = path.dirname(entry); ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'provider', 'models', 'minnow', 'dist');
    if (existsSync(candidate)) return candidate;
    if (path.dirname(folder) === folder) throw new Error('the embedded models are missing');
  }
}

function stopped(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}

async function demo(args: readonly string[]): Promise<number> {
  const { runDemo } = await import('./gateway/demo/demo.ts');
  const gateway = await import('./gateway/main.ts');
  return runDemo(args, {
    entry,
    models: modelsFolder(),
    env: process.env,
    clock: gateway.systemClock,
    startGateway: gateway.startGateway,
    readOrMakeKey: gateway.readOrMakeKey,
    stopped: stopped(),
    print: (line) => process.stdout.write(`${line}\n`),
  });
}

async function main([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case 'demo':
      return demo(args);
    case 'gateway':
      return (await import('./gateway/main.ts')).runGateway(args, process.env);
    case 'provider':
      return (await import('./provider/main.ts')).runProvider(args, process.env);
    case 'help':
    case '--help':
      process.stdout.write(USAGE);
      return 0;
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

// Exits by itself when nothing is left to do, so that output is flushed.
process.exitCode = await main(process.argv.slice(2));
