/**
 * `npm run bench:covers -- [--jobs 1000] [--three 8200] [--fifteen 1640] [--few 6] [--seeds a,b] [--out file.json]`: held-out areas of two classifiers that tell lone members from seated ones, with covers and
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
    three: { type: 'string', default: '8200' },
    fifteen: { type: 'string', default: '1640' },
    few: { type: 'string', default: '6' },
    seeds: { type: 'string', default: 'fresh-6,fresh-7,fresh-8' },
    out: { type: 'string' },
  },
});
const sizes = {
  jobs: Number(values.jobs),
  before: { three: Number(values.three), fifteen: Number(values.fifteen) },
};
const origin = provenance();
interface Row {
  readonly seed: string;
  readonly isCovered: boolean;
  readonly committees: number | null;
  readonly classifier: string;
  readonly area: number;
  readonly error: number;
  readonly low: number;
  readonly high: number;
}
const rows: Row[] = [];

/** The mean area of all seeds, whose networks, committees and jobs are drawn apart, with its 95% interval. */
function pooled() {
  const kinds = new Map<string, Row[]>();
  for (const row of rows) {
    const kind = JSON.stringify([row.isCovered, row.committees, row.classifier]);
    kinds.set(kind, [...(kinds.get(kind) ?? []), row]);
  }
  return [...kinds.values()].map((some) => {
    const { isCovered, committees, classifier } = some[0]!;
    const area = some.reduce((sum, one) => sum + one.area, 0) / some.length;
    const error = Math.sqrt(some.reduce((sum, one) => sum + one.error ** 2, 0)) / some.length;
    return {
      seeds: some.length,
      isCovered,
      committees,
      classifier,
      area,
      error,
      low: area - 1.96 * error,
      high: area + 1.96 * error,
    };
  });
}

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
      const row: Row = { seed, isCovered, committees, classifier, area, error, low, high };
      rows.push(row);
      console.log(JSON.stringify(row));
    }
    if (values.out !== undefined) {
      writeFileSync(
        path.resolve(ROOT, values.out),
        `${JSON.stringify({ ...origin, sizes, rows, pooled: pooled() }, null, 2)}\n`,
      );
    }
  }
}
for (const row of pooled()) console.log(JSON.stringify(row));
