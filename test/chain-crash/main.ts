/** `npm run crash:chain -- [--seeds 200] [--first 1] [--workers 1] [--lanes 1] [--minutes <n>] [--record <file>]` */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { TestChain } from './test-chain.ts';
import { runSeed, type SeedResult } from './world.ts';

/** A line of progress every so many seeds. */
const PROGRESS_EVERY = 10;
/** Begins the line in which a worker says its results. */
const RESULTS = 'results: ';

type Outcome = SeedResult;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    first: { type: 'string', default: '1' },
    /** Processes, each with a chain of its own. */
    workers: { type: 'string', default: '1' },
    /** Chains of one process. */
    lanes: { type: 'string', default: '1' },
    /** Begins no seed after so long; the record says how many there were. */
    minutes: { type: 'string', default: '1000' },
    record: { type: 'string' },
    /** Prints results for the process that started this one. */
    part: { type: 'boolean', default: false },
  },
});
const begunAt = performance.now();
const seconds = () => Math.round((performance.now() - begunAt) / 1000);

/** Seeds in turn, some at one time: a chain answers slowly on a busy machine, and another world can go on meanwhile. */
async function runHere(first: number, seeds: number, lanes: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = first;
  const lane = async () => {
    const chain = await TestChain.start();
    try {
      while (next < first + seeds && seconds() < 60 * Number(values.minutes)) {
        const seed = String(next++);
        outcomes.push(await outcomeOf(chain, seed));
        const problems = outcomes.flatMap((outcome) => outcome.problems).length;
        if (outcomes.length % PROGRESS_EVERY === 0) {
          process.stderr.write(`${outcomes.length} from ${first} on after ${seconds()} s, ${problems} problems\n`);
        }
      }
    } finally {
      await chain.stop();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return outcomes;
}

function outcomeOf(chain: TestChain, seed: string): Promise<Outcome> {
  return runSeed(chain, seed).catch((error: unknown) => ({
    problems: [`[seed ${seed}] ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}`],
    kills: [],
    ...{ reorgs: 0, roots: 0, transactions: 0, replaced: 0, unmined: 0 },
  }));
}

/** The same command in another process. */
function runElsewhere(first: number, seeds: number): Promise<Outcome[]> {
  const args = [...process.execArgv, process.argv[1]!, '--part', `--first=${first}`, `--seeds=${seeds}`];
  args.push(`--lanes=${values.lanes}`, `--minutes=${values.minutes}`);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += String(chunk);
    });
    child.once('exit', (code) => {
      const line = text.split('\n').find((candidate) => candidate.startsWith(RESULTS));
      if (line === undefined) reject(new Error(`a worker ended with ${code} and no results`));
      else resolve(JSON.parse(line.slice(RESULTS.length)) as Outcome[]);
    });
  });
}

async function run(first: number, seeds: number, workers: number): Promise<Outcome[]> {
  if (workers <= 1) return runHere(first, seeds, Number(values.lanes));
  const each = Math.ceil(seeds / workers);
  const parts = Array.from({ length: workers }, (_, at) =>
    runElsewhere(first + at * each, Math.max(0, Math.min(each, seeds - at * each))),
  );
  return (await Promise.all(parts)).flat();
}

const outcomes = await run(Number(values.first), Number(values.seeds), Number(values.workers));
if (values.part) {
  console.log(`${RESULTS}${JSON.stringify(outcomes)}`);
} else {
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const killsBy: Record<string, number> = {};
  for (const at of outcomes.flatMap((outcome) => outcome.kills).sort()) killsBy[at] = (killsBy[at] ?? 0) + 1;
  const summary = {
    seeds: outcomes.length,
    first: Number(values.first),
    kills: sum((outcome) => outcome.kills.length),
    killsBy,
    reorgs: sum((outcome) => outcome.reorgs),
    transactions: sum((outcome) => outcome.transactions),
    replaced: sum((outcome) => outcome.replaced),
    takenBack: sum((outcome) => outcome.unmined),
    roots: sum((outcome) => outcome.roots),
    problems: outcomes.flatMap((outcome) => outcome.problems),
  };
  console.log(JSON.stringify(summary, null, 2));
  console.log(`wall time ${seconds()} s`);
  if (values.record !== undefined) {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
    const record = { date: new Date().toISOString(), commit, wallSeconds: seconds(), ...summary };
    writeFileSync(values.record, `${JSON.stringify(record, null, 2)}\n`);
  }
  process.exitCode = summary.problems.length === 0 ? 0 : 1;
}
