/** `npm run bench:gateway -- [--seconds 2] [--c 1,32] [--kinds plain,stream] [--rows a,b] [--out file.json] [--cpu-prof folder]` */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../contract/program.ts';
import { runBench } from './bench.ts';
import { type Cell, tableOf } from './cells.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    c: { type: 'string', default: '1,32' },
    kinds: { type: 'string', default: 'plain,stream' },
    rows: { type: 'string', default: '' },
    out: { type: 'string' },
    'cpu-prof': { type: 'string' },
    portkey: { type: 'string', default: path.join(tmpdir(), 'assay-bench-portkey') },
  },
});
const listOf = (text: string) => text.split(',').filter((item) => item !== '');
const profileFolder = values['cpu-prof'];
const { cells, absent } = await runBench({
  seconds: Number(values.seconds),
  concurrencies: listOf(values.c).map(Number),
  kinds: listOf(values.kinds) as Cell['kind'][],
  rows: listOf(values.rows),
  portkeyFolder: values.portkey,
  nodeArgs: profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${path.resolve(profileFolder)}`] : [],
  progress: (line) => console.log(line),
});
const [cpu] = cpus();
const result = {
  date: new Date().toISOString(),
  commit:
    git('rev-parse', '--short', 'HEAD') +
    (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes'),
  machine: `${cpus().length} x ${cpu?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`,
  seconds: Number(values.seconds),
  absent,
  cells,
};
if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 1)}\n`);
console.log(`\n${result.date}, commit ${result.commit}, ${result.machine}\n`);
console.log(tableOf(cells));
for (const row of absent) console.log(`\nnot measured: ${row}`);

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
