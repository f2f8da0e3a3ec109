/** From samples and what the mocks noted to the figures of one cell. Pure. */
import type { Hold } from '../../fixtures/light-member.ts';
import type { Sample } from './load.ts';

/** Figures of one row at one concurrency; times in milliseconds, null where they cannot be had. */
export interface Cell {
  readonly row: string;
  readonly kind: 'plain' | 'stream';
  readonly concurrency: number;
  readonly requests: number;
  /** With those of the warm-up. */
  readonly total: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Median of what the slowest member held the request for. */
  readonly memberP50Ms: number;
  /** Whole latency less the slowest member's share, request by request. */
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  /** From the slowest member's first chunk (sealed; and opened) to the first text at the client. Streams only. */
  readonly firstAfterSealP50Ms: number | null;
  readonly firstAfterOpeningP50Ms: number | null;
  /** Processor time of the process under test for one request, in microseconds; null without one. */
  readonly cpuUs: number | null;
  readonly rssMib: number | null;
  /** Load average of the last minute when the cell ended: above 2 or 3, p99 is mostly the scheduler's. */
  readonly loadAverage: number;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** One answer with what its members noted; nanoseconds. */
export interface Joined {
  readonly total: number;
  /** Until the first text. */
  readonly first: number;
  /** What the slowest member held it for, over all rounds. */
  readonly slowest: number;
  /** From the last seal to the permission, over all rounds: the gateway's own work, and the cover of who sits alone. */
  readonly waits: number;
  /** From the slowest member's first chunk, sealed and opened, to the first text. */
  readonly seal: number;
  readonly opening: number;
}

/** Joins samples with the members' notes by key; samples that no member noted are left out. */
export function joinedOf(samples: readonly Sample[], holds: readonly Hold[]): Joined[] {
  const perKey = new Map<string, Hold[]>();
  for (const hold of holds) {
    const known = perKey.get(hold.key);
    if (known) known.push(hold);
    else perKey.set(hold.key, [hold]);
  }
  return samples.flatMap(([key, sent, first, done]) => {
    const members = perKey.get(key);
    if (!members) return [];
    const sealedAt = Math.max(...members.map(({ sealedAtNs }) => sealedAtNs));
    const openedAt = Math.max(...members.map(({ openedAtNs }) => openedAtNs));
    return [
      {
        total: done - sent,
        first: first - sent,
        slowest: overRounds(members, 'holdsNs', Math.max),
        waits: overRounds(members, 'waitsNs', Math.min),
        seal: first - sealedAt,
        opening: first - openedAt,
      },
    ];
  });
}

export function figuresOf(samples: readonly Sample[], holds: readonly Hold[]) {
  const joined = joinedOf(samples, holds);
  const ms = (pick: (entry: Joined) => number, q: number) => quantile(joined.map(pick), q) / 1e6;
  return {
    joined: joined.length,
    p50Ms: ms(({ total }) => total, 0.5),
    p99Ms: ms(({ total }) => total, 0.99),
    memberP50Ms: ms(({ slowest }) => slowest, 0.5),
    addedP50Ms: ms(({ total, slowest }) => total - slowest, 0.5),
    addedP99Ms: ms(({ total, slowest }) => total - slowest, 0.99),
    firstAfterSealP50Ms: ms(({ seal }) => seal, 0.5),
    firstAfterOpeningP50Ms: ms(({ opening }) => opening, 0.5),
  };
}

/** Rounds run one after another, and each waits for its slowest member, who waits the least. */
function overRounds(
  members: readonly Hold[],
  times: 'holdsNs' | 'waitsNs',
  ofRound: (...values: number[]) => number,
): number {
  const steps = Math.max(...members.map((hold) => hold[times].length));
  let sum = 0;
  for (let step = 0; step < steps; step++) sum += ofRound(...members.flatMap((hold) => hold[times][step] ?? []));
  return sum;
}

/** Title and text of each column of a table. */
export type Columns<T> = readonly (readonly [string, (cell: T) => string])[];

const COLUMNS: Columns<Cell> = [
  ['row', ({ row }) => row],
  ['kind', ({ kind }) => kind],
  ['c', ({ concurrency }) => String(concurrency)],
  ['req/s', ({ requestsPerSecond }) => requestsPerSecond.toFixed(0)],
  ['p50 ms', ({ p50Ms }) => p50Ms.toFixed(2)],
  ['p99 ms', ({ p99Ms }) => p99Ms.toFixed(2)],
  ['member ms', ({ memberP50Ms }) => memberP50Ms.toFixed(2)],
  ['added p50', ({ addedP50Ms }) => addedP50Ms.toFixed(2)],
  ['added p99', ({ addedP99Ms }) => addedP99Ms.toFixed(2)],
  ['first after seal', ({ firstAfterSealP50Ms }) => firstAfterSealP50Ms?.toFixed(2) ?? '-'],
  ['after opening', ({ firstAfterOpeningP50Ms }) => firstAfterOpeningP50Ms?.toFixed(2) ?? '-'],
  ['CPU us/req', ({ cpuUs }) => cpuUs?.toFixed(0) ?? '-'],
  ['RSS MiB', ({ rssMib }) => rssMib?.toFixed(0) ?? '-'],
  ['load', ({ loadAverage }) => loadAverage.toFixed(1)],
];

/** A Markdown table. */
export function tableOf(cells: readonly Cell[]): string {
  return markdownOf(COLUMNS, cells);
}

/** A Markdown table of any cells. */
export function markdownOf<T>(columns: Columns<T>, cells: readonly T[]): string {
  const rows = [columns.map(([name]) => name), ...cells.map((cell) => columns.map(([, text]) => text(cell)))];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0]!, rule, ...lines.slice(1)].join('\n');
}
