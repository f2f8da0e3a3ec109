/** `npm run crash -- [--points 1000] [--provider-points 300] [--seed 1] [--per-folder 50] [--minutes <n>] [--record <file>]` */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type CrashResult, crashGateway } from './gateway-crash.ts';
import { crashProvider, type ProviderCrashResult } from './provider-crash.ts';

/** A line of progress every so many points. */
const PROGRESS_EVERY = 25;
/** Problems that are printed; the record has all. */
const PRINTED_MAX = 100;

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '1000' },
    'provider-points': { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    'per-folder': { type: 'string', default: '50' },
    /** Ends early after so long; the table says how many points that were. */
    minutes: { type: 'string', default: '1000' },
    record: { type: 'string' },
  },
});
const begunAt = performance.now();
const seconds = () => Math.round((performance.now() - begunAt) / 1000);

function options(points: string, what: string) {
  return {
    points: Number(points),
    seed: values.seed,
    perFolder: Number(values['per-folder']),
    over: () => seconds() > 60 * Number(values.minutes),
    progress: (done: number, problems: number) => {
      if (done % PROGRESS_EVERY === 0)
        console.log(`${what}: ${done} points after ${seconds()} s, ${problems} problems`);
    },
  };
}

function print(what: string, result: CrashResult | ProviderCrashResult): void {
  const { kills, counts, problems, points, ...others } = result;
  for (const problem of problems.slice(0, PRINTED_MAX)) console.log(problem);
  const rows: [string, unknown][] = [
    [`${what} kill points`, points],
    ...Object.entries(kills).map(([name, count]): [string, unknown] => [`  ${name}`, count]),
    ...Object.entries(counts).map(([name, count]): [string, unknown] => [`calls ${name}`, count]),
    ...Object.entries(others).map(([name, value]): [string, unknown] => [name, JSON.stringify(value)]),
    ['problems', problems.length],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(24)} ${value}`);
}

const gateway = await crashGateway(options(values.points, 'gateway'));
print('gateway', gateway);
const provider = await crashProvider(options(values['provider-points'], 'provider'));
print('provider', provider);
console.log(`wall time                ${seconds()} s`);
if (values.record !== undefined) {
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  const { seed } = values;
  const record = { date: new Date().toISOString(), commit, seed, wallSeconds: seconds(), gateway, provider };
  writeFileSync(values.record, `${JSON.stringify(record, null, 2)}\n`);
}
process.exitCode = gateway.problems.length + provider.problems.length === 0 ? 0 : 1;
