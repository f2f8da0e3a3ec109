/**
 * `npm run mutate:contracts`: breaks the contracts in every way of operators.ts, one at a time, and counts how many the forge tests notice.
 * Results are kept in a temporary folder by mutant, so that a run that was stopped goes on where it was, and a changed function alone is tried anew.
 *
 *   --only=TEXT   mutants whose file holds TEXT
 *   --sample=N    N of them, the same for the same --seed (1)
 *   --fresh       forget earlier results
 *   --survivors   try only those that survived before
 *   --record=FILE writes the record
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseSources, solidityFiles } from './ast.ts';
import { type Mutant, mutantsOf } from './operators.ts';
import { type Project, writeProject } from './project.ts';
import { recordOf, type Verdict } from './record.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FOLDER = path.join(os.tmpdir(), 'assay-mutants');
const RESULTS = path.join(FOLDER, 'results.json');

/** Quick: everything but random lives and gas. Slow, for those that survive: random lives too. */
const QUICK = ['--no-match-contract', 'InvariantsTest|GasTest'];
const QUICK_ENV = { FOUNDRY_FUZZ_RUNS: '16' };
const SLOW = ['--match-contract', 'InvariantsTest'];
const SLOW_ENV = { FOUNDRY_INVARIANT_RUNS: '16', FOUNDRY_INVARIANT_DEPTH: '128' };

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
      record: { type: 'string' },
    },
  });
  const sources = parseSources(ROOT, solidityFiles(ROOT, 'contracts/chain'));
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
  if (open.length > 0) tryAll(built(all), open, verdicts);
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
  const whole = project.test(0, QUICK, QUICK_ENV);
  if (!whole.passed) throw new Error(`the tests fail without any mutant\n${whole.text}`);
  return project;
}

function tryAll(project: Project, open: readonly Numbered[], verdicts: Map<string, Verdict>): void {
  const started = performance.now();
  open.forEach(({ number, mutant }, at) => {
    let verdict: Verdict = 'caught';
    if (project.test(number, QUICK, QUICK_ENV).passed) {
      verdict = project.test(number, SLOW, SLOW_ENV).passed ? 'survived' : 'caught late';
    }
    verdicts.set(mutant.id, verdict);
    writeFileSync(RESULTS, JSON.stringify([...verdicts]));
    const seconds = ((performance.now() - started) / 1_000).toFixed(0);
    const change = `${mutant.before.replaceAll(/\s+/g, ' ')} -> ${mutant.after.replaceAll(/\s+/g, ' ')}`;
    console.log(
      `${at + 1}/${open.length} ${seconds} s ${verdict} ${mutant.file}:${mutant.line} ${mutant.operator} ${change}`,
    );
  });
}

function readVerdicts(): Map<string, Verdict> {
  return new Map(existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as [string, Verdict][]) : []);
}

/** The first `count` in the order of a hash of seed and mutant. */
function sample(from: readonly Numbered[], count: number, seed: string): readonly Numbered[] {
  if (count >= from.length) return from;
  const rank = ({ mutant }: Numbered): string => createHash('sha256').update(`${seed}\0${mutant.id}`).digest('hex');
  const ranked = from.map((one) => ({ one, rank: rank(one) })).sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return ranked.slice(0, count).map(({ one }) => one);
}

main();
