/**
 * `npm run bench:covers -- [--jobs 2000] [--seeds a,b] [--out file.json]`: held-out areas of two classifiers that tell lone members from seated ones, with covers and
 * without, on seeds that no setting was chosen on. Each seed is written when it is done.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../contract/program.ts';
import { CLASSIFIERS, heldOut, loneMembers, seatedMembers } from '../../fixtures/cover-samples.ts';
import { provenance } from '../gateway/provenance.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '2000' },
    three: { type: 'string', default: '1000' },
    fifteen: { type: 'string', default: '200' },
    seeds: { type: 'string', default: 'fresh-1,fresh-2' },
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
  for (const isCovered of [true, false]) {
    const alone = await loneMembers(sizes, isCovered, seed);
    for (const [classifier, train] of CLASSIFIERS) {
      const { area, error, low, high } = heldOut(many, alone, train, sizes.jobs);
      const row = { seed, isCovered, classifier, area, error, low, high };
      rows.push(row);
      console.log(JSON.stringify(row));
    }
    if (values.out !== undefined) {
      writeFileSync(path.resolve(ROOT, values.out), `${JSON.stringify({ ...origin, sizes, rows }, null, 2)}\n`);
    }
  }
}
