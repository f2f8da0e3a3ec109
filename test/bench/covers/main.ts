/**
 * `npm run bench:covers -- [--jobs 1000] [--three 6000] [--fifteen 1200] [--few 6] [--seeds a,b] [--out file.json]`: held-out areas of two classifiers that tell lone members from seated ones, with covers and
 * without, on seeds that no setting was chosen on; with covers also after a part of the committees, a sixth of them say. Each seed is written when it is done.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../contract/program.ts';
import { CLASSIFIERS, heldOut, loneMembers, seatedMembers } from '../../fixtures/cover-samples.ts';
import { provenance } from '../gateway/provenance.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    three: { type: 'string', default: '6000' },
    fifteen: { type: 'string', default: '1200' },
    few: { type: 'string', default: '6' },
    seeds: { type: 'string', default: 'fresh-3,fresh-4,fresh-5' },
    out: { type: 'string' },
  },
});
const sizes = {
  jobs: Number(values.jobs),
  before: { three: Number(values.three), fifteen: Number(values.fifteen) },
};
const origin = provenance();
const rows: object[] = [];
for (const seed of values.seeds.split(',')) {
  const many = await seatedMembers(sizes, seed);
  for (const part of [1, Number(values.few), null]) {
    const { three, fifteen } = sizes.before;
    const before = { three: Math.round(three / (part ?? 1)), fifteen: Math.round(fifteen / (part ?? 1)) };
    const isCovered = part !== null;
    const committees = isCovered ? before.three + before.fifteen : null;
    const alone = await loneMembers({ ...sizes, before }, isCovered, seed);
    for (const [classifier, train] of CLASSIFIERS) {
      const { area, error, low, high } = heldOut(many, alone, train, sizes.jobs);
      const row = { seed, isCovered, committees, classifier, area, error, low, high };
      rows.push(row);
      console.log(JSON.stringify(row));
    }
    if (values.out !== undefined) {
      writeFileSync(path.resolve(ROOT, values.out), `${JSON.stringify({ ...origin, sizes, rows }, null, 2)}\n`);
    }
  }
}
