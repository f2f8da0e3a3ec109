/** Our gateway, a bare fan-out, a sibling and the upstream itself, under the same load in one run. */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { readModel } from '#protocol/model-folder';
import { folderReader } from '../../../gateway/model-reader.ts';
import { MODEL, ROOT, rssMib } from '../../contract/program.ts';
import type { Hold } from '../../fixtures/light-member.ts';
import { type Cell, figuresOf } from './cells.ts';
import { type Child, cpuNs, lineOf, startNode, startSource, urlOf } from './child.ts';
import type { Load, LoadResult } from './load.ts';
import { installPortkey, startPortkey } from './portkey.ts';

const API_KEY = 'sk-assay-bench-key';
const MODEL_ID = path.basename(MODEL);
/** As many members as the quorum of the last row, each a process of its own, and a referee that is never asked. */
const MEMBERS = ['a', 'b', 'c'] as const;
const PLAIN_TOKENS = 16;
const STREAM_TOKENS = 64;
const WARMUP_SECONDS = 1;

export interface BenchOptions {
  /** Measured seconds of each cell. */
  readonly seconds: number;
  readonly concurrencies: readonly number[];
  readonly kinds: readonly Cell['kind'][];
  /** Answers that each row gives before its first cell: code that was seldom run is not compiled yet, and measures the compiler. */
  readonly warmAnswers: number;
  /** Names of rows to run; all where empty. */
  readonly rows: readonly string[];
  /** Where the sibling is installed and stays. */
  readonly portkeyFolder: string;
  /** Arguments of the gateway's node, such as --cpu-prof. */
  readonly nodeArgs: readonly string[];
  readonly progress: (line: string) => void;
}

export interface BenchResult {
  readonly cells: readonly Cell[];
  /** Rows that could not run, and why. */
  readonly absent: readonly string[];
  /** Answers before the first cell, by row. */
  readonly warmed: ReadonlyMap<string, number>;
}

/** One thing to put under load. */
interface Row {
  readonly name: string;
  readonly url: string;
  /** Null for the upstream, which is not under test. */
  readonly pid: number | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly fields: object;
  /** The end of its log. */
  readonly log: () => string;
}

export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'assay-bench-'));
  const children: Child[] = [];
  const absent: string[] = [];
  try {
    const mocks = await startMocks(children);
    const rows = (await startRows(folder, mocks, children, absent, options)).filter(
      ({ name }) => options.rows.length === 0 || options.rows.includes(name),
    );
    const cells: Cell[] = [];
    const warmed = new Map<string, number>();
    for (const row of rows) {
      for (const kind of options.kinds) {
        warmed.set(row.name, (warmed.get(row.name) ?? 0) + (await warmUp(row, kind, options)));
      }
    }
    for (const kind of options.kinds) {
      for (const concurrency of options.concurrencies) {
        for (const row of rows) {
          const cell = await measure(row, kind, concurrency, mocks, options);
          cells.push(cell);
          options.progress(
            `${cell.row} ${kind} c=${concurrency}: p50 ${cell.p50Ms.toFixed(2)} ms, CPU ${cell.cpuUs?.toFixed(0) ?? '-'} us`,
          );
        }
      }
    }
    return { cells, absent, warmed };
  } finally {
    for (const child of children.reverse()) await child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Most parts of a warm-up: a row that gives no answers would otherwise never have enough of them. */
const WARM_PARTS_MAX = 60;

/** Has a row answer, its share of `warmAnswers` for each kind, by as many connections as the largest cell has. */
async function warmUp(row: Row, kind: Cell['kind'], options: BenchOptions): Promise<number> {
  const wanted = Math.ceil(options.warmAnswers / options.kinds.length);
  const concurrency = Math.max(...options.concurrencies);
  let answered = 0;
  for (let part = 0; part < WARM_PARTS_MAX && answered < wanted && row.pid !== null; part++) {
    const load = { ...loadFor(row, kind), warmupSeconds: 0, concurrency, seconds: 2, keepsSamples: false };
    const generator = startSource('load-main.ts', [JSON.stringify(load)]);
    await lineOf(generator);
    await lineOf(generator);
    answered += (JSON.parse(await lineOf(generator)) as LoadResult).count;
    await generator.stop();
  }
  if (answered > 0) options.progress(`${row.name} ${kind}: warmed up by ${answered} answers`);
  return answered;
}

/** How long the machines of mock providers take, and what they claim to be. */
export interface MockPace {
  /** For a chunk or a score, of the first member, in milliseconds; each further one takes a fifth longer. */
  readonly meanMs: number;
  readonly seed: string;
  /** One that the model is calibrated for, where what they score has to count. */
  readonly numericClass: string;
}

/** Starts the mock providers: members first, then the referee. @returns their URLs */
export async function startMocks(children: Child[], pace: MockPace | null = null): Promise<string[]> {
  const { modelDigest, textFiles } = await readModel(folderReader(MODEL));
  const { vocab_size: vocabSize } = textFiles.config as { vocab_size: number };
  const mocks = [...MEMBERS.map((name) => [name, 'member']), ['referee', 'referee']].map(([name, role], at) => {
    const own = pace === null ? null : { ...pace, meanMs: pace.meanMs * (1 + at / 5) };
    return startSource('mock-main.ts', [name!, role!, modelDigest, MODEL_ID, String(vocabSize), JSON.stringify(own)]);
  });
  children.push(...mocks);
  return Promise.all(mocks.map(urlOf));
}

async function startRows(
  folder: string,
  mocks: readonly string[],
  children: Child[],
  absent: string[],
  options: BenchOptions,
): Promise<Row[]> {
  const members = mocks.slice(0, MEMBERS.length);
  const rows: Row[] = [{ name: 'direct', url: mocks[0]!, pid: null, headers: {}, fields: {}, log: () => '' }];
  const fanout = startSource('fanout-main.ts', members);
  children.push(fanout);
  rows.push({
    name: 'fan-out n=3',
    url: await urlOf(fanout),
    pid: fanout.pid,
    headers: {},
    fields: {},
    log: fanout.stderr,
  });
  const missing = installPortkey(options.portkeyFolder);
  if (missing === null) {
    const { child, url, headers } = await startPortkey(options.portkeyFolder, mocks[0]!);
    children.push(child);
    rows.push({ name: 'portkey', url, pid: child.pid, headers, fields: {}, log: child.stderr });
  } else absent.push(`portkey: ${missing}`);
  const gateway = await startGateway(folder, mocks, children, options.nodeArgs);
  const headers = { authorization: `Bearer ${API_KEY}` };
  const verified = (name: string, verification: object) => ({ name, ...gateway, headers, fields: { verification } });
  return [...rows, verified('single', { mode: 'single' }), verified('quorum n=3', { mode: 'quorum', n: 3 })];
}

/** The built program as it is deployed: database on disk, every transaction durable, log of every request. */
export async function startGateway(
  folder: string,
  mocks: readonly string[],
  children: Child[],
  nodeArgs: readonly string[],
  env: Record<string, string> = {},
) {
  const data = path.join(folder, 'gateway');
  const gateway = startNode([...nodeArgs, path.join(ROOT, 'dist/main.js'), 'gateway'], {
    env: {
      ...env,
      ASSAY_GATEWAY_PORT: '0',
      ASSAY_GATEWAY_DATA_FOLDER: data,
      ASSAY_GATEWAY_KEY_FILE: path.join(data, 'key'),
      ASSAY_GATEWAY_PROVIDERS: mocks.slice(0, MEMBERS.length).join(','),
      ASSAY_GATEWAY_REFEREE: mocks[MEMBERS.length]!,
      ASSAY_GATEWAY_MODEL_FOLDERS: MODEL,
      ASSAY_GATEWAY_API_KEY: API_KEY,
    },
  });
  children.push(gateway);
  const url = /^assay gateway (\S+)\/v1 /.exec(await lineOf(gateway))?.[1];
  if (url === undefined) throw new Error(`the gateway did not start: ${gateway.stderr()}`);
  return { url, pid: gateway.pid, log: gateway.stderr };
}

async function measure(
  row: Row,
  kind: Cell['kind'],
  concurrency: number,
  mocks: readonly string[],
  { seconds }: BenchOptions,
): Promise<Cell> {
  const load = { ...loadFor(row, kind), concurrency, seconds };
  await takeHolds(mocks);
  const generator = startSource('load-main.ts', [JSON.stringify(load)]);
  await lineOf(generator);
  const before = row.pid === null ? null : cpuNs(row.pid);
  const begunAt = performance.now();
  await lineOf(generator);
  const after = row.pid === null ? null : cpuNs(row.pid);
  const wallSeconds = (performance.now() - begunAt) / 1000;
  const { samples, total, failures } = JSON.parse(await lineOf(generator)) as LoadResult;
  await generator.stop();
  if (failures.length > 0) throw new Error(`${row.name} did not answer: ${failures[0]} ${row.log()}`);
  const { joined, ...figures } = figuresOf(samples, await takeHolds(mocks));
  if (joined < samples.length / 2)
    throw new Error(`${row.name}: ${joined} of ${samples.length} answers are known to a mock`);
  const streams = kind === 'stream';
  return {
    row: row.name,
    kind,
    concurrency,
    requests: samples.length,
    total,
    requestsPerSecond: samples.length / wallSeconds,
    ...figures,
    firstAfterSealP50Ms: streams ? figures.firstAfterSealP50Ms : null,
    firstAfterOpeningP50Ms: streams ? figures.firstAfterOpeningP50Ms : null,
    cpuUs: before === null || after === null ? null : (after - before) / 1000 / samples.length,
    rssMib: row.pid === null ? null : rssMib(row.pid),
    loadAverage: loadavg()[0]!,
  };
}

/** Requests of one kind to our gateway, for whoever measures something else. */
export function loadOf(url: string, kind: Cell['kind'], verification: object): Omit<Load, 'concurrency' | 'seconds'> {
  return loadFor({ url, headers: { authorization: `Bearer ${API_KEY}` }, fields: { verification } }, kind);
}

function loadFor({ url, headers, fields }: Pick<Row, 'url' | 'headers' | 'fields'>, kind: Cell['kind']) {
  return {
    url: `${url}/v1/chat/completions`,
    headers,
    fields: {
      model: MODEL_ID,
      messages: [{ role: 'user', content: 'What is the capital of Norway?' }],
      temperature: 0,
      max_tokens: kind === 'stream' ? STREAM_TOKENS : PLAIN_TOKENS,
      stream: kind === 'stream',
      ...fields,
    },
    warmupSeconds: WARMUP_SECONDS,
  };
}

/** What the mocks have noted since the last call. */
export async function takeHolds(mocks: readonly string[]): Promise<Hold[]> {
  const lists = await Promise.all(
    mocks.map(async (url) => (await (await fetch(`${url}/bench/holds`)).json()) as Hold[]),
  );
  return lists.flat();
}
