/** What the documents say about detection is what was measured. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseCalibration } from '#protocol/calibration';
import { aimOf, type DetectRecord, page, readmeTable } from '../bench/detect/table.ts';
import { LAB, LAB_NAMES } from '../cheats/lab/lab.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(`${ROOT}${file}`, 'utf8');

const RESULTS = readdirSync(`${ROOT}test/bench/results`)
  .filter((name) => /^detect-\d{4}-\d{2}-\d{2}\.json$/.test(name))
  .sort();
const name = RESULTS.at(-1)!.replace('.json', '');
const record = JSON.parse(read(`test/bench/results/${name}.json`)) as DetectRecord;

test("the README's table and the page beside the record are made of the record", () => {
  expect(read('README.md')).toContain(readmeTable(record));
  expect(read(`test/bench/results/${name}.md`)).toBe(page(record));
});

test('every cheat of the laboratory stands in the record, at every temperature that it has', () => {
  const expected = LAB_NAMES.flatMap((cheat) =>
    LAB[cheat].temperatures.map((temperature) => `${cheat} ${temperature}`),
  );
  const rows = record.rows.map(({ cheat, temperature }) => `${cheat} ${temperature}`);
  expect(rows).toEqual(expect.arrayContaining(expected));
});

test('the bounds of the pair that the README judges by are those that are shipped', () => {
  const folder = 'provider/models/minnow/dist/minnow-5m/calibration/';
  const file = readdirSync(`${ROOT}${folder}`).sort().at(-1)!;
  const { pairs } = parseCalibration(JSON.parse(read(`${folder}${file}`)))!;
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
  for (const { quarantines, slashes } of record.honest) expect([quarantines, slashes]).toEqual([0, 0]);
});

test('what the record says is short of its aim is what the README says is short', () => {
  const short = record.rows.filter((row) => {
    const aim = aimOf(row);
    return aim !== null && (row.bare.median === null || row.bare.median.tokens > aim);
  });
  const said = /Short of its aim: ([^.\n]*)\./.exec(read('README.md'))![1]!;
  expect(said).toBe(short.length === 0 ? 'nothing' : short.map(({ title }) => title).join(', '));
});
