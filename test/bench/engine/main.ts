/** `npm run bench:engine -- [--rounds 5] [--tokens 100] [--out file.json] [--transformers folder]` */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../contract/program.ts';
import { EngineProcess, installTransformers, type Task } from './tasks.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '100' },
    out: { type: 'string' },
    transformers: { type: 'string', default: path.join(tmpdir(), 'assay-bench-transformers') },
  },
});
const MODEL = path.join(ROOT, 'provider/models/minnow/dist/minnow-5m');
/** About what a question of a sentence has; and a long one, of which one token is asked: prefill. */
const SHORT = 24;
const LONG = 512;

interface Row {
  readonly engine: string;
  readonly what: string;
  readonly tokensPerSecond: number;
  readonly cpuMsPerToken: number;
  readonly load: number;
}

const promptOf = (length: number) => Array.from({ length }, (_, at) => 3 + ((at * 37) % 4000));
const tokens = Number(values.tokens);
const tasks: { what: string; task: Task; counted: 'output' | 'prompt' }[] = [
  ...[0, 1].flatMap((temperature) =>
    [1, 4, 16].map((jobs) => ({
      what: `decode, T = ${temperature}, ${jobs} job${jobs === 1 ? '' : 's'}`,
      task: { promptIds: promptOf(SHORT), jobs, maxTokens: tokens, temperature },
      counted: 'output' as const,
    })),
  ),
  {
    what: `prefill of ${LONG}`,
    task: { promptIds: promptOf(LONG), jobs: 1, maxTokens: 1, temperature: 0 },
    counted: 'prompt',
  },
];

const engines = new Map<string, EngineProcess>([['assay', await EngineProcess.start('assay-child.ts', [MODEL])]]);
const absent = installTransformers(values.transformers);
if (absent === null) {
  for (const threads of ['1', 'all']) {
    const args = [MODEL, values.transformers, threads];
    engines.set(`transformers, ${threads} thread`, await EngineProcess.start('transformers-child.mjs', args));
  }
}

/** Engines take turns inside a round, so that what else the machine does hits all of them. */
const samples = new Map<string, Row[]>();
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const { what, task, counted } of tasks) {
    for (const [engine, process] of engines) {
      const reply = await process.run(task);
      // The first round warms up.
      if (round === 0) continue;
      const count = counted === 'prompt' ? task.promptIds.length : reply.tokens;
      const key = `${engine}|${what}`;
      samples.set(key, [
        ...(samples.get(key) ?? []),
        {
          engine,
          what,
          tokensPerSecond: (1000 * count) / reply.wallMs,
          cpuMsPerToken: reply.cpuMs / count,
          load: loadavg()[0]!,
        },
      ]);
    }
  }
}
for (const process of engines.values()) process.stop();

const rows = [...samples.values()].map((list): Row => {
  const middle = (pick: (row: Row) => number) => list.map(pick).sort((a, b) => a - b)[Math.floor(list.length / 2)]!;
  const { engine, what } = list[0]!;
  return {
    engine,
    what,
    tokensPerSecond: middle((row) => row.tokensPerSecond),
    cpuMsPerToken: middle((row) => row.cpuMsPerToken),
    load: middle((row) => row.load),
  };
});
const at = (engine: string, what: string) => rows.find((row) => row.engine === engine && row.what === what);
const ratio = (a?: Row, b?: Row) => (a && b ? (a.tokensPerSecond / b.tokensPerSecond).toFixed(2) : 'not measured');
const perCpu = (a?: Row, b?: Row) => (a && b ? (b.cpuMsPerToken / a.cpuMsPerToken).toFixed(2) : 'not measured');
const summary = [0, 1].flatMap((T) => {
  const [one, sixteen] = [at('assay', `decode, T = ${T}, 1 job`), at('assay', `decode, T = ${T}, 16 jobs`)];
  const other = at('transformers, 1 thread', `decode, T = ${T}, 1 job`);
  return [
    `T = ${T}: 16 jobs against one by one ${ratio(sixteen, one)} (tokens per CPU second ${perCpu(sixteen, one)})`,
    `T = ${T}: one job against transformers.js with one thread ${ratio(one, other)} (per CPU second ${perCpu(one, other)})`,
  ];
});
const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
const result = {
  date: new Date().toISOString(),
  commit: git('rev-parse', '--short', 'HEAD'),
  machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`,
  rounds: Number(values.rounds),
  absent,
  summary,
  rows,
};
if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 1)}\n`);
console.log(`${result.date}, commit ${result.commit}, ${result.machine}; medians of ${values.rounds} rounds\n`);
console.log('| engine | what | tokens/s | CPU ms a token | load |\n|---|---|---|---|---|');
for (const { engine, what, tokensPerSecond, cpuMsPerToken, load } of rows) {
  console.log(
    `| ${engine} | ${what} | ${tokensPerSecond.toFixed(0)} | ${cpuMsPerToken.toFixed(3)} | ${load.toFixed(1)} |`,
  );
}
console.log(`\n${summary.join('\n')}`);
if (absent !== null) console.log(`\nnot measured: transformers.js (${absent})`);
