/**
 * `npm run sim:economy`: strategies of providers against hidden audits; `-- --seed 1 --runs 400 --audits 1000000 --out folder` change it. Writes
 * `economy-<date>.json` and its plots into the folder.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { provenance } from '../bench/gateway/provenance.ts';
import { ROOT } from '../contract/program.ts';
import { economy } from './economy.ts';
import { plotsOf } from './plots.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '400' },
    trials: { type: 'string', default: '400' },
    'per-length': { type: 'string', default: '400' },
    audits: { type: 'string', default: '1000000' },
    out: { type: 'string', default: path.join(ROOT, 'test/bench/results') },
  },
});

// Before anything runs: whoever goes on working meanwhile changes nothing of what is measured.
const origin = provenance();
const day = origin.date.slice(0, 10);
const sizes = {
  perLength: Number(values['per-length']),
  trials: Number(values.trials),
  runs: Number(values.runs),
  audits: Number(values.audits),
};
const result = economy(sizes, Number(values.seed), day, (what) => console.log(`${new Date().toISOString()} ${what}`));
const name = path.join(values.out, `economy-${day}`);
writeFileSync(
  `${name}.json`,
  `${JSON.stringify({ ...origin, seed: Number(values.seed), sizes, ...result }, null, 2)}\n`,
);
for (const [plot, svg] of plotsOf(
  result,
  `npm run sim:economy, ${day}, commit ${origin.commit}, seed ${values.seed}`,
)) {
  writeFileSync(`${name}-${plot}.svg`, svg);
}
console.table(
  result.contests.map(({ strategy, stake, profit, half, answers, ratePpm }) => ({
    strategy,
    stake,
    profit,
    half,
    answers,
    ratePpm,
  })),
);
console.table(result.thresholds);
console.table(result.within);
console.table(result.honest);
