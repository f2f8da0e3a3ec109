/** The tool that measures the contracts' tests must itself be right: a mutant that is none would count as caught or survive for nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSources, type Source, solidityFiles } from './mutate/ast.ts';
import { type Mutant, mutantsOf } from './mutate/operators.ts';
import { mutantSchema } from './mutate/schema.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** solcjs takes seconds to start, more beside other work. */
const COMPILER_MS = 120_000;

const TEXT = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;
error No();
contract C {
    uint256 private held;
    // ‖ is three bytes long
    function take(uint256 amount, bool open) external returns (uint256) {
        if (!open || amount > held + 1) revert No();
        held -= amount;
        for (uint256 i = 0; i < 2; ++i) _note(i);
        return open ? held * 2 : 7 days / 2;
    }
    function _note(uint256 x) private pure {}
}
`;

let source: Source;
let mutants: readonly Mutant[];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'assay-operators-'));
  writeFileSync(path.join(folder, 'C.sol'), TEXT);
  const [parsed] = parseSources(ROOT, [path.relative(ROOT, path.join(folder, 'C.sol'))]);
  source = parsed!;
  mutants = mutantsOf(source);
}, COMPILER_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('each guard, comparison, sum and assignment has its mutants, and a loop step, a constant or an event none', () => {
  expect(mutants.map(({ operator, before, after }) => `${operator}: ${before} -> ${after}`).sort()).toEqual([
    'arithmetic: held * 2 -> held / 2',
    'arithmetic: held + 1 -> held',
    'arithmetic: held + 1 -> held - 1',
    'arithmetic: held -= amount -> held += amount',
    'assignment: held -= amount -> ',
    'call: _note(i) -> ',
    'comparison: amount > held + 1 -> amount >= held + 1',
    'comparison: i < 2 -> i <= 2',
    'condition: !open -> open',
    'condition: open ? held * 2 : 7 days / 2 -> 7 days / 2',
    'condition: open ? held * 2 : 7 days / 2 -> held * 2',
    'guard: !open || amount > held + 1 -> false',
    'operand: !open || amount > held + 1 -> !open',
    'operand: !open || amount > held + 1 -> amount > held + 1',
  ]);
  expect(new Set(mutants.map(({ id }) => id)).size).toBe(mutants.length);
  expect(mutants.find(({ before }) => before === 'held -= amount')?.line).toBe(9);
});

test(
  'the text with all mutants in it compiles, and holds each of them once',
  () => {
    const schema = mutantSchema(
      source.bytes,
      mutants.map((mutant, at) => ({ number: at + 1, mutant })),
    );
    writeFileSync(path.join(folder, 'C.sol'), schema);
    expect(() => parseSources(ROOT, [source.file])).not.toThrow();
    const numbers = [...schema.matchAll(/block\.prevrandao [!=]= (\d+)/g)].map(([, number]) => Number(number));
    expect(numbers.sort((a, b) => a - b)).toEqual(mutants.map((_, at) => at + 1));
    expect(schema).toContain('// ‖ is three bytes long');
  },
  COMPILER_MS,
);

test(
  'the contracts have mutants in every file that decides anything',
  () => {
    const files = solidityFiles(ROOT, 'contracts/chain').filter(
      (file) => !/IStakeRegistry|Messages|\/(Evidence|Settlement)\.sol$/.test(file),
    );
    const found = new Set(
      parseSources(ROOT, files)
        .flatMap(mutantsOf)
        .map(({ file }) => file),
    );
    expect(files.filter((file) => !found.has(file))).toEqual([]);
  },
  COMPILER_MS,
);
