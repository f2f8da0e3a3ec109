/** `npm run bench:audited -- [--rounds 12] [--seconds 0.8] [--c 8] [--loaded-rounds 10] [--out file.json]`: what covers and audits add to the latency of lone answers. */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { markdownOf } from '../gateway/cells.ts';
import { provenance } from '../gateway/provenance.ts';
import {
  ALL_AUDITED,
  AT_ONCE,
  AUDITED,
  BARE,
  BESIDE_AT_ONCE,
  COVERED,
  PACE,
  QUORUM,
  runAuditedBench,
} from './bench.ts';
import { auditedCell, CELL_COLUMNS, DIFFERENCE_COLUMNS, differenceOf, type RowBlocks } from './figures.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '12' },
    seconds: { type: 'string', default: '0.8' },
    c: { type: 'string', default: '8' },
    'loaded-rounds': { type: 'string', default: '10' },
    out: { type: 'string' },
  },
});
const begunAt = performance.now();
const origin = provenance();
const loadBefore = loadavg()[0]!;
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const loaded = { concurrency: Number(values.c), rounds: Number(values['loaded-rounds']) };
const progress = (line: string) => console.log(line);
const { rows, security } = await runAuditedBench({ rounds, seconds, loaded, progress });
const isLike = (a: RowBlocks, b: RowBlocks) =>
  a.kind === b.kind && a.concurrency === b.concurrency && a.pauseMs === b.pauseMs;
const named = (name: string, like: RowBlocks) => rows.find((row) => row.row === name && isLike(row, like))!;
const cells = rows.map((row) => auditedCell(row, row.row === QUORUM ? undefined : named(BARE, row)));
const differences = rows
  .filter(({ row }) => row === ALL_AUDITED || row === AUDITED || row === AT_ONCE)
  .flatMap((row) => {
    const of = row.kind === 'stream' ? (['latency', 'first text', 'rest'] as const) : (['latency', 'rest'] as const);
    return of.map((what) => differenceOf(row, named(row.row === AT_ONCE ? BESIDE_AT_ONCE : COVERED, row), what));
  });
const minutes = (performance.now() - begunAt) / 60_000;
const load = { before: loadBefore, after: loadavg()[0]! };
const result = { ...origin, rounds, seconds, loaded, pace: PACE, minutes, load, security, cells, differences };
if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
console.log(`\n${result.date}, commit ${result.commit}, ${result.machine}, ${minutes.toFixed(1)} minutes\n`);
console.log(markdownOf(CELL_COLUMNS, cells));
console.log(`\n${markdownOf(DIFFERENCE_COLUMNS, differences)}`);
const lost = cells.filter(({ audits }) => audits.held !== audits.promised);
for (const { row, audits } of lost) console.log(`\n${row}: ${audits.promised - audits.held} audits did not hold`);
process.exitCode = lost.length === 0 ? 0 : 1;
