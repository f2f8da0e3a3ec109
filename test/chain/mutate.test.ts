/** The tool that measures the contracts' tests must itself be right: a mutant that is none would count as caught or survive for nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSources, type Source, solidityFiles } from './mutate/ast.ts';
import { driverText, suitesIn, suitesOf, survivorsIn } from './mutate/driver.ts';
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

test('a driver asks every test without parameters of every suite, and no steps', () => {
  const text =
    'contract ATest is Base {\n    function test_one() public {}\n    function testFuzz_two(uint8 x) public {}\n    function _step() private {}\n}\ncontract Helper {\n    function go() external {}\n}\n';
  const suites = suitesOf(text, 'A.t.sol');
  expect(suites).toEqual([{ artifact: 'A.t.sol:ATest', contract: 'ATest', tests: ['test_one'], hasSetUp: true }]);
  const driver = driverText([7, 12], suites);
  expect(driver).toContain('keccak256("test_one()")');
  expect(driver).toContain('function test_m12() external { _live(12); }');
  const all = suitesIn(ROOT, 'test/chain');
  expect(new Set(all.map(({ contract }) => contract)).size).toBe(all.length);
  expect(all.flatMap(({ tests }) => tests).length).toBeGreaterThan(220);
});

test('a run of the driver counts only if it has a result for every mutant', () => {
  const ran = (results: Record<string, string>): string => {
    const tests = Object.entries(results).map(([name, status]) => [name, { status }]);
    const suite = { test_results: Object.fromEntries(tests) };
    return `Compiling\n${JSON.stringify({ 'drivers/Mutants.t.sol:Mutants': suite })}\n`;
  };
  expect(survivorsIn(ran({ 'test_m7()': 'Success', 'test_m12()': 'Failure' }), [7, 12])).toEqual(new Set([7]));
  expect(survivorsIn(ran({ 'test_m7()': 'Success' }), [7, 12])).toBeNull();
  expect(survivorsIn(ran({ 'setUp()': 'Failure' }), [7])).toBeNull();
  expect(survivorsIn('Error: no tests', [7])).toBeNull();
});
