/** Figures of the benchmark of lone answers (test/bench/audited), on answers whose times are known. */
import { expect, test } from 'vitest';
import { auditedCell, differenceOf, type RowBlocks } from '../bench/audited/figures.ts';
import { type Joined, joinedOf } from '../bench/gateway/cells.ts';
import { FastRng } from '../bench/nulls/fast-rng.ts';

const MS = 1e6;
const hold = (holds: number[], waits: number[]) => ({
  key: 'r',
  holdsNs: holds.map((ms) => ms * MS),
  waitsNs: waits.map((ms) => ms * MS),
  sealedAtNs: 8 * MS,
  openedAtNs: 15 * MS,
});

/** Answers of 30 ms and some noise, 5 of them in the gateway. */
function rowOf(row: string, addedMs: number, seed: number): RowBlocks {
  const rng = new FastRng(seed);
  const answer = (drift: number): Joined => {
    const [slowest, waits] = [8 + 8 * rng.unit(), 6 + 6 * rng.unit()].map((ms) => ms * MS) as [number, number];
    const total = slowest + waits + (5 + drift + addedMs + rng.unit()) * MS;
    return { total, first: total, slowest, waits, seal: 0, opening: 0 };
  };
  // The machine is slower in later blocks, for every row.
  const blocks = Array.from({ length: 6 }, (_, at) => Array.from({ length: 40 }, () => answer(3 * at)));
  const audits = { promised: 0, held: 0, regenerated: 0, other: 0 };
  return { row, kind: 'plain', concurrency: 1, pauseMs: 0, blocks, audits, cpuNs: 6e8, loadAverage: 1 };
}

test('each round counts its slowest member, and the wait of the one who sealed last', () => {
  const holds = [hold([8, 5], [7, 1]), hold([4, 6], [11, 0])];
  const [one] = joinedOf([['r', 0, 20 * MS, 30 * MS]], holds);
  expect(one).toMatchObject({ total: 30 * MS, slowest: 14 * MS, waits: 7 * MS, seal: 12 * MS, opening: 5 * MS });
  expect(joinedOf([['unknown', 0, 1, 2]], holds)).toEqual([]);
});

test('a cover is what the wait has beyond that without covers, and the rest is what neither member nor wait explains', () => {
  const lone = rowOf('single', 0, 1);
  const row = { ...lone, blocks: lone.blocks.slice(0, 1) };
  const bare = {
    ...row,
    blocks: row.blocks.map((block) => block.map((one) => ({ ...one, waits: one.waits - 4 * MS }))),
  };
  const cell = auditedCell(row, bare);
  expect(cell.coverP50Ms).toBeCloseTo(4, 6);
  expect(cell.restP50Ms).toBeCloseTo(5.5, 0);
  expect(cell.cpuUs).toBe(15_000);
  expect(auditedCell(row, undefined).coverP50Ms).toBeNull();
});

test('two rows that differ by noise have an interval around 0, and one that takes 2 ms more has not', () => {
  const [single, same, slower] = [rowOf('single', 0, 1), rowOf('audited', 0, 2), rowOf('audited', 2, 3)];
  for (const of of ['latency', 'rest'] as const) {
    const none = differenceOf(same, single, of);
    expect(none.lowMs).toBeLessThan(0);
    expect(none.highMs).toBeGreaterThan(0);
    const some = differenceOf(slower, single, of);
    expect(some.lowMs).toBeGreaterThan(0);
    expect(some.highMs).toBeGreaterThan(2);
    expect(some.lowMs).toBeLessThan(2);
  }
});
