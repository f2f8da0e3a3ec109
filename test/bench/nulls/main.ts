/**
 * `npm run bench:nulls`: how often honest providers are accused. Levels 1e-2 and 1e-3 by counting, 1e-6 by importance sampling; `-- --nulls 100000
 * --samples 200000 --out file` change it.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../contract/program.ts';
import { provenance } from '../gateway/provenance.ts';
import { rareProbability } from './importance.ts';
import { playNulls } from './nulls.ts';
import { poolOf, SCENARIOS } from './scenarios.ts';

const { values } = parseArgs({
  options: {
    nulls: { type: 'string', default: '100000' },
    samples: { type: 'string', default: '100000' },
    out: { type: 'string' },
  },
});

/** Upper end of the 95% interval of a share (Wilson). */
function wilson(count: number, total: number): readonly [number, number] {
  const z = 1.96;
  const share = count / total;
  const centre = (share + (z * z) / (2 * total)) / (1 + (z * z) / total);
  const half = (z / (1 + (z * z) / total)) * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
  return [Math.max(0, centre - half), centre + half];
}

// Before anything runs: whoever goes on working meanwhile changes nothing of what is measured.
const origin = provenance();
const results = SCENARIOS.map((scenario) => {
  const pool = poolOf(scenario.law);
  const counts = playNulls(scenario, pool, Number(values.nulls));
  const rare = scenario.bought > 0 ? null : rareProbability(scenario, pool, Number(values.samples), 1e6);
  const level = (alpha: number, reached: number) => {
    const interval = wilson(reached, counts.nulls);
    return { alpha, reached, share: reached / counts.nulls, interval, holds: interval[0] <= alpha };
  };
  const row = {
    scenario: scenario.name,
    responses: scenario.responses,
    levels: [level(1e-2, counts.reached['1e2']), level(1e-3, counts.reached['1e3'])],
    alarms: { level: scenario.responses / 1e5, paths: counts.alarms, share: counts.alarms / counts.nulls },
    largestWealth: counts.largest,
    meanWealthAtEnd: counts.meanAtEnd,
    slash: rare && { alpha: 1e-6, ...rare, holds: rare.interval[0] <= 1e-6 },
  };
  process.stdout.write(`${JSON.stringify(row)}\n`);
  return row;
});
const holds = results.every(({ levels, slash }) => levels.every((one) => one.holds) && (slash?.holds ?? true));
const record = { ...origin, nulls: Number(values.nulls), samples: Number(values.samples), holds, results };
if (values.out !== undefined) writeFileSync(path.resolve(ROOT, values.out), `${JSON.stringify(record, null, 2)}\n`);
process.exitCode = holds ? 0 : 1;
