/** `npm run crash -- [--points 1000] [--seed 1] [--per-folder 50] [--record <file>]` */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { crashGateway } from './gateway-crash.ts';

/** A line of progress every so many points. */
const PROGRESS_EVERY = 25;

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    'per-folder': { type: 'string', default: '50' },
    record: { type: 'string' },
  },
});
const begunAt = performance.now();
const seconds = () => Math.round((performance.now() - begunAt) / 1000);
const result = await crashGateway({
  points: Number(values.points),
  seed: values.seed,
  perFolder: Number(values['per-folder']),
  progress: (done, problems) => {
    if (done % PROGRESS_EVERY === 0) console.log(`${done} points after ${seconds()} s, ${problems} problems`);
  },
});
for (const problem of result.problems.slice(0, 100)) console.log(problem);
const rows: [string, string][] = [
  ['kill points', String(result.points)],
  ...Object.entries(result.kills).map(([name, count]): [string, string] => [`  ${name}`, String(count)]),
  ...Object.entries(result.counts).map(([name, count]): [string, string] => [`calls ${name}`, String(count)]),
  ['start, answer', `${Math.round(result.pace.startMs)} ms, ${Math.round(result.pace.answerMs)} ms`],
  ['answers verified', String(result.verified)],
  ['disputes', String(result.disputes)],
  ['log entries', String(result.logEntries)],
  ['problems', String(result.problems.length)],
  ['wall time', `${seconds()} s`],
];
for (const [name, value] of rows) console.log(`${name.padEnd(24)} ${value}`);
if (values.record !== undefined) {
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  const record = { date: new Date().toISOString(), commit, seed: values.seed, wallSeconds: seconds(), gateway: result };
  writeFileSync(values.record, `${JSON.stringify(record, null, 2)}\n`);
}
process.exitCode = result.problems.length === 0 ? 0 : 1;
