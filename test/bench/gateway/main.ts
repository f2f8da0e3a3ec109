/** `npm run bench:gateway -- [--seconds 2] [--warm 0] [--c 1,32] [--kinds plain,stream] [--rows a,b] [--out file.json] [--cpu-prof folder]` */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runBench } from './bench.ts';
import { type Cell, tableOf } from './cells.ts';
import { type CpuProfile, profileText } from './profile.ts';
import { provenance } from './provenance.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    warm: { type: 'string', default: '0' },
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
const { cells, absent, warmed } = await runBench({
  seconds: Number(values.seconds),
  warmAnswers: Number(values.warm),
  concurrencies: listOf(values.c).map(Number),
  kinds: listOf(values.kinds) as Cell['kind'][],
  rows: listOf(values.rows),
  portkeyFolder: values.portkey,
  nodeArgs: profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${path.resolve(profileFolder)}`] : [],
  progress: (line) => console.log(line),
});
const result = { ...provenance(), seconds: Number(values.seconds), warmAnswers: Number(values.warm), absent, cells };
if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
console.log(`\n${result.date}, commit ${result.commit}, ${result.machine}\n`);
console.log(tableOf(cells));
for (const row of absent) console.log(`\nnot measured: ${row}`);
if (profileFolder) console.log(`\n${summaryIn(profileFolder)}`);

/** The newest profile of the folder, over all requests that the gateway had. */
function summaryIn(folder: string): string {
  const file = readdirSync(folder)
    .filter((name) => name.endsWith('.cpuprofile'))
    .sort()
    .at(-1);
  const ours = cells.filter(({ row }) => row === 'single' || row === 'quorum n=3');
  const names = ['single', 'quorum n=3'];
  const before = names.reduce((sum, name) => sum + (warmed.get(name) ?? 0), 0);
  const requests = ours.reduce((sum, { total }) => sum + total, before);
  if (!file || requests === 0) return 'no profile of the gateway was written';
  return profileText(JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as CpuProfile, requests);
}
