/**
 * `npm run sim:economy`: strategies of providers against hidden audits; `-- --seed 1 --runs 100 --audits 1000000 --only honest --out folder` change it. Writes
 * `economy-<date>.json`, its plots and `economy-honest-<date>.json` into the folder; `--only strategies` or `--only honest` does a part, `--only table` makes
 * the gateway's table of cheats anew from the laboratory's recorded answers.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { provenance } from '../bench/gateway/provenance.ts';
import { ROOT } from '../contract/program.ts';
import { recordedAnswers } from './answers.ts';
import { measuredCheats, measuredModule } from './detection.ts';
import { economy } from './economy.ts';
import { gridSvg } from './grid-svg.ts';
import { auditHonest, BOUNDED, measured, STRETCHES, stretched } from './honest.ts';
import { leastHeadroom } from './honest-answers.ts';
import { plotsOf } from './plots.ts';

/** What the audit rate goes by. */
const TABLE_FILE = 'gateway/audit/measured-cheats.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '100' },
    trials: { type: 'string', default: '100' },
    audits: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    out: { type: 'string', default: path.join(ROOT, 'test/bench/results') },
  },
});

// Before anything runs: whoever goes on working meanwhile changes nothing of what is measured.
const origin = provenance();
const day = origin.date.slice(0, 10);
const seed = Number(values.seed);
const fileOf = (name: string) => path.join(values.out, `${name}-${day}`);
const write = (file: string, record: object) => writeFileSync(`${file}.json`, `${JSON.stringify(record, null, 2)}\n`);

// Each part is written when it is done, so that a run that is cut keeps what it has.
if (values.only === 'table') {
  writeFileSync(path.join(ROOT, TABLE_FILE), measuredModule(measuredCheats(recordedAnswers())));
}
if (values.only === undefined || values.only === 'strategies') {
  const sizes = { trials: Number(values.trials), runs: Number(values.runs) };
  const result = economy(sizes, seed, (what) => console.log(`${new Date().toISOString()} ${what}`));
  write(fileOf('economy'), { ...origin, seed, sizes, ...result });
  const note = `npm run sim:economy, ${day}, commit ${origin.commit}, seed ${seed}`;
  for (const [plot, svg] of [...plotsOf(result, note), ['grid', gridSvg(result.grid, note)] as const]) {
    writeFileSync(`${fileOf('economy')}-${plot}.svg`, svg);
  }
  const columns = ({ strategy, stake, payDelay, profit, half, answers }: (typeof result.contests)[number]) => ({
    strategy,
    stake,
    payDelay,
    profit,
    half,
    answers,
  });
  console.table(result.contests.map(columns));
  console.table(result.thresholds);
  console.table(result.within);
  console.table(result.grid);
}
if (values.only === undefined || values.only === 'honest') {
  const audits = Number(values.audits);
  const honest = [...auditHonest(audits, 1_000, measured()), ...auditHonest(audits, 1_000, BOUNDED)];
  const wider = STRETCHES.map((stretch) => stretched(audits / 10, stretch));
  write(fileOf('economy-honest'), { ...origin, honest, stretched: wider, headroom: leastHeadroom() });
  console.table(honest);
}
