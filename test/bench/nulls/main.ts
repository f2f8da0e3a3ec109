/**
 * `npm run bench:nulls`: how often honest providers are accused. Levels 1e-2 and 1e-3 by counting, 1e-6 by importance sampling; `-- --nulls 100000
 * --samples 200000 --out file` change it.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../contract/program.ts';
import { provenance } from '../gateway/provenance.ts';
import { MarginMaker } from './margins.ts';
import { OpenedMaker } from './opened.ts';
import { allHold, copyRows, type NullRow, nullRow } from './record.ts';
import { COPY_ROUNDS, OPENED_SCENARIOS, poolOf, SCENARIOS } from './scenarios.ts';

const { values } = parseArgs({
  options: {
    nulls: { type: 'string', default: '100000' },
    samples: { type: 'string', default: '100000' },
    out: { type: 'string' },
  },
});

// Before anything runs: whoever goes on working meanwhile changes nothing of what is measured.
const origin = provenance();
const sizes = { nulls: Number(values.nulls), samples: Number(values.samples) };
const say = (row: NullRow) => {
  process.stdout.write(`${JSON.stringify(row)}\n`);
  return row;
};
const results = [
  ...SCENARIOS.map((scenario) => {
    const pool = poolOf(scenario.law);
    return say(nullRow(scenario, () => new MarginMaker(scenario, pool), sizes));
  }),
  ...OPENED_SCENARIOS.map((scenario) => say(nullRow(scenario, () => new OpenedMaker(scenario), sizes))),
];
const found = { results, copies: copyRows(COPY_ROUNDS) };
const record = { ...origin, ...sizes, holds: allHold(found), ...found };
if (values.out !== undefined) writeFileSync(path.resolve(ROOT, values.out), `${JSON.stringify(record, null, 2)}\n`);
process.exitCode = record.holds ? 0 : 1;
