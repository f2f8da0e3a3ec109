/**
 * `npm run bench:gas`: what the contracts' transactions cost, and how large they are, beside the reference's figures. With `--check` it
 * writes nothing and fails where the committed table differs. Sizes are of what the tests built last.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BUILT_FOLDER } from '../chain/write-abi.ts';
import { GAS_TABLE, measureGas } from './gas-table.ts';

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

function sizeOf(contract: string): number {
  const file = path.join(BUILT_FOLDER, `${contract}.sol`, `${contract}.json`);
  const { deployedBytecode } = JSON.parse(readFileSync(file, 'utf8')) as { deployedBytecode: { object: string } };
  return (deployedBytecode.object.length - 2) / 2;
}

function table(): string {
  const gas = measureGas();
  const rows = Object.entries(gas).map(([name, used]) => {
    const [aim, reference] = BESIDE[name] ?? ['–', '–'];
    return `| ${name} | ${count(used)} | ${aim} | ${reference} |`;
  });
  const perFirst = gas['post a root, first']! / REQUESTS_PER_ROOT;
  const perRequest = gas['post a root, later']! / REQUESTS_PER_ROOT;
  return `# Gas of the contracts

Made by \`npm run bench:gas\`: whole transactions, 21,000 and calldata included, refunds not. forge 1.7.1, solc 0.8.37 with 20,000 optimizer runs, Cancun.

| transaction | gas | aim | reference |
| --- | ---: | ---: | --- |
${rows.join('\n')}

Settlement at ${count(REQUESTS_PER_ROOT)} requests a root: ${perRequest.toFixed(1)} gas a request (aim: 100); ${perFirst.toFixed(1)} for a gateway's first root.

The first claim of a payee pays 17,100 for a slot that was empty. A claim is 23 words of calldata (12 of them hashes), three slots, the registry's word on who controls the payee, and 15,350 of the token's own. Two claims are one whole claim and what
the other says otherwise, here three words; each word more that differs costs 600 or less.

| contract | bytes | limit |
| --- | ---: | ---: |
${CONTRACTS.map((name) => `| ${name} | ${count(sizeOf(name))} | ${count(SIZE_MAX)} |`).join('\n')}
`;
}

const text = table();
if (process.argv.includes('--check')) {
  if (readFileSync(GAS_TABLE, 'utf8') !== text) {
    process.stderr.write(`gas.md differs; npm run bench:gas writes it anew\n${text}`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(GAS_TABLE, text);
  process.stdout.write(text);
}
