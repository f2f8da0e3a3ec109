/**
 * Many mutants in one run of forge: a test of the driver is one mutant, which goes through the suites until one of their tests fails. Starting forge
 * takes seconds, a suite's test milliseconds. Tests with parameters are left to forge itself.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { solidityFiles } from './ast.ts';

/** Gas of one test of a suite: what needs more hangs in a loop that the mutant made endless. Setting up takes a twentieth of it. */
const TEST_GAS = 1_000_000_000;

/** A contract of tests and its tests without parameters, in their order. */
export interface Suite {
  /** As forge names it: `Keys.t.sol:KeysTest`. */
  readonly artifact: string;
  readonly contract: string;
  readonly tests: readonly string[];
  readonly hasSetUp: boolean;
}

/** The suites of a folder. */
export function suitesIn(root: string, folder: string): Suite[] {
  return solidityFiles(root, folder)
    .filter((file) => file.endsWith('.t.sol'))
    .flatMap((file) => suitesOf(readFileSync(path.join(root, file), 'utf8'), path.posix.basename(file)));
}

/** The suites of one file's text. */
export function suitesOf(text: string, file: string): Suite[] {
  return text.split(/^(?=contract )/m).flatMap((body) => {
    const contract = /^contract (\w+)/.exec(body)?.[1];
    if (contract === undefined) return [];
    const tests = [...body.matchAll(/^ {4}function (test_\w+)\(\)/gm)].map(([, name]) => name!);
    const hasSetUp = /^contract \w+ is |^ {4}function setUp\(\)/m.test(body);
    return tests.length === 0 ? [] : { artifact: `${file}:${contract}`, contract, tests, hasSetUp };
  });
}

/** Name of the driver's contract; its tests are `test_m<number>`. */
export const DRIVER = 'Mutants';

/**
 * Text of the driver.
 * @param numbers mutants to try, one test each
 */
export function driverText(numbers: readonly number[], suites: readonly Suite[]): string {
  const adds = suites.map(({ artifact, tests, hasSetUp }) => {
    const calls = tests.map((test) => `        _tests[at].push(bytes4(keccak256("${test}()")));`).join('\n');
    return `        at = _add("${artifact}", ${hasSetUp});\n${calls}`;
  });
  const tests = numbers.map((number) => `    function test_m${number}() external { _live(${number}); }`);
  return `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

interface Cheats {
    function prevrandao(bytes32 value) external;
    function snapshotState() external returns (uint256);
    function revertToState(uint256 id) external returns (bool);
    function deployCode(string calldata artifact) external returns (address);
}

contract ${DRIVER} {
    Cheats private constant cheats = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    address[] private _suites;
    bool[] private _setsUp;
    mapping(uint256 suite => bytes4[]) private _tests;

    function setUp() external {
        uint256 at;
${adds.join('\n')}
    }

    function _add(string memory artifact, bool setsUp) private returns (uint256) {
        _suites.push(cheats.deployCode(artifact));
        _setsUp.push(setsUp);
        return _suites.length - 1;
    }

    /// @dev Each suite from the state of the beginning, each of its tests from what its setUp has made.
    function _live(uint256 mutant) private {
        cheats.prevrandao(bytes32(mutant));
        uint256 fresh = cheats.snapshotState();
        for (uint256 i = 0; i < _suites.length; ++i) {
            if (_setsUp[i]) _call(_suites[i], bytes4(keccak256("setUp()")));
            uint256 ready = cheats.snapshotState();
            for (uint256 j = 0; j < _tests[i].length; ++j) {
                _call(_suites[i], _tests[i][j]);
                cheats.revertToState(ready);
            }
            cheats.revertToState(fresh);
        }
    }

    function _call(address suite, bytes4 test) private {
        (bool passed,) = suite.call{gas: ${TEST_GAS}}(abi.encodePacked(test));
        require(passed);
    }

${tests.join('\n')}
}
`;
}

/** Which mutants of a driver's run survived; null where a test is missing, so that the run says nothing. */
export function survivorsIn(json: string, numbers: readonly number[]): Set<number> | null {
  const line = json.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) return null;
  const suites = JSON.parse(line) as Readonly<
    Record<string, { readonly test_results: Readonly<Record<string, { readonly status: string }>> }>
  >;
  const results = Object.entries(suites).find(([name]) => name.endsWith(`:${DRIVER}`))?.[1].test_results ?? {};
  const statuses = numbers.map((number) => [number, results[`test_m${number}()`]?.status] as const);
  if (statuses.some(([, status]) => status !== 'Success' && status !== 'Failure')) return null;
  return new Set(statuses.filter(([, status]) => status === 'Success').map(([number]) => number));
}
