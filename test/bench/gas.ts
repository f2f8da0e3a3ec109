/**
 * `npm run bench:gas`: what the contracts' transactions cost, and how large they are, beside the reference's figures. With `--check` it
 * writes nothing and fails where the committed table differs.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { foundryBinary } from '../chain/forge.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TABLE = path.join(ROOT, 'test', 'bench', 'results', 'gas.md');
const CONTRACTS = ['StakeRegistry', 'Settlement', 'Evidence', 'DrawEvidence', 'Rulings'];
/** EIP-170. */
const SIZE_MAX = 24_576;
const REQUESTS_PER_ROOT = 1_000;

const count = (value: number): string => value.toLocaleString('en-US');

/** Aim of the project, then what others published or the reference measured. */
const BESIDE: Readonly<Record<string, readonly [aim: string, reference: string]>> = {
  'equivocation: two commitments': ['60,000', '35,000 (two recoveries, nothing stored)'],
  'equivocation: two claims': ['60,000', '35,000 (two recoveries, nothing stored)'],
  'claim, first of a payee, 2^10 leaves': ['70,000', '–'],
  'claim, later, 2^10 leaves': ['70,000', '–'],
  'post a root, first': [count(100 * REQUESTS_PER_ROOT), '–'],
  'post a root, later': [count(100 * REQUESTS_PER_ROOT), '–'],
};

function forge(args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const { status, stdout, stderr } = spawnSync(foundryBinary('forge'), args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`forge ${args.join(' ')}\n${stdout}${stderr}`);
}

function measure(): Readonly<Record<string, string>> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'assay-gas-'));
  try {
    forge(['test', '--isolate', '--match-contract', 'GasTest'], { FOUNDRY_SNAPSHOTS: folder });
    return JSON.parse(readFileSync(path.join(folder, 'contracts.json'), 'utf8')) as Record<string, string>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sizeOf(contract: string): number {
  const file = path.join(ROOT, '.forge', 'out', `${contract}.sol`, `${contract}.json`);
  const { deployedBytecode } = JSON.parse(readFileSync(file, 'utf8')) as { deployedBytecode: { object: string } };
  return (deployedBytecode.object.length - 2) / 2;
}

function table(): string {
  const gas = measure();
  const rows = Object.entries(gas).map(([name, used]) => {
    const [aim, reference] = BESIDE[name] ?? ['–', '–'];
    return `| ${name} | ${count(Number(used))} | ${aim} | ${reference} |`;
  });
  const perRequest = Number(gas['post a root, later']) / REQUESTS_PER_ROOT;
  return `# Gas of the contracts

Made by \`npm run bench:gas\`: whole transactions, 21,000 and calldata included, refunds not. forge 1.7.1, solc 0.8.37 with 20,000 optimizer runs, Cancun.

| transaction | gas | aim | reference |
| --- | ---: | ---: | --- |
${rows.join('\n')}

Settlement at ${count(REQUESTS_PER_ROOT)} requests a root: ${perRequest.toFixed(1)} gas a request (aim: 100).

| contract | bytes | limit |
| --- | ---: | ---: |
${CONTRACTS.map((name) => `| ${name} | ${count(sizeOf(name))} | ${count(SIZE_MAX)} |`).join('\n')}
`;
}

const text = table();
if (process.argv.includes('--check')) {
  if (readFileSync(TABLE, 'utf8') !== text) {
    process.stderr.write(`gas.md differs; npm run bench:gas writes it anew\n${text}`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(TABLE, text);
  process.stdout.write(text);
}
