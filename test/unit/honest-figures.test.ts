/** What the documents say about honest machines is what was measured last. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { HonestRecord } from '../bench/honest/main.ts';
import { honestDetail, honestSentence } from '../bench/honest/said.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(`${ROOT}${file}`, 'utf8');
/** Lines are broken anywhere. */
const unbroken = (text: string) => text.replace(/\s+/g, ' ');

const name = readdirSync(`${ROOT}test/bench/results`)
  .filter((file) => /^honest-\d{4}-\d{2}-\d{2}\.json$/.test(file))
  .sort()
  .at(-1)!;
const { columns } = JSON.parse(read(`test/bench/results/${name}`)) as HonestRecord;

test.each([
  ['README.md', honestSentence(columns)],
  ['contracts/protocol/spec-judge.md', honestDetail(columns)],
])('%s names the newest record of honest machines, and its figures', (file, said) => {
  const text = unbroken(read(file));
  expect(text).toContain(said);
  expect(new Set(text.match(/(?<!economy-)honest-\d{4}-\d{2}-\d{2}\.json/g))).toEqual(new Set([name]));
});

test('every pair of four engine classes was judged once, and each column counts every answer', () => {
  const names = columns.map(({ generator, scorer }) => `${generator} by ${scorer}`);
  expect(new Set(names).size).toBe(names.length);
  const classes = [...new Set(columns.map(({ generator }) => generator))];
  expect(classes).toHaveLength(4);
  expect(new Set(names)).toEqual(new Set(classes.flatMap((one) => classes.map((other) => `${one} by ${other}`))));
  for (const { accepted, abstained, rejected, responses } of columns)
    expect(accepted + abstained + rejected).toBe(responses);
});

test('a quarantine, a slash or a refused answer in one column changes both texts', () => {
  for (const field of ['quarantines', 'slashes', 'abstained', 'rejected', 'tokens'] as const) {
    const changed = columns.map((column, at) => (at === 3 ? { ...column, [field]: column[field] + 1 } : column));
    expect(honestSentence(changed)).not.toBe(honestSentence(columns));
    expect(honestDetail(changed)).not.toBe(honestDetail(columns));
  }
});
