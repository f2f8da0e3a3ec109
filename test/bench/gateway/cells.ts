/** From samples and what the mocks noted to the figures of one cell. Pure. */
import type { Hold } from '../../fixtures/light-member.ts';
import type { Sample } from './load-main.ts';

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

/** Joins samples with the members' notes by key; samples that no member noted are left out. */
export function figuresOf(samples: readonly Sample[], holds: readonly Hold[]) {
  const perKey = new Map<string, Hold[]>();
  for (const hold of holds) {
    const known = perKey.get(hold.key);
    if (known) known.push(hold);
    else perKey.set(hold.key, [hold]);
  }
  const joined = samples.flatMap(([key, sent, first, done]) => {
    const members = perKey.get(key);
    if (!members) return [];
    const slowest = slowestNs(members);
    const sealedAt = Math.max(...members.map(({ sealedAtNs }) => sealedAtNs));
    const openedAt = Math.max(...members.map(({ openedAtNs }) => openedAtNs));
    return [
      { total: done - sent, slowest, added: done - sent - slowest, seal: first - sealedAt, opening: first - openedAt },
    ];
  });
  const ms = (pick: (entry: (typeof joined)[number]) => number, q: number) => quantile(joined.map(pick), q) / 1e6;
  return {
    joined: joined.length,
    p50Ms: ms(({ total }) => total, 0.5),
    p99Ms: ms(({ total }) => total, 0.99),
    memberP50Ms: ms(({ slowest }) => slowest, 0.5),
    addedP50Ms: ms(({ added }) => added, 0.5),
    addedP99Ms: ms(({ added }) => added, 0.99),
    firstAfterSealP50Ms: ms(({ seal }) => seal, 0.5),
    firstAfterOpeningP50Ms: ms(({ opening }) => opening, 0.5),
  };
}

/** Rounds run one after another and each waits for its slowest member. */
function slowestNs(members: readonly Hold[]): number {
  const steps = Math.max(...members.map(({ holdsNs }) => holdsNs.length));
  let sum = 0;
  for (let step = 0; step < steps; step++) sum += Math.max(...members.map(({ holdsNs }) => holdsNs[step] ?? 0));
  return sum;
}

const COLUMNS: readonly (readonly [string, (cell: Cell) => string])[] = [
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
  const rows = [COLUMNS.map(([name]) => name), ...cells.map((cell) => COLUMNS.map(([, text]) => text(cell)))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0]!, rule, ...lines.slice(1)].join('\n');
}
