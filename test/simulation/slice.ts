/** Many seeds in one process, and what came of them. */
import { commitOf } from './commit.ts';
import { runSeed, type ScenarioKind, violationsOf } from './run-seed.ts';

export interface Slice {
  readonly first: number;
  readonly count: number;
  /** Every so many seeds, beginning with the `offset`-th. */
  readonly step: number;
  readonly offset: number;
  /** In turn: a seed is of one kind. */
  readonly kinds: readonly ScenarioKind[];
  /** Begins no further seed after so many minutes; without, all are run. */
  readonly minutes?: number | undefined;
}

export interface Failure {
  readonly kind: ScenarioKind;
  readonly seed: number;
  readonly problems: readonly string[];
}

export interface Tally {
  readonly seeds: number;
  readonly failures: readonly Failure[];
  readonly outcomes: Readonly<Record<string, number>>;
  readonly upheld: number;
  readonly crashes: number;
  readonly cpuSeconds: number;
  /** After the first hundred seeds, and at the end; the heap of one process must not grow with its seeds. */
  readonly heapMib: readonly (readonly [start: number, end: number])[];
}

/** After so many seeds everything that is loaded lazily is loaded. */
const WARM_SEEDS = 100;
const MIB = 1024 * 1024;

export function emptyTally(): Tally {
  return { seeds: 0, failures: [], outcomes: {}, upheld: 0, crashes: 0, cpuSeconds: 0, heapMib: [] };
}

export function addTally(a: Tally, b: Tally): Tally {
  const outcomes = { ...a.outcomes };
  for (const [name, times] of Object.entries(b.outcomes)) outcomes[name] = (outcomes[name] ?? 0) + times;
  return {
    seeds: a.seeds + b.seeds,
    failures: [...a.failures, ...b.failures],
    outcomes,
    upheld: a.upheld + b.upheld,
    crashes: a.crashes + b.crashes,
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    heapMib: [...a.heapMib, ...b.heapMib],
  };
}

/** Runs seeds and prints each that breaks a rule as soon as it has. */
export async function runSlice({ first, count, step, offset, kinds, minutes }: Slice): Promise<Tally> {
  const endsAt = performance.now() + (minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  let tally = emptyTally();
  let warmMib = heapMib();
  for (let i = offset; i < count && performance.now() < endsAt; i += step) {
    const seed = first + i;
    const kind = kinds[seed % kinds.length]!;
    tally = addTally(tally, await runOne(seed, kind));
    if (tally.seeds === WARM_SEEDS) warmMib = heapMib();
  }
  const { user, system } = process.cpuUsage();
  return { ...tally, cpuSeconds: (user + system) / 1e6, heapMib: [[warmMib, heapMib()]] };
}

async function runOne(seed: number, kind: ScenarioKind): Promise<Tally> {
  const one = { ...emptyTally(), seeds: 1 };
  try {
    const report = await runSeed(seed, kind);
    const { upheld, crashes, outcomes } = report;
    const counted: Record<string, number> = {};
    for (const outcome of outcomes) counted[outcome] = (counted[outcome] ?? 0) + 1;
    return { ...one, upheld, crashes, outcomes: counted, failures: failed(seed, kind, violationsOf(report)) };
  } catch (error) {
    const problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...one, failures: failed(seed, kind, [problem]) };
  }
}

function failed(seed: number, kind: ScenarioKind, problems: readonly string[]): Failure[] {
  if (problems.length === 0) return [];
  const lines = problems.map((text) => `  ${text}\n`).join('');
  process.stdout.write(
    `${kind} seed ${seed} at commit ${commitOf()}; replay: npm run sim -- --kind ${kind} --seed ${seed}\n${lines}`,
  );
  return [{ kind, seed, problems }];
}

/** After a collection where the process may ask for one. */
function heapMib(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Math.round(process.memoryUsage().heapUsed / MIB);
}
