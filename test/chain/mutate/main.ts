/**
 * `npm run mutate:contracts`: breaks the contracts in every way of operators.ts, one at a time, and counts how many the forge tests notice.
 * Results are kept in a temporary folder by mutant, so that a run that was stopped goes on where it was, and a changed function alone is tried anew.
 * A mutant goes through the tests that are about its file, then all others, many mutants in one run of forge (driver.ts); who survives that, through the
 * tests with parameters.
 *
 *   --only=TEXT   mutants whose file holds TEXT
 *   --sample=N    N of them, the same for the same --seed (1)
 *   --fresh       forget earlier results
 *   --survivors   try again those that survived before
 *   --lives       let survivors go through the random lives of Invariants.t.sol too: half a minute each
 *   --report      tries nothing, and says what is known
 *   --record=FILE writes the record
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseSources, solidityFiles } from './ast.ts';
import type { Suite } from './driver.ts';
import { type Mutant, mutantsOf } from './operators.ts';
import { type Project, writeProject } from './project.ts';
import { recordOf, type Verdict } from './record.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FOLDER = path.join(os.tmpdir(), 'assay-mutants');
const RESULTS = path.join(FOLDER, 'results.json');

/** What is asked first about a file's mutants: the tests that are about it. The demo's token is no part of what is deployed. */
const FIRST: readonly (readonly [file: RegExp, suites: RegExp])[] = [
  [/DrawEvidence/, /Draws/],
  [/rulings\/RefereeSets/, /RefereeSets|Rulings|Appeals/],
  [/Rulings/, /Rulings|Appeals/],
  [/Escrow/, /Escrow|Tokens|Attacks/],
  [/EarningsTree/, /EarningsTree/],
  [/Earnings/, /Earnings(?!Tree)|DisprovenRoots|Tokens/],
  [/SettlementState/, /Escrow|Earnings|Tokens/],
  [/StakeRegistry/, /Slashing|Convictions|Accounts/],
  [/Slashers|RegistryState/, /Owners|Accounts|Tokens/],
  [/Keys/, /Keys/],
  [/registry\/Accounts/, /Accounts|Keys/],
  [/Demands/, /Demands|Attacks/],
  [/EpochEntries/, /EpochDemands/],
  [/GatewayFaults/, /GatewayFaults|Evidence/],
  [/LogMerkle/, /Merkle/],
  [/Hashes/, /Hashes|Draws/],
  [/./, /Evidence/],
];
/** Long loops over one library: asked only about the files that they are about. */
const ONLY_FIRST = /Merkle|EarningsTree|^DrawsTest$/;
/** Gas is no behaviour, and random lives are for what is left. */
const NEVER = 'InvariantsTest|GasTest';
const WITH_PARAMETERS = 'testFuzz_';
const QUICK = { FOUNDRY_FUZZ_RUNS: '16' };
const LIVES = { FOUNDRY_INVARIANT_RUNS: '16', FOUNDRY_INVARIANT_DEPTH: '128' };
/** Mutants of one run of forge: what a run that is stopped loses at most. */
const BATCH = 60;

interface Numbered {
  readonly number: number;
  readonly mutant: Mutant;
}

function main(): void {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      sample: { type: 'string' },
      seed: { type: 'string', default: '1' },
      fresh: { type: 'boolean', default: false },
      survivors: { type: 'boolean', default: false },
      lives: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      record: { type: 'string' },
    },
  });
  const files = solidityFiles(ROOT, 'contracts/chain').filter((file) => !file.includes('/demo/'));
  const sources = parseSources(ROOT, files);
  const all = sources.flatMap(mutantsOf).map((mutant, at): Numbered => ({ number: at + 1, mutant }));
  mkdirSync(FOLDER, { recursive: true });
  const verdicts = values.fresh ? new Map<string, Verdict>() : readVerdicts();
  const chosen = sample(
    all.filter(({ mutant }) => mutant.file.includes(values.only)),
    values.sample === undefined ? all.length : Number(values.sample),
    values.seed,
  );
  const open = chosen.filter(({ mutant }) => {
    const known = verdicts.get(mutant.id);
    return values.survivors ? known === 'survived' : known === undefined;
  });
  console.log(`${all.length} mutants, ${chosen.length} chosen, ${open.length} to try`);
  if (open.length > 0 && !values.report) tryAll(built(all), open, verdicts, values.lives);
  const record = recordOf(
    ROOT,
    chosen.map(({ mutant }) => mutant),
    verdicts,
  );
  if (values.record !== undefined) writeFileSync(values.record, `${JSON.stringify(record, null, 2)}\n`);
  console.log(JSON.stringify({ ...record, survivors: record.survivors.length }, null, 2));
  for (const { file, line, before, after, reason } of record.survivors) {
    console.log(`${file}:${line}  ${before}  ->  ${after}  ${reason ?? ''}`);
  }
}

function built(all: readonly Numbered[]): Project {
  const project = writeProject(ROOT, FOLDER, all);
  const { passed, text } = project.build();
  if (!passed) throw new Error(text);
  if (!project.survivorsOf([0], askable(project))?.has(0)) throw new Error('the tests fail without any mutant');
  const fuzzed = project.test(0, ['--match-test', WITH_PARAMETERS], QUICK);
  if (!fuzzed.passed) throw new Error(`the tests with parameters fail without any mutant\n${fuzzed.text}`);
  return project;
}

function askable({ suites }: Project): Suite[] {
  return suites.filter(({ contract }) => !new RegExp(`^(${NEVER})$`).test(contract));
}

function tryAll(project: Project, open: readonly Numbered[], verdicts: Map<string, Verdict>, lives: boolean): void {
  const started = performance.now();
  let tried = 0;
  const settle = ({ mutant }: Numbered, verdict: Verdict): void => {
    verdicts.set(mutant.id, verdict);
    writeFileSync(RESULTS, JSON.stringify([...verdicts]));
    const seconds = ((performance.now() - started) / 1_000).toFixed(0);
    const change = `${mutant.before.replaceAll(/\s+/g, ' ')} -> ${mutant.after.replaceAll(/\s+/g, ' ')}`;
    console.log(
      `${++tried}/${open.length} ${seconds} s ${verdict} ${mutant.file}:${mutant.line} ${mutant.operator} ${change}`,
    );
  };
  const suites = askable(project);
  for (const batch of batches(open)) {
    const first = suites.filter(({ contract }) => batch.suites.test(contract));
    const left = surviving(project, batch.mutants, first, settle);
    const rest = suites.filter((suite) => !first.includes(suite) && !ONLY_FIRST.test(suite.contract));
    for (const one of surviving(project, left, rest, settle)) settle(one, lastVerdict(project, one, lives));
  }
}

/** Those whom no test of the suites notices. */
function surviving(
  project: Project,
  mutants: readonly Numbered[],
  suites: readonly Suite[],
  settle: (one: Numbered, verdict: Verdict) => void,
): readonly Numbered[] {
  if (mutants.length === 0) return [];
  const numbers = mutants.map(({ number }) => number);
  const survivors = project.survivorsOf(numbers, suites);
  if (survivors === null) throw new Error('forge gave no verdict');
  for (const one of mutants) if (!survivors.has(one.number)) settle(one, 'caught');
  return mutants.filter(({ number }) => survivors.has(number));
}

/** Tests with parameters, and random lives where they are asked for. */
function lastVerdict(project: Project, { number }: Numbered, lives: boolean): Verdict {
  if (!project.test(number, ['--match-test', WITH_PARAMETERS], QUICK).passed) return 'caught';
  return lives && !project.test(number, ['--match-contract', 'InvariantsTest'], LIVES).passed
    ? 'caught late'
    : 'survived';
}

interface Batch {
  readonly suites: RegExp;
  readonly mutants: readonly Numbered[];
}

/** Mutants by the suites that are asked first, in their order. */
function batches(open: readonly Numbered[]): Batch[] {
  const groups = new Map<RegExp, Numbered[]>();
  for (const one of open) {
    const [, suites] = FIRST.find(([pattern]) => pattern.test(one.mutant.file))!;
    groups.set(suites, [...(groups.get(suites) ?? []), one]);
  }
  return [...groups].flatMap(([suites, mutants]) =>
    Array.from({ length: Math.ceil(mutants.length / BATCH) }, (_, at) => ({
      suites,
      mutants: mutants.slice(at * BATCH, (at + 1) * BATCH),
    })),
  );
}

function readVerdicts(): Map<string, Verdict> {
  return new Map(existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as [string, Verdict][]) : []);
}

/** The first `count` in the order of a hash of seed and mutant. */
function sample(from: readonly Numbered[], count: number, seed: string): readonly Numbered[] {
  const rank = ({ mutant }: Numbered): string => createHash('sha256').update(`${seed}\0${mutant.id}`).digest('hex');
  const ranked = from.map((one) => ({ one, rank: rank(one) })).sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return ranked.slice(0, count).map(({ one }) => one);
}

main();
