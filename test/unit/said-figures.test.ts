/** What the documents say of measurements is what was measured last. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { calibrationTable } from '../bench/calibration-table.ts';
import { type AimedRecords, aimSentence } from '../bench/detect/aims.ts';
import type { DetectRecord } from '../bench/detect/table.ts';
import type { HonestRecord } from '../bench/honest/main.ts';
import { poissonUpper } from '../bench/honest/table.ts';
import { newestRecord, shippedCalibration } from '../bench/newest.ts';
import { allHold, isWithin, type NullsRecord } from '../bench/nulls/record.ts';
import { nullsSentence, nullsTable } from '../bench/nulls/said.ts';
import { allSaid, detectPage } from '../bench/said.ts';
import { costPhrases, type ScoreFigures } from '../bench/score/said.ts';
import { ROOT } from '../contract/program.ts';

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
/** Lines are broken anywhere. */
const unbroken = (text: string) => text.replace(/\s+/g, ' ');

const nulls = newestRecord<NullsRecord>('nulls');
const records: AimedRecords = {
  rows: newestRecord<DetectRecord>('detect').record.rows,
  score: newestRecord<ScoreFigures>('score').record,
  columns: newestRecord<HonestRecord>('honest').record.columns,
};

test.each(allSaid())(
  '$file says of the newest records what they hold (npm run bench:said prints what it lacks)',
  (said) => {
    expect(unbroken(read(said.file))).toContain(unbroken(said.text));
  },
);

test('the page beside the record of detection is made of it and of the newest record of honest machines', () => {
  const { file, text } = detectPage();
  expect(read(file)).toBe(text);
});

test.each(['detect', 'score', 'nulls', 'honest', 'economy', 'economy-honest'])(
  'documents name no record of %s but the newest',
  (kind) => {
    const { name } = newestRecord(kind);
    const named = [
      'README.md',
      'SECURITY.md',
      'contracts/protocol/spec-judge.md',
      'contracts/protocol/THREAT-MODEL.md',
    ].flatMap((file) => [...(read(file).match(new RegExp(`(?<![a-z]-)\\b${kind}-\\d{4}-\\d{2}-\\d{2}`, 'g')) ?? [])]);
    expect(new Set(named)).toEqual(new Set([name]));
  },
);

const short = (changed: Partial<AimedRecords>) =>
  /Short of its aim: (.*)\.$/.exec(aimSentence({ ...records, ...changed }))![1]!;
const met: AimedRecords = {
  rows: [],
  score: {
    engine: { scoreOverGenerate: { alone: 0.05, fourAtOnce: 0.15, runOfFourAtOnce: 0.1 } },
    bytesPerToken: { shortEvidenceInReveal: 8, evidenceInScoreReply: 200 },
    gateway: { witnessOverSingle: { mean: 0.15 } },
  },
  columns: [],
};

test('where every aim is met nothing is short', () => {
  expect(short(met)).toBe('nothing');
});

test('a row beyond its aim, a forgery that does not convict, a dear score, heavy evidence and a pair with few tokens are each named', () => {
  const rowOf = (cheat: string) => records.rows.find((row) => row.cheat === cheat && row.temperature === 1)!;
  const int4 = rowOf('int4');
  const late = { ...int4, bare: { ...int4.bare, median: { tokens: 121, responses: 6 } } };
  expect(short({ ...met, rows: [late] })).toBe(`${int4.title} (121 tokens)`);
  const never = { ...int4, bare: { ...int4.bare, median: null } };
  expect(short({ ...met, rows: [never] })).toBe(`${int4.title} (not found)`);
  const forged = { ...rowOf('forged'), responses: 100, rejected: 0.9, convicted: 0.89 };
  expect(short({ ...met, rows: [forged] })).toContain('(1 of 90 rejected answers do not convict)');
  const dear = {
    ...met.score,
    engine: { scoreOverGenerate: { ...met.score.engine.scoreOverGenerate, fourAtOnce: 0.151 } },
  };
  expect(short({ ...met, score: dear })).toBe('a score in a batch of four (15.1% of a generation)');
  const witness = { ...met.score, gateway: { witnessOverSingle: { mean: 0.2 } } };
  expect(short({ ...met, score: witness })).toBe('a witness through the gateway (20% of a generation)');
  const heavy = { ...met.score, bytesPerToken: { ...met.score.bytesPerToken, shortEvidenceInReveal: 8.1 } };
  expect(short({ ...met, score: heavy })).toBe('evidence (8.1 bytes a token)');
  const column = { ...records.columns[0]!, generator: 'ort-1/a', scorer: 'ort-1/b', tokens: 999_999 };
  expect(short({ ...met, columns: [column] })).toBe('1 honest pairs of 1 (999,999 tokens or more)');
  const accused = { ...column, tokens: 1_000_000, quarantines: 1 };
  expect(short({ ...met, columns: [accused] })).toBe('ort-1/a by ort-1/b (accused although honest)');
});

test('what a score costs is told in whole percents of the record, half of one up', () => {
  const [engine, run, witness] = costPhrases(met.score);
  expect(engine).toMatch(/ takes 5% .* and 15% of /);
  expect(run).toMatch(/is 10%\.$/);
  expect(witness).toContain('15%');
});

test('no event in n tokens leaves a rate of three over n, and every event more leaves a higher one', () => {
  expect(poissonUpper(0)).toBeCloseTo(2.996, 3);
  // Garwood 1936: 4.74 and 6.30.
  expect(poissonUpper(1)).toBeCloseTo(4.744, 3);
  expect(poissonUpper(2)).toBeCloseTo(6.296, 3);
});

test('the record of nulls holds by the upper end of every interval, and a level that only its lower end meets does not', () => {
  const { record } = nulls;
  expect(record.holds).toBe(true);
  expect(allHold(record)).toBe(true);
  for (const { levels, slash } of record.results) {
    for (const { interval, alpha, holds } of [...levels, slash]) {
      expect(interval[1]).toBeLessThanOrEqual(alpha);
      expect(holds).toBe(true);
    }
    expect(slash.hits).toBeGreaterThan(20);
  }
  expect(isWithin([0.0005, 0.0011], 0.001)).toBe(false);
  const [row, ...rest] = record.results;
  const failed = { ...row!, slash: { ...row!.slash, holds: false } };
  expect(allHold({ ...record, results: [failed, ...rest] })).toBe(false);
});

test('another figure of a null or of a calibration is another text', () => {
  const { record } = nulls;
  const results = record.results.map((row) => ({ ...row, slash: { ...row.slash, interval: [0, 9e-7] as const } }));
  expect(nullsSentence({ ...record, results })).not.toBe(nullsSentence(record));
  expect(nullsTable({ ...record, results })).not.toBe(nullsTable(record));
  const calibration = shippedCalibration();
  const pairs = calibration.pairs.map((pair) => ({ ...pair, tie: 0.2 }));
  expect(calibrationTable({ pairs })).not.toBe(calibrationTable(calibration));
});
