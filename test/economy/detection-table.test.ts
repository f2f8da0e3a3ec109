/** The gateway's table of cheats is what the laboratory has measured. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DEFAULT_DETECTION, SAVED_PPM } from '../../gateway/audit/detection.ts';
import { MEASURED_CHEATS } from '../../gateway/audit/measured-cheats.ts';
import { parseAnswer } from '../bench/detect/answers.ts';
import type { DetectRecord } from '../bench/detect/table.ts';
import { LAB } from '../cheats/lab/lab.ts';
import { ROOT } from '../contract/program.ts';
import { ANSWERS_FILE, recordedAnswers } from './answers.ts';
import { measuredCheats, TABLE_TRIALS } from './detection.ts';

const recorded = recordedAnswers();
const RESULTS = path.join(ROOT, 'test/bench/results');
const newest = readdirSync(RESULTS)
  .filter((name) => /^detect-\d{4}-\d{2}-\d{2}\.json$/.test(name))
  .sort()
  .at(-1)!;
const detect = JSON.parse(readFileSync(path.join(RESULTS, newest), 'utf8')) as DetectRecord;
const rowOf = (cheat: string) => detect.rows.find((row) => row.cheat === cheat && row.temperature === 1)!;

test('every row of the table comes out of the recorded answers by the judge, its accounts and penalties', () => {
  expect(DEFAULT_DETECTION.cheats).toBe(MEASURED_CHEATS);
  expect(DEFAULT_DETECTION.source).toContain(ANSWERS_FILE);
  expect(measuredCheats(recorded)).toEqual(MEASURED_CHEATS);
});

test('the recorded answers are the first of those of the record of detection, in number, length and convictions by themselves', () => {
  for (const { cheat, answers } of recorded.record.cheats) {
    const row = rowOf(cheat);
    const all = answers.map(parseAnswer);
    const convicting = all.filter(({ convicts }) => convicts).length;
    const rest = {
      answers: row.responses - all.length,
      tokens: row.tokens - all.reduce((sum, { tokens }) => sum + tokens, 0),
      convicting: Math.round(row.convicted * row.responses) - convicting,
    };
    // Each of the others has a token at least, and convicts once at most; where there are no others, nothing is left.
    expect([cheat, rest.answers >= 0, rest.tokens >= rest.answers]).toEqual([cheat, true, true]);
    expect([cheat, rest.convicting >= 0, rest.convicting <= rest.answers]).toEqual([cheat, true, true]);
    if (rest.answers === 0) expect([cheat, rest.tokens]).toEqual([cheat, 0]);
  }
});

test('where accounts alone find a cheat, half of the runs of the table take as long as those of the record', () => {
  // One draw of the bench has a quarter of own prompts and two operators, here it is a fifth and three, of which some are accomplices.
  for (const { cheat, fractionPpm, audits50 } of MEASURED_CHEATS) {
    const { convicted, quarantine } = rowOf(cheat);
    if (fractionPpm < 1_000_000 || convicted > 0.05) continue;
    expect(audits50).toBeGreaterThan(quarantine.median!.responses * 0.7);
    expect(audits50).toBeLessThan(quarantine.median!.responses * 1.5);
  }
});

test('a cheat on a share of its requests is never found later than by its gross answers alone', () => {
  for (const { cheat, fractionPpm, auditsMilli } of MEASURED_CHEATS) {
    const gross = rowOf(cheat).convicted;
    // Three standard errors of a mean of so many runs, that of a geometric law.
    expect(auditsMilli / 1000).toBeLessThan(
      (1 / (gross * (fractionPpm / 1e6))) * (1 + 3 / Math.sqrt(TABLE_TRIALS.trials)) + 1e-3,
    );
  }
});

test('savings are named for cheats of the laboratory alone', () => {
  for (const cheat of Object.keys(SAVED_PPM)) expect(Object.keys(LAB)).toContain(cheat);
});
