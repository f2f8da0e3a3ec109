/** One list of type strings: what Solidity hashes is what the specification's tables name, from which the vectors are made. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

const specified = new Set(
  ['SPEC.md', 'spec-chain.md'].flatMap((file) =>
    [...read(`contracts/protocol/${file}`).matchAll(/`([A-Z][A-Za-z]+\([a-z][^`]*\))`/g)].map(([, text]) => text!),
  ),
);
const solidity = readdirSync(path.join(ROOT, 'contracts/chain'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.sol'))
  .flatMap((file) => [...read(`contracts/chain/${file}`).matchAll(/keccak256\(\s*"([A-Z][^"]+\([^"]*\))"\s*\)/g)])
  .map(([, text]) => text!)
  .filter((text) => !text.startsWith('EIP712Domain'));

test('each type string that a contract hashes stands in the specification, letter by letter', () => {
  expect(solidity.length).toBeGreaterThan(11);
  expect(solidity.filter((text) => !specified.has(text))).toEqual([]);
});
