/**
 * The contracts: forge's own tests first, since they build what the others deploy. One file, so that two workers never build at once.
 * `npm run test:contracts` runs forge alone, `npm run fuzz:contracts` much longer.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { GAS_TABLE, gasDifferences, measureGas, tabledGas } from '../bench/gas-table.ts';
import { foundryBinary } from './forge.mjs';
import { BUILT_FOLDER } from './write-abi.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A cold build takes 20 s of one idle core, the tests 10 s; beside other work it can be twenty times that. */
const FORGE_BUDGET_MS = 900_000;

interface Run {
  readonly status: number | null;
  readonly text: string;
}

function forge(...args: readonly string[]): Run {
  const options = { cwd: ROOT, encoding: 'utf8', timeout: FORGE_BUDGET_MS } as const;
  const { status, stdout, stderr } = spawnSync(foundryBinary('forge'), args, options);
  return { status, text: `${stdout}${stderr}` };
}

let tested: Run;

beforeAll(() => {
  // Kept aside before the tests: forge leaves creation code out of what it writes for tests.
  const built = forge('build');
  if (built.status === 0) cpSync(path.join(ROOT, '.forge', 'out'), BUILT_FOLDER, { recursive: true });
  tested = built.status === 0 ? forge('test', '--fuzz-seed', '1') : built;
}, FORGE_BUDGET_MS);

test('forge builds the contracts without warnings, and all of its tests pass', () => {
  expect(tested.status, tested.text.slice(-4000)).toBe(0);
  const [, passed] = /(\d+) tests passed, 0 failed, 0 skipped/.exec(tested.text) ?? [];
  expect(Number(passed)).toBeGreaterThan(200);
});

// Before the lint, which compiles with settings of its own.
test('no transaction costs 2% more or less than the committed table says', { timeout: FORGE_BUDGET_MS }, () => {
  const tabled = tabledGas(readFileSync(GAS_TABLE, 'utf8'));
  expect(gasDifferences(measureGas(), tabled, 0.02)).toEqual([]);
  expect(gasDifferences({ stake: 103, unbond: 100, open: 5 }, { stake: 100, unbond: 99 }, 0.02)).toEqual([
    'stake: 103, the table says 100',
    'open: 5, not in the table',
  ]);
});

test('forge lint finds nothing in the contracts', { timeout: FORGE_BUDGET_MS }, () => {
  const { text } = forge('lint', 'contracts/chain', '--severity', 'high', 'med', 'low');
  expect(text).not.toMatch(/^(warning|error|note)/m);
});

await import('./evm-vectors.ts');
await import('./deployment.ts');
