/** What the documents say about detection is what was measured. */
import { expect, test } from 'vitest';
import type { DetectRecord } from '../bench/detect/table.ts';
import { newestRecord, shippedCalibration } from '../bench/newest.ts';
import { LAB, LAB_NAMES } from '../cheats/lab/lab.ts';

const { record } = newestRecord<DetectRecord>('detect');

test('every cheat of the laboratory stands in the record, at every temperature that it has', () => {
  const expected = LAB_NAMES.flatMap((cheat) =>
    LAB[cheat].temperatures.map((temperature) => `${cheat} ${temperature}`),
  );
  const rows = record.rows.map(({ cheat, temperature }) => `${cheat} ${temperature}`);
  expect(rows).toEqual(expect.arrayContaining(expected));
});

test('the bounds of the pair that the README judges by are those that are shipped', () => {
  const { pairs } = shippedCalibration();
  const [reference] = record.floors;
  const pair = pairs.find(({ generator, scorer }) => `${generator}, ${scorer}` === reference!.pair)!;
  const beyond = [pair.near, pair.apart].map(({ survival }) => survival.at(-1)!.upper);
  expect(beyond).toEqual([reference!.near, reference!.apart]);
  expect(pair.apart.units).toBe(reference!.responses);
});

test('no honest row was ever put into quarantine', () => {
  for (const { cheat, quarantine, slash, rejected } of record.rows) {
    if (cheat.startsWith('honest')) expect([quarantine.reached, slash.reached, rejected]).toEqual([0, 0, 0]);
  }
});
