/** Gas of the contracts' transactions: as forge measures it now, and as the committed table says. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { foundryBinary } from '../chain/forge.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const GAS_TABLE = path.join(ROOT, 'test', 'bench', 'results', 'gas.md');

/** Gas by the name of the transaction. */
export type Gas = Readonly<Record<string, number>>;

/** Measures whole transactions, each in isolation. @throws {Error} where a test fails */
export function measureGas(): Gas {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'assay-gas-'));
  try {
    const { status, stdout, stderr } = spawnSync(
      foundryBinary('forge'),
      ['test', '--isolate', '--match-contract', 'GasTest'],
      { cwd: ROOT, encoding: 'utf8', env: { ...process.env, FOUNDRY_SNAPSHOTS: folder } },
    );
    if (status !== 0) throw new Error(`${stdout}${stderr}`);
    const text = readFileSync(path.join(folder, 'contracts.json'), 'utf8');
    return Object.fromEntries(
      Object.entries(JSON.parse(text) as Record<string, string>).map(([name, gas]) => [name, Number(gas)]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first figure of each row of a table. */
export function tabledGas(text: string): Gas {
  const rows = [...text.matchAll(/^\| ([^|]+) \| ([\d,]+) \|/gm)];
  return Object.fromEntries(rows.map(([, name, figure]) => [name!, Number(figure!.replaceAll(',', ''))]));
}

/**
 * Transactions whose gas is not what the table says.
 * @param toleranceShare how far from the table's figure is still the same, 0.02 for 2%
 */
export function gasDifferences(measured: Gas, tabled: Gas, toleranceShare: number): string[] {
  return Object.entries(measured).flatMap(([name, gas]) => {
    const said = tabled[name];
    if (said === undefined) return [`${name}: ${gas}, not in the table`];
    return Math.abs(gas - said) > toleranceShare * said ? [`${name}: ${gas}, the table says ${said}`] : [];
  });
}
