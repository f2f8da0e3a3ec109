/** From blocks of answers to figures of a row, and to what one row has beyond another. Pure. */
import { type Columns, type Joined, quantile } from '../gateway/cells.ts';
import { FastRng } from '../nulls/fast-rng.ts';

export type Kind = 'plain' | 'stream';

/** Audits that answers have promised and that were done, by what they found. */
export interface AuditCounts {
  readonly promised: number;
  readonly held: number;
  /** Whole answers among them. */
  readonly regenerated: number;
  /** Not done, or not decided, or against the provider: none of it is expected of mocks that never lie. */
  readonly other: number;
}

/** How a row is asked. */
export interface Asked {
  readonly kind: Kind;
  readonly concurrency: number;
  /** From an answer to the next request of its connection: 0 is back to back, so that the audit of an answer runs beside the next. */
  readonly pauseMs: number;
}

/** Answers of one row, one block after the other, each beside a block of every other row. */
export interface RowBlocks extends Asked {
  readonly row: string;
  readonly blocks: readonly (readonly Joined[])[];
  readonly audits: AuditCounts;
  /** Of the gateway, for all answers with their audits as far as these ran beside them. */
  readonly cpuNs: number | null;
  /** Of the last minute, at the end of the row's last block. */
  readonly loadAverage: number;
}

/** Times in milliseconds; of the first text for streams only. */
export interface AuditedCell extends Asked {
  readonly row: string;
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly firstP50Ms: number | null;
  readonly firstP99Ms: number | null;
  /** What the slowest member took. */
  readonly memberP50Ms: number;
  /** From its seals to the permissions: the cover of who sits alone, and the gateway's own work meanwhile. */
  readonly waitP50Ms: number;
  /** The same less that of the row without covers; null for rows with several seats. */
  readonly coverP50Ms: number | null;
  /** Latency beyond the slowest member; beyond the wait as well. */
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  readonly restP50Ms: number;
  readonly restP99Ms: number;
  readonly cpuUs: number | null;
  readonly audits: AuditCounts;
  readonly loadAverage: number;
}

/** How much longer the median answer of one row is than that of another: the median over rounds, in which both ran one after the other. */
export interface Difference extends Asked {
  readonly row: string;
  readonly beside: string;
  /** Whole latency, time to the first text, latency beyond member and wait. */
  readonly of: 'latency' | 'first text' | 'rest';
  readonly medianMs: number;
  /** 95%, by a bootstrap of blocks and of the answers in them. */
  readonly lowMs: number;
  readonly highMs: number;
}

const restOf = ({ total, slowest, waits }: Joined) => total - slowest - waits;
const MEASURES = {
  latency: ({ total }: Joined) => total,
  'first text': ({ first }: Joined) => first,
  rest: restOf,
} as const;

/** @param bare the row without covers, asked in the same way; undefined for rows with several seats */
export function auditedCell(blocks: RowBlocks, bare: RowBlocks | undefined): AuditedCell {
  const { row, kind, concurrency, pauseMs, audits, cpuNs, loadAverage } = blocks;
  const all = blocks.blocks.flat();
  const ms = (pick: (one: Joined) => number, q: number) => quantile(all.map(pick), q) / 1e6;
  const waitP50Ms = ms(({ waits }) => waits, 0.5);
  const bareWaits = bare?.blocks.flat().map(({ waits }) => waits);
  return {
    row,
    kind,
    concurrency,
    pauseMs,
    requests: all.length,
    p50Ms: ms(MEASURES.latency, 0.5),
    p99Ms: ms(MEASURES.latency, 0.99),
    firstP50Ms: kind === 'stream' ? ms(MEASURES['first text'], 0.5) : null,
    firstP99Ms: kind === 'stream' ? ms(MEASURES['first text'], 0.99) : null,
    memberP50Ms: ms(({ slowest }) => slowest, 0.5),
    waitP50Ms,
    coverP50Ms: bareWaits === undefined ? null : waitP50Ms - quantile(bareWaits, 0.5) / 1e6,
    addedP50Ms: ms(({ total, slowest }) => total - slowest, 0.5),
    addedP99Ms: ms(({ total, slowest }) => total - slowest, 0.99),
    restP50Ms: ms(restOf, 0.5),
    restP99Ms: ms(restOf, 0.99),
    cpuUs: cpuNs === null ? null : cpuNs / 1000 / all.length,
    audits,
    loadAverage,
  };
}

const RESAMPLES = 1000;

/**
 * Blocks of the same round ran one after the other under the same load, so rounds are drawn with replacement for both rows together, then the
 * answers of each drawn block.
 */
export function differenceOf(row: RowBlocks, beside: RowBlocks, of: Difference['of'], seed = 1): Difference {
  const valuesOf = ({ blocks }: RowBlocks) => blocks.map((block) => block.map((one) => MEASURES[of](one) / 1e6));
  const [ours, theirs] = [valuesOf(row), valuesOf(beside)];
  const rng = new FastRng(seed);
  const redrawn = (block: readonly number[]) => block.map(() => block[rng.below(block.length)]!);
  const between = (one: readonly number[], other: readonly number[]) => quantile(one, 0.5) - quantile(other, 0.5);
  const differences = Array.from({ length: RESAMPLES }, () => {
    const rounds = ours.map(() => rng.below(ours.length));
    return quantile(
      rounds.map((at) => between(redrawn(ours[at]!), redrawn(theirs[at]!))),
      0.5,
    );
  });
  return {
    row: row.row,
    beside: beside.row,
    kind: row.kind,
    concurrency: row.concurrency,
    pauseMs: row.pauseMs,
    of,
    medianMs: quantile(
      ours.map((block, at) => between(block, theirs[at]!)),
      0.5,
    ),
    lowMs: quantile(differences, 0.025),
    highMs: quantile(differences, 0.975),
  };
}

const fixed = (value: number | null) => value?.toFixed(2) ?? '-';

export const CELL_COLUMNS: Columns<AuditedCell> = [
  ['row', ({ row }) => row],
  ['kind', ({ kind }) => kind],
  ['c', ({ concurrency }) => String(concurrency)],
  ['pause', ({ pauseMs }) => String(pauseMs)],
  ['answers', ({ requests }) => String(requests)],
  ['p50 ms', ({ p50Ms }) => fixed(p50Ms)],
  ['p99 ms', ({ p99Ms }) => fixed(p99Ms)],
  ['first p50', ({ firstP50Ms }) => fixed(firstP50Ms)],
  ['first p99', ({ firstP99Ms }) => fixed(firstP99Ms)],
  ['member ms', ({ memberP50Ms }) => fixed(memberP50Ms)],
  ['wait ms', ({ waitP50Ms }) => fixed(waitP50Ms)],
  ['cover ms', ({ coverP50Ms }) => fixed(coverP50Ms)],
  ['added p50', ({ addedP50Ms }) => fixed(addedP50Ms)],
  ['beyond wait p50', ({ restP50Ms }) => fixed(restP50Ms)],
  ['p99', ({ restP99Ms }) => fixed(restP99Ms)],
  ['CPU us', ({ cpuUs }) => cpuUs?.toFixed(0) ?? '-'],
  ['audits held', ({ audits }) => `${audits.held} of ${audits.promised}`],
  ['load', ({ loadAverage }) => loadAverage.toFixed(1)],
];

export const DIFFERENCE_COLUMNS: Columns<Difference> = [
  ['row', ({ row }) => row],
  ['less', ({ beside }) => beside],
  ['kind', ({ kind }) => kind],
  ['c', ({ concurrency }) => String(concurrency)],
  ['pause', ({ pauseMs }) => String(pauseMs)],
  ['of', ({ of }) => of],
  ['median ms', ({ medianMs }) => fixed(medianMs)],
  ['95%', ({ lowMs, highMs }) => `${fixed(lowMs)} to ${fixed(highMs)}`],
];
