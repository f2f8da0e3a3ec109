/**
 * Kills the real provider at random instants and starts it again over its store: an honest crash must never look like two
 * commitments for one chunk, two claims for one job, or another answer than before (SPEC.md §6.4).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { canonicalJson } from '#protocol/canonical';
import { zClaim } from '#protocol/messages';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import {
  type CrashJob,
  type JobCounts,
  newJob,
  PROVIDER_EVENTS,
  type ProviderEvent,
  ProviderWitness,
  runJob,
} from './provider-jobs.ts';
import { PROVIDER_MODEL, type ProviderProcess, startProviderProcess } from './provider-process.ts';

/** Jobs at one time. */
const CONCURRENCY = 4;
/** Finished and lost jobs that each life asks for again. */
const ASKED_AGAIN = 6;
/** Learned from lives: how long a start takes, in milliseconds. */
const START_GUESS_MS = 1_500;
/** After the ready line; uniform up to here, in milliseconds. */
const TIME_MAX_MS = 1_500;
const EVENT_PATIENCE_MS = 4_000;
const EVENT_DELAY_MAX_US = 4_000;

export interface ProviderCrashOptions {
  readonly points: number;
  readonly seed: string;
  /** Lives that share one data folder. */
  readonly perFolder: number;
  /** Ends a run early, between two folders. */
  readonly over?: () => boolean;
  readonly progress?: (done: number, problems: number) => void;
}

export interface ProviderCrashResult {
  readonly points: number;
  readonly kills: Readonly<Record<string, number>>;
  readonly counts: JobCounts;
  readonly jobs: number;
  /** Commitments, openings, claims and scores that were seen, each checked for a second of its kind. */
  readonly signed: number;
  readonly problems: readonly string[];
}

/** Runs all points; every problem names its seed and life. */
export async function crashProvider(options: ProviderCrashOptions): Promise<ProviderCrashResult> {
  const { modelDigest } = await readModelFolder(PROVIDER_MODEL);
  const counts: JobCounts = { done: 0, lost: 0, resumed: 0, scores: 0, refused: 0, broken: 0 };
  const problems: string[] = [];
  const kills: Record<string, number> = {};
  const pace = { startMs: START_GUESS_MS };
  let [done, jobs, signed] = [0, 0, 0];
  for (let folder = 0; done < options.points && !options.over?.(); folder++) {
    const seed = `${options.seed}/provider ${folder}`;
    const report = (problem: string) => problems.push(`[seed ${seed}] ${problem}`);
    const home = mkdtempSync(path.join(tmpdir(), 'assay-crash-provider-'));
    const world: World = {
      rng: new SeededRng(seed),
      home,
      jobs: [],
      witness: new ProviderWitness(report),
      counts,
      pace,
      report,
    };
    try {
      for (let life = 0; life < options.perFolder && done < options.points; life++) {
        const name = await liveAndDie(world, life, () =>
          newJob(world.rng.branch(`job ${world.jobs.length}`), modelDigest),
        );
        kills[name] = (kills[name] ?? 0) + 1;
        done++;
        options.progress?.(done, problems.length);
      }
      jobs += world.jobs.length;
      signed += world.witness.said.size;
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  }
  return { points: done, kills, counts, jobs, signed, problems };
}

interface World {
  readonly rng: SeededRng;
  readonly home: string;
  readonly jobs: CrashJob[];
  readonly witness: ProviderWitness;
  readonly counts: JobCounts;
  readonly pace: { startMs: number };
  readonly report: (problem: string) => void;
}

async function liveAndDie(world: World, life: number, makeJob: () => CrashJob): Promise<string> {
  const rng = world.rng.branch(`life ${life}`);
  const provider = startProviderProcess(world.home);
  const draw = rng.unit();
  if (draw < 0.15) void delay(rng.between(0, Math.ceil(world.pace.startMs * 1.1))).then(() => provider.kill());
  const url = await provider.ready;
  let name = 'start';
  if (url !== null) {
    world.pace.startMs += 0.2 * (performance.now() - provider.startedAt - world.pace.startMs);
    const event = draw < 0.55 ? null : rng.pick(PROVIDER_EVENTS);
    if (draw >= 0.15) name = event === null ? 'time' : `after ${event}`;
    await load(world, url, rng, provider, event, makeJob);
  } else if (draw >= 0.15) world.report(`life ${life}: ended before it was ready: ${provider.stderr().slice(-500)}`);
  await provider.gone;
  if (provider.stderr() !== '') world.report(`life ${life}: the provider said: ${provider.stderr().slice(0, 500)}`);
  for (const problem of checkStore(world)) world.report(`life ${life}: ${problem}`);
  return name;
}

async function load(
  world: World,
  url: string,
  rng: SeededRng,
  provider: ProviderProcess,
  event: ProviderEvent | null,
  makeJob: () => CrashJob,
): Promise<void> {
  const stop = new AbortController();
  const patienceMs = event === null ? rng.between(0, TIME_MAX_MS) : EVENT_PATIENCE_MS;
  const timer = setTimeout(() => provider.kill(), patienceMs);
  void provider.gone.then(() => stop.abort());
  const run = {
    url,
    witness: world.witness,
    counts: world.counts,
    saw: killAfter(event, rng.between(1, 6), rng.between(0, EVENT_DELAY_MAX_US), () => provider.kill()),
    report: world.report,
    signal: stop.signal,
  };
  // What the last lives left comes first, then some that are over: their answers must still be the same.
  const over = world.jobs.filter(({ state }) => state !== 'open');
  const again = Array.from({ length: Math.min(ASKED_AGAIN, over.length) }, () => rng.pick(over));
  const waiting = [...world.jobs.filter(({ state }) => state === 'open'), ...new Set(again)];
  const worker = async () => {
    while (!stop.signal.aborted) {
      const job = waiting.shift() ?? fresh(world, makeJob);
      await runJob(job, run);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  clearTimeout(timer);
}

function fresh({ jobs }: World, makeJob: () => CrashJob): CrashJob {
  const job = makeJob();
  jobs.push(job);
  return job;
}

function killAfter(
  wanted: ProviderEvent | null,
  nth: number,
  afterUs: number,
  kill: () => void,
): (event: ProviderEvent) => void {
  let seen = 0;
  return (event) => {
    if (event !== wanted || ++seen !== nth) return;
    const until = performance.now() + afterUs / 1_000;
    while (performance.now() < until);
    kill();
  };
}

/** Nothing was signed that the store does not have: read while nobody runs over it. */
function checkStore({ home, witness }: World): string[] {
  let database: Database.Database;
  try {
    database = new Database(path.join(home, 'data', 'jobs.sqlite'), { fileMustExist: true });
  } catch {
    return witness.said.size === 0 ? [] : ['the store is gone'];
  }
  try {
    const has = database.prepare("select count(*) from sqlite_master where name in ('chunks', 'claims')").pluck().get();
    if (has !== 2) return witness.said.size === 0 ? [] : ['the store has no tables'];
    const chunks = new Map(
      (
        database.prepare('select job_id, chunk_index, commitment from chunks').raw().all() as [string, number, string][]
      ).map(([job, index, commitment]) => [`commitment ${job}/${index}`, commitment]),
    );
    const claims = new Map(
      (database.prepare('select job_id, claim from claims').raw().all() as [string, string][]).map(([job, claim]) => [
        `claim ${job}`,
        canonicalJson(zClaim.parse(JSON.parse(claim))),
      ]),
    );
    return [...witness.said].flatMap(([what, value]) => {
      const stored = what.startsWith('commitment ') ? chunks : what.startsWith('claim ') ? claims : null;
      return stored === null || stored.get(what) === value ? [] : [`signed, and not in the store: ${what}`];
    });
  } finally {
    database.close();
  }
}
