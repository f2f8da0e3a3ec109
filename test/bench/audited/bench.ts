/** Lone answers over HTTP, without covers, with them, audited beside, and a quorum: blocks by turns on the same mock members. */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { loadOf, startGateway, startMocks, takeHolds } from '../gateway/bench.ts';
import { type Joined, joinedOf } from '../gateway/cells.ts';
import { type Child, cpuNs } from '../gateway/child.ts';
import { type LoadResult, runLoad } from '../gateway/load.ts';
import { FastRng } from '../nulls/fast-rng.ts';
import type { Asked, AuditCounts, Kind, RowBlocks } from './figures.ts';

/** Short beside real machines, so that a run is; long beside the gateway's own 3 ms, so that covers have slack to draw from. */
export const PACE = { meanMs: 8, seed: 'bench audited', numericClass: 'ort-1.30.0/cpu/fp32/kv-fp32/model.onnx' };
export const BARE = 'single, no covers';
export const COVERED = 'single';
export const ALL_AUDITED = 'audited, all';
export const AUDITED = 'audited';
/** On a gateway whose audits wait for no moment without clients, as if none ever came; and what it is to be compared with. */
export const AT_ONCE = 'audited, all, at once';
export const BESIDE_AT_ONCE = 'single, the same gateway';
export const QUORUM = 'quorum n=3';
const QUORUM_OF_THREE = { mode: 'quorum', n: 3 };
/** Committees before the first block: 11 of three are enough to lend covers, more are not all alike. */
const COMMITTEES = 60;
/** Answers of every row before its first block: the gateway compiles what it runs often. */
const WARM_SECONDS = 1;
/** From one block to the next, for connections and what is left of the block before. */
const SETTLE_SECONDS = 0.1;
const AUDITS_WAIT_MS = 5_000;
/** Of the order of rows. */
const ORDER_SEED = 1;
/** Long enough for an audit to end on a machine that has time: two messages, 8 to 10 ms of its auditor, some of the gateway. */
const PAUSE_MS = 40;

export interface AuditedOptions {
  /** Measured seconds of a block. */
  readonly seconds: number;
  /** Blocks of each row at a low rate: one connection that rests between answers. */
  readonly rounds: number;
  /** Connections under load, and blocks of each row back to back, at one connection and under load. */
  readonly loaded: { readonly concurrency: number; readonly rounds: number };
  readonly progress: (line: string) => void;
}

export interface AuditedResult {
  readonly rows: readonly RowBlocks[];
  /** Header `assay-security` of each row, as it was before the first block. */
  readonly security: Readonly<Record<string, string>>;
}

interface Row {
  readonly name: string;
  readonly gateway: Gateway;
  readonly verification: object;
}

interface Gateway {
  readonly url: string;
  readonly pid: number;
  readonly audits: () => AuditCounts & { readonly open: number };
}

interface Series {
  readonly blocks: Joined[][];
  audits: AuditCounts;
  cpuNs: number | null;
  loadAverage: number;
}

export async function runAuditedBench(options: AuditedOptions): Promise<AuditedResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'assay-bench-audited-'));
  const children: Child[] = [];
  const databases: Database.Database[] = [];
  try {
    const mocks = await startMocks(children, PACE);
    const gatewayWith = async (name: string, env: Record<string, string>): Promise<Gateway> => {
      const home = path.join(folder, name);
      const { url, pid } = await startGateway(home, mocks, children, [], env);
      const database = new Database(path.join(home, 'gateway/assay.sqlite'), { readonly: true });
      databases.push(database);
      return { url, pid, audits: () => auditsIn(database) };
    };
    // Audits are due at once: what waits, waits for a moment without clients.
    const due = { ASSAY_GATEWAY_AUDIT_DELAY_MS: '0' };
    const covered = await gatewayWith('covered', due);
    const hasty = await gatewayWith('hasty', { ...due, ASSAY_GATEWAY_AUDIT_PATIENCE_MS: '0' });
    const bare = await gatewayWith('bare', { ASSAY_GATEWAY_COVER_MAX_MS: '0' });
    const rows: Row[] = [
      { name: BARE, gateway: bare, verification: { mode: 'single' } },
      { name: COVERED, gateway: covered, verification: { mode: 'single' } },
      { name: ALL_AUDITED, gateway: covered, verification: { mode: 'audited', audit_rate: 1 } },
      { name: AUDITED, gateway: covered, verification: { mode: 'audited' } },
      { name: QUORUM, gateway: covered, verification: QUORUM_OF_THREE },
    ];
    const loadedRows: Row[] = [
      ...rows.filter(({ name }) => name !== QUORUM),
      { name: BESIDE_AT_ONCE, gateway: hasty, verification: { mode: 'single' } },
      { name: AT_ONCE, gateway: hasty, verification: { mode: 'audited', audit_rate: 1 } },
    ];
    const all = new Set([...rows, ...loadedRows]);
    const security = await prepare([...all], [covered, bare, hasty], options);
    const kinds: readonly Kind[] = ['plain', 'stream'];
    const measured: RowBlocks[] = [];
    for (const kind of kinds) {
      const asked = { kind, concurrency: 1, pauseMs: PAUSE_MS };
      measured.push(...(await series(rows, asked, options.rounds, mocks, options)));
    }
    // What audits cost shows where they run beside the next answer, and more where the gateway has no time to spare.
    for (const concurrency of [1, options.loaded.concurrency]) {
      const asked = { kind: 'plain', concurrency, pauseMs: 0 } as const;
      measured.push(...(await series(loadedRows, asked, options.loaded.rounds, mocks, options)));
    }
    return { rows: measured, security };
  } finally {
    for (const database of databases) database.close();
    for (const child of children.reverse()) await child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Has committees, and every row answer until its code is compiled. @throws {Error} where the rows are not what they are called */
async function prepare(
  rows: readonly Row[],
  gateways: readonly Gateway[],
  { progress }: AuditedOptions,
): Promise<Record<string, string>> {
  for (const kind of ['plain', 'stream'] as const) {
    for (const gateway of gateways) {
      const quorum = { name: QUORUM, gateway, verification: QUORUM_OF_THREE };
      let had = 0;
      while (had < COMMITTEES) had += (await block(quorum, { kind, concurrency: 4, pauseMs: 0 }, 1)).count;
    }
    for (const row of rows) await block(row, { kind, concurrency: 2, pauseMs: 0 }, WARM_SECONDS);
  }
  const security: Record<string, string> = {};
  for (const row of rows) {
    const { url, headers, fields } = loadOf(row.gateway.url, 'plain', row.verification);
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(fields),
    });
    await response.text();
    const said = response.headers.get('assay-security') ?? '';
    if (said.includes('unprotected') !== (row.name === BARE))
      throw new Error(`${row.name} is covered wrongly: ${said}`);
    security[row.name] = said;
    progress(`${row.name}: ${said}`);
    await auditsEnd(row.gateway);
  }
  return security;
}

/** Rounds of one block of every row in a drawn order: what a block leaves behind on its gateway meets every row alike. */
async function series(
  rows: readonly Row[],
  asked: Asked,
  rounds: number,
  mocks: readonly string[],
  { seconds, progress }: AuditedOptions,
): Promise<RowBlocks[]> {
  const rng = new FastRng(ORDER_SEED);
  const none = { promised: 0, held: 0, regenerated: 0, other: 0 };
  const had = new Map<Row, Series>(rows.map((row) => [row, { blocks: [], audits: none, cpuNs: 0, loadAverage: 0 }]));
  for (let round = 0; round < rounds; round++) {
    const drawn = rows.map((row) => ({ row, at: rng.unit() })).sort((a, b) => a.at - b.at);
    for (const { row } of drawn) {
      const one = had.get(row)!;
      const before = row.gateway.audits();
      await takeHolds(mocks);
      const { samples, usedNs } = await block(row, asked, seconds);
      await auditsEnd(row.gateway);
      const joined = joinedOf(samples, await takeHolds(mocks));
      if (joined.length < samples.length / 2) throw new Error(`${row.name}: most answers are known to no mock`);
      one.blocks.push(joined);
      one.audits = counted(one.audits, before, row.gateway.audits());
      one.cpuNs = one.cpuNs === null || usedNs === null ? null : one.cpuNs + usedNs;
      one.loadAverage = loadavg()[0]!;
    }
    const { kind, concurrency, pauseMs } = asked;
    progress(
      `${kind} c=${concurrency} pause=${pauseMs}: round ${round + 1} of ${rounds}, load ${loadavg()[0]!.toFixed(1)}`,
    );
  }
  return rows.map((row) => ({ row: row.name, ...asked, ...had.get(row)! }));
}

/** Asks for a while. @throws {Error} where an answer is none */
async function block(
  { name, gateway, verification }: Row,
  { kind, concurrency, pauseMs }: Asked,
  seconds: number,
): Promise<LoadResult & { readonly usedNs: number | null }> {
  const load = {
    ...loadOf(gateway.url, kind, verification),
    concurrency,
    pauseMs,
    seconds,
    warmupSeconds: SETTLE_SECONDS,
  };
  const used: { before: number | null; after: number | null } = { before: null, after: null };
  const result = await runLoad(load, {
    begun: () => {
      used.before = cpuNs(gateway.pid);
    },
    ended: () => {
      used.after = cpuNs(gateway.pid);
    },
  });
  if (result.failures.length > 0) throw new Error(`${name} did not answer: ${result.failures[0]}`);
  const { before, after } = used;
  return { ...result, usedNs: before === null || after === null ? null : after - before };
}

/** So that audits of one row run beside no other row; those that wait for somebody are left. */
async function auditsEnd({ audits }: Gateway): Promise<void> {
  const endMs = performance.now() + AUDITS_WAIT_MS;
  while (audits().open > 0 && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 20));
}

function auditsIn(database: Database.Database): AuditCounts & { open: number } {
  const rows = database.prepare('select outcome, kind, count(*) as count from audits group by outcome, kind').all() as {
    outcome: string | null;
    kind: string;
    count: number;
  }[];
  const sum = (of: (row: (typeof rows)[number]) => boolean) =>
    rows.filter(of).reduce((total, { count }) => total + count, 0);
  const held = sum(({ outcome }) => outcome === 'held');
  return {
    promised: sum(() => true),
    held,
    regenerated: sum(({ outcome, kind }) => outcome === 'held' && kind !== 'score'),
    other: sum(({ outcome }) => outcome !== 'held' && outcome !== null),
    open: sum(({ outcome }) => outcome === null),
  };
}

function counted(sum: AuditCounts, before: AuditCounts, after: AuditCounts): AuditCounts {
  return {
    promised: sum.promised + after.promised - before.promised,
    held: sum.held + after.held - before.held,
    regenerated: sum.regenerated + after.regenerated - before.regenerated,
    other: sum.other + after.other - before.other,
  };
}
