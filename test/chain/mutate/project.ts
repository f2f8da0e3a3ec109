/** A forge project of its own, outside the tree: the contracts with all mutants in them, their tests, and what they import. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { foundryBinary } from '../forge.mjs';
import { solidityFiles } from './ast.ts';
import { DRIVER, driverText, type Suite, suitesIn, survivorsIn } from './driver.ts';
import type { Mutant } from './operators.ts';
import { asView, LIBRARY_PATCHES, mutantSchema } from './schema.ts';

/** A test run that goes on for longer hangs in a loop that the mutant made endless. */
const RUN_MS_MAX = 900_000;
const BUILD_MS_MAX = 1_800_000;

export interface Outcome {
  readonly passed: boolean;
  /** The end of what forge printed. */
  readonly text: string;
}

/** Where the contracts and their tests are in the project; forge always compiles what lies there, whatever test is asked for. */
const CODE = 'code';
const DRIVERS = 'drivers';

export interface Project {
  readonly folder: string;
  /** Suites that a driver can ask. */
  readonly suites: readonly Suite[];
  build(): Outcome;
  /** Tries many mutants at once by the suites' tests without parameters; null where forge gave no answer for each. */
  survivorsOf(numbers: readonly number[], suites: readonly Suite[]): Set<number> | null;
  /** Runs tests with one mutant alive; 0 for none. */
  test(mutant: number, args: readonly string[], env?: Readonly<Record<string, string>>): Outcome;
}

/** Writes the project anew, keeping what was built before. */
export function writeProject(
  root: string,
  folder: string,
  numbered: readonly { number: number; mutant: Mutant }[],
): Project {
  const write = (file: string, text: string): void => writeIn(folder, path.join(CODE, file), text);
  for (const old of [CODE, DRIVERS]) rmSync(path.join(folder, old), { recursive: true, force: true });
  mkdirSync(path.join(folder, DRIVERS), { recursive: true });
  for (const file of solidityFiles(root, 'contracts/chain')) {
    const bytes = readFileSync(path.join(root, file));
    write(
      file,
      mutantSchema(
        bytes,
        numbered.filter(({ mutant }) => mutant.file === file),
      ),
    );
  }
  for (const file of solidityFiles(root, 'test/chain'))
    write(file, asView(readFileSync(path.join(root, file), 'utf8')));
  copyLibrary(root, folder);
  writeIn(folder, 'foundry.toml', settings(root));
  writeIn(folder, 'solc.sh', shim(root));
  return { folder, suites: suitesIn(root, 'test/chain'), ...forgeIn(folder) };
}

function writeIn(folder: string, file: string, text: string): void {
  const at = path.join(folder, file);
  mkdirSync(path.dirname(at), { recursive: true });
  writeFileSync(at, text);
}

/** With a way around each modifier that guards something. */
function copyLibrary(root: string, folder: string): void {
  const to = path.join(folder, 'lib', 'contracts');
  cpSync(path.join(root, 'node_modules', '@openzeppelin', 'contracts'), to, { recursive: true });
  for (const [file, [before, added]] of Object.entries(LIBRARY_PATCHES)) {
    const at = path.join(to, file);
    const text = readFileSync(at, 'utf8');
    if (!text.includes(before)) throw new Error(`${file} has no ${before}`);
    writeFileSync(at, text.replace(before, `${added}${before}`));
  }
}

function settings(root: string): string {
  return readFileSync(path.join(root, 'foundry.toml'), 'utf8')
    .replace('remappings = ["@openzeppelin/=node_modules/@openzeppelin/"]', 'remappings = ["@openzeppelin/=lib/"]')
    .replace('src = "contracts/chain"', `src = "${CODE}"`)
    .replace('test = "test/chain"', `test = "${DRIVERS}"`)
    .replace('libs = ["node_modules"]', 'libs = ["lib"]')
    .replace('"./test/chain/solc.cjs"', '"./solc.sh"')
    .replace('dynamic_test_linking = true\n', 'code_size_limit = 1000000\ngas_limit = "18446744073709551615"\n')
    .replace('deny = "warnings"\n', '');
}

/** forge asks for the version at every run, and solcjs takes a second to say it. */
function shim(root: string): string {
  const real = path.join(root, 'test', 'chain', 'solc.cjs');
  const { stdout } = spawnSync(process.execPath, [real, '--version'], { encoding: 'utf8' });
  const node = JSON.stringify(process.execPath);
  return `#!/bin/sh\ncase "$*" in *--version*) cat <<'V'\n${stdout.trimEnd()}\nV\n;; *) exec ${node} --max-old-space-size=8192 ${JSON.stringify(real)} "$@";; esac\n`;
}

function forgeIn(folder: string): Pick<Project, 'build' | 'survivorsOf' | 'test'> {
  const forge = (args: readonly string[], timeout: number, env: Readonly<Record<string, string>> = {}) => {
    const { status, signal, stdout, stderr } = spawnSync(foundryBinary('forge'), [...args, '--root', folder], {
      cwd: folder,
      encoding: 'utf8',
      timeout,
      killSignal: 'SIGKILL',
      maxBuffer: 2 ** 28,
      env: { ...process.env, ...env },
    });
    // A run that was ended from outside says nothing about the mutant.
    if (status === null && signal !== 'SIGKILL') throw new Error(`forge ended by ${signal}`);
    return { passed: status === 0, stdout: stdout ?? '', text: `${stdout ?? ''}${stderr ?? ''}`.slice(-20_000) };
  };
  return {
    build: () => {
      spawnSync('chmod', ['+x', path.join(folder, 'solc.sh')]);
      return forge(['build'], BUILD_MS_MAX);
    },
    survivorsOf: (numbers, suites) => {
      writeIn(folder, path.join(DRIVERS, `${DRIVER}.t.sol`), driverText(numbers, suites));
      const { stdout, text } = forge(['test', '--match-contract', `^${DRIVER}$`, '--json'], BUILD_MS_MAX);
      const survivors = survivorsIn(stdout, numbers);
      if (survivors === null) console.log(text.slice(-2_000));
      return survivors;
    },
    test: (mutant, args, env) =>
      forge(
        ['test', '--fail-fast', '--fuzz-seed', '1', '--block-prevrandao', prevrandao(mutant), ...args],
        RUN_MS_MAX,
        env,
      ),
  };
}

function prevrandao(mutant: number): string {
  return `0x${mutant.toString(16).padStart(64, '0')}`;
}
