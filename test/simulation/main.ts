/**
 * `npm run sim -- [--seeds N] [--first S] [--kind usual|swarm|prompts|watched|both] [--workers W] [--minutes M] [--out FILE]
 * | --seed S --kind K`: runs seeds and prints those that break a rule.
 */
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { commitOf } from './commit.ts';
import { runSeed, SCENARIOS, type ScenarioKind } from './run-seed.ts';
import { addTally, emptyTally, runSlice, type Tally } from './slice.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string' },
    first: { type: 'string', default: '1' },
    kind: { type: 'string', default: 'both' },
    workers: { type: 'string', default: '1' },
    out: { type: 'string' },
    // Ends after so many minutes, with the seeds that were run by then.
    minutes: { type: 'string' },
    // Of a worker: it runs every `of`-th seed, beginning with the `part`-th.
    part: { type: 'string' },
  },
});

function usage(): never {
  process.stderr.write(
    'usage: npm run sim -- [--seeds N] [--first S] [--kind usual|swarm|prompts|watched|both] [--workers W] [--minutes M] [--out FILE] | --seed S --kind K\n',
  );
  process.exit(2);
}

const whole = (text: string): number => {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 0 ? value : usage();
};
const isKind = (text: string): text is ScenarioKind => Object.hasOwn(SCENARIOS, text);

process.on('unhandledRejection', (reason) => {
  process.stderr.write(`an unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
  process.exitCode = 1;
});

const kinds: readonly ScenarioKind[] =
  values.kind === 'both' ? ['usual', 'swarm'] : isKind(values.kind) ? [values.kind] : usage();
const minutes = values.minutes === undefined ? undefined : whole(values.minutes);
const [count, first, workers] = [whole(values.seeds), whole(values.first), Math.max(1, whole(values.workers))];

async function replay(seed: number, kind: ScenarioKind): Promise<void> {
  const report = await runSeed(seed, kind);
  process.stdout.write(`${JSON.stringify({ scenario: SCENARIOS[kind](seed), report }, null, 2)}\n`);
  if (report.safety.length + report.liveness.length > 0) process.exitCode = 1;
}

/** Each worker is a process of its own: a simulation is one thread, and its heap is its own. */
function runWorker(part: number): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const args = ['--seeds', `${count}`, '--first', `${first}`, '--kind', values.kind, '--workers', `${workers}`];
    if (minutes !== undefined) args.push('--minutes', `${minutes}`);
    const child = fork(new URL(import.meta.url), [...args, '--part', `${part}`], { execArgv: process.execArgv });
    let tally: Tally | null = null;
    child.on('message', (message) => {
      tally = message as Tally;
    });
    child.on('exit', (code) => (tally ? resolve(tally) : reject(new Error(`worker ${part} ended with ${code}`))));
  });
}

async function runAll(): Promise<void> {
  const startedAt = new Date();
  const tallies =
    workers === 1
      ? [await runSlice({ first, count, step: 1, offset: 0, kinds, minutes })]
      : await Promise.all(Array.from({ length: workers }, (_, part) => runWorker(part)));
  const tally = tallies.reduce(addTally, emptyTally());
  const outcomes = Object.fromEntries(Object.entries(tally.outcomes).sort(([, a], [, b]) => b - a));
  const record = {
    date: startedAt.toISOString(),
    commit: commitOf(),
    kinds,
    firstSeed: first,
    seeds: tally.seeds,
    workers,
    wallSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    cpuSecondsPerSeed: Number((tally.cpuSeconds / Math.max(1, tally.seeds)).toFixed(3)),
    failures: tally.failures,
    crashes: tally.crashes,
    rulingsUpheld: tally.upheld,
    outcomes,
    heapMib: tally.heapMib,
  };
  process.stdout.write(`${JSON.stringify(record, null, 2)}\n`);
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(record, null, 2)}\n`);
  if (tally.failures.length > 0) process.exitCode = 1;
}

if (values.seed !== undefined) {
  await replay(whole(values.seed), isKind(values.kind) ? values.kind : 'usual');
} else if (values.part !== undefined) {
  const slice = { first, count, step: workers, offset: whole(values.part), kinds, minutes };
  process.send!(await runSlice(slice));
  process.disconnect();
} else await runAll();
