/** Everything that documents say word for word of a record: a test holds them to it, and `npm run bench:said` prints it. */
import type { Economy } from '../economy/economy.ts';
import { economySaid, type HonestEconomy } from '../economy/said.ts';
import { calibrationTable } from './calibration-table.ts';
import { aimSentence, forgedSentence } from './detect/aims.ts';
import { copiesPhrase, slipPhrases } from './detect/slips.ts';
import { type DetectRecord, page, readmeTable } from './detect/table.ts';
import type { HonestRecord } from './honest/main.ts';
import { honestDetail, honestSentence } from './honest/said.ts';
import { OPTIONS_SENTENCE } from './honest/table.ts';
import { newestRecord, shippedCalibration } from './newest.ts';
import type { NullsRecord } from './nulls/record.ts';
import { nullsSentence, nullsTable } from './nulls/said.ts';
import { costPhrases, type ScoreFigures } from './score/said.ts';

export interface Said {
  readonly file: string;
  readonly text: string;
}

const README = 'README.md';
const JUDGE = 'contracts/protocol/spec-judge.md';

export function allSaid(): Said[] {
  const { record: detect } = newestRecord<DetectRecord>('detect');
  const { record: score } = newestRecord<ScoreFigures>('score');
  const { columns } = newestRecord<HonestRecord>('honest').record;
  const { record: nulls } = newestRecord<NullsRecord>('nulls');
  return [
    { file: README, text: readmeTable(detect) },
    { file: README, text: forgedSentence(detect.rows) },
    { file: README, text: aimSentence({ rows: detect.rows, score, columns }) },
    ...slipPhrases(detect).map((text) => ({ file: README, text })),
    { file: README, text: honestSentence(columns) },
    ...costPhrases(score).map((text) => ({ file: README, text })),
    { file: README, text: nullsSentence(nulls) },
    { file: JUDGE, text: calibrationTable(shippedCalibration()) },
    { file: JUDGE, text: copiesPhrase(detect) },
    { file: JUDGE, text: honestDetail(columns) },
    { file: JUDGE, text: OPTIONS_SENTENCE },
    ...economySaid(newestRecord<Economy>('economy').record, newestRecord<HonestEconomy>('economy-honest').record),
    { file: JUDGE, text: nullsTable(nulls) },
  ];
}

/** The page beside the newest record of detection, all of it made of records. */
export function detectPage(): Said {
  const { name, record } = newestRecord<DetectRecord>('detect');
  const { columns } = newestRecord<HonestRecord>('honest').record;
  return { file: `test/bench/results/${name}.md`, text: page(record, columns) };
}
