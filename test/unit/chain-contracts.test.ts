/** The gateway's own, shorter interfaces of the contracts against the ABIs that forge built. */
import { readFileSync } from 'node:fs';
import type { Abi, AbiParameter } from 'viem';
import { expect, test } from 'vitest';
import { EVIDENCE_ABI, REGISTRY_ABI, RULINGS_ABI, SETTLEMENT_ABI } from '../../gateway/chain/contracts.ts';

function built(name: string): Abi {
  const file = new URL(`../../contracts/chain/abi/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { abi: Abi }).abi;
}

/** Names and types at every depth: what is decoded by name must stand where it is said to stand. */
function shape(parameters: readonly AbiParameter[] = []): unknown {
  return parameters.map((parameter) => ({
    name: parameter.name ?? '',
    type: parameter.type,
    indexed: 'indexed' in parameter && parameter.indexed === true,
    components: 'components' in parameter ? shape(parameter.components) : undefined,
  }));
}

test.each([
  ['StakeRegistry', REGISTRY_ABI],
  ['Settlement', SETTLEMENT_ABI],
  ['Evidence', EVIDENCE_ABI],
  ['Rulings', RULINGS_ABI],
] as const)('every call and event that the gateway uses is one of %s, field by field', (name, used) => {
  const known = built(name);
  for (const item of used as Abi) {
    if (item.type !== 'function' && item.type !== 'event') continue;
    const same = known.find((other) => other.type === item.type && other.name === item.name);
    expect(same, item.name).toBeDefined();
    const outputs = (of: typeof item | typeof same) => shape(of !== undefined && 'outputs' in of ? of.outputs : []);
    expect(outputs(same), item.name).toEqual(outputs(item));
    if (item.type === 'event') expect(shape((same as typeof item).inputs), item.name).toEqual(shape(item.inputs));
    // Arguments are given by place: their names are the caller's business.
    else expect(types((same as typeof item).inputs), item.name).toEqual(types(item.inputs));
  }
});

function types(parameters: readonly AbiParameter[]): unknown {
  return parameters.map((parameter) => ({
    type: parameter.type,
    components: 'components' in parameter ? shape(parameter.components) : undefined,
  }));
}
