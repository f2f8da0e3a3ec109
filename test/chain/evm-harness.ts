/** Contracts that only calculate, on anvil, and vectors that they are held against. */
import { readFileSync } from 'node:fs';
import type { Abi } from 'viem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hex } from '#protocol/hash';
import { readVectors, type VectorEntry } from '../vectors/read-vectors.ts';
import { type Anvil, artifact, startAnvil } from './anvil.ts';

/** Vectors of one rule. */
export function entries(file: string, rule: string): readonly VectorEntry[] {
  return readVectors(readFileSync(new URL(`../vectors/${file}.json`, import.meta.url), 'utf8'))[rule]!;
}

/** Of the file that imports this, from its first test on. */
export let anvil: Anvil;
let harness: Hex;
export let draws: Hex;
export const abis: { harness: Abi; draws: Abi; domain: Abi } = { harness: [], draws: [], domain: [] };

beforeAll(async () => {
  anvil = await startAnvil();
  abis.harness = artifact('Harness').abi;
  abis.draws = artifact('DrawEvidence').abi;
  abis.domain = artifact('DomainHarness').abi;
  const token = await anvil.deploy('TestToken', []);
  const registry = await anvil.deploy('StakeRegistry', [
    token,
    anvil.account,
    { unbond: 21 * 86_400, key: 86_400, pot: 14 * 86_400 },
  ]);
  harness = await anvil.deploy('Harness', []);
  draws = await anvil.deploy('DrawEvidence', [registry]);
}, 120_000);
afterAll(() => anvil?.stop());

/** Result of a pure call, or null where it reverts or cannot be encoded. */
export async function call(functionName: string, args: readonly unknown[]): Promise<unknown> {
  return anvil.client.readContract({ address: harness, abi: abis.harness, functionName, args });
}

/** One test over all of a list. */
export function run(name: string, list: readonly VectorEntry[], check: (entry: VectorEntry) => Promise<void>): void {
  describe(name, () => {
    it(`agrees on all ${list.length}`, async () => {
      expect(list.length).toBeGreaterThan(0);
      for (const entry of list) await check(entry);
    });
  });
}

/** Numbers as viem takes them. */
export const numbers = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).map(([key, item]) => [key, typeof item === 'number' ? BigInt(item) : item]));
