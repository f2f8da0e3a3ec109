/**
 * `npm run bench:detect`: cheats of the laboratory write, the honest reference scores, the judge counts. `-- --crude 128 --weak 512 --work folder
 * --calibration file --out prefix` change it; `--texts a,b` only writes and scores these, `--answers file` only records the
 * judged answers at temperature 1. Text and scores stay in the work folder, so that another
 * calibration costs judging alone.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Calibration, calibrationHash, parseCalibration } from '#protocol/calibration';
import { LAB_NAMES, type LabName, openLab } from '../../cheats/lab/lab.ts';
import { ROOT } from '../../contract/program.ts';
import { provenance } from '../gateway/provenance.ts';
import type { HonestRecord } from '../honest/main.ts';
import { newestRecord } from '../newest.ts';
import { type AnswersRecord, recordedCheats } from './answers.ts';
import { detect } from './detect.ts';
import { allTexts } from './rows.ts';
import { page } from './table.ts';

const { values } = parseArgs({
  options: {
    crude: { type: 'string', default: '128' },
    weak: { type: 'string', default: '512' },
    paths: { type: 'string', default: '200' },
    max: { type: 'string', default: '3000' },
    work: { type: 'string', default: path.join(os.tmpdir(), 'assay-detect') },
    calibration: { type: 'string' },
    texts: { type: 'string' },
    answers: { type: 'string' },
    out: { type: 'string' },
  },
});

const SHIPPED = path.join(ROOT, 'provider/models/minnow/dist/minnow-5m/calibration');

/** The one in force: the last by name. */
function calibrationFile(): string {
  const last = readdirSync(SHIPPED)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .at(-1);
  return values.calibration ?? path.join(SHIPPED, last!);
}

const origin = provenance();
const file = calibrationFile();
const calibration = parseCalibration(JSON.parse(readFileSync(file, 'utf8'))) as Calibration;
const sizes = {
  crude: Number(values.crude),
  weak: Number(values.weak),
  paths: Number(values.paths),
  responsesMax: Number(values.max),
};
const say = (line: string) => console.log(line);
const lab = await openLab();
try {
  const names = values.texts === undefined ? LAB_NAMES : (values.texts.split(',') as LabName[]);
  const texts = await allTexts(lab, sizes, { workFolder: values.work, say, names });
  if (values.answers !== undefined) {
    const command = `npm run bench:detect -- --crude ${sizes.crude} --weak ${sizes.weak} --answers ${values.answers}`;
    const about = { ...origin, command, calibration: calibrationHash(calibration) };
    const record: AnswersRecord = { ...about, cheats: recordedCheats(lab, texts, calibration) };
    writeFileSync(path.resolve(ROOT, values.answers), `${JSON.stringify(record, null, 2)}\n`);
  } else if (values.texts === undefined) {
    const found = await detect({ models: lab, texts, calibration, sizes, say });
    const command = `npm run bench:detect -- --crude ${sizes.crude} --weak ${sizes.weak} --paths ${sizes.paths} --max ${sizes.responsesMax}`;
    const record = { ...origin, command, calibration: calibrationHash(calibration), ...found };
    const text = page(record, newestRecord<HonestRecord>('honest').record.columns);
    if (values.out === undefined) say(text);
    else {
      writeFileSync(path.resolve(ROOT, `${values.out}.json`), `${JSON.stringify(record, null, 2)}\n`);
      writeFileSync(path.resolve(ROOT, `${values.out}.md`), text);
    }
  }
} finally {
  await lab.close();
}
