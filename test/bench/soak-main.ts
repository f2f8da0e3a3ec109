/** `npm run soak -- [--requests 1000] [--seed 1] [--concurrency 4] [--tokens 200] [--minutes M] [--json FILE]`; `npm run bench:mixed` adds `--mixed`. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runSoak, type SoakResult } from './soak.ts';

/** A line of progress every so many answers. */
const PROGRESS_EVERY = 100;

function table(result: SoakResult): string {
  const { answered, counts, wallMs, outputTokens } = result;
  const seconds = wallMs / 1000;
  const rows: [string, string][] = [
    ['requests', `${answered} answered; planned: ${listed(counts)}`],
    ['problems', String(result.problems.length)],
    ['verdicts', listed(result.verdicts)],
    ['by mode', listed(result.modes)],
    ['classes', listed(result.classes)],
    ['ready after', `${Math.round(result.readyMs)} ms`],
    ['wall time', `${seconds.toFixed(1)} s`],
    ['requests/s', (answered / seconds).toFixed(2)],
    ['output tokens/s', (outputTokens / seconds).toFixed(0)],
    ['latency p50', `${Math.round(result.p50Ms)} ms`],
    ['latency p95', `${Math.round(result.p95Ms)} ms`],
    ['charged', `${result.chargedNano} nano`],
    ['gateway RSS', `${result.rssStartMib} MiB at the start, ${result.rssEndMib} MiB at the end`],
  ];
  return rows.map(([name, value]) => `${name.padEnd(16)} ${value}`).join('\n');
}

function listed(counts: Readonly<Record<string, number>>): string {
  const items = Object.entries(counts).map(([kind, count]) => `${kind} ${count}`);
  return items.sort().join(', ');
}

/** What a result file says beside the result: what ran, where, on which commit. */
function record(result: SoakResult, ran: object): string {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;
  const rounded = { ...result, chargedNano: String(result.chargedNano) };
  return `${JSON.stringify({ date: new Date().toISOString().slice(0, 10), commit, machine, ...ran, ...rounded }, null, 2)}\n`;
}

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    concurrency: { type: 'string', default: '4' },
    mixed: { type: 'boolean', default: false },
    tokens: { type: 'string', default: '200' },
    minutes: { type: 'string' },
    json: { type: 'string' },
  },
});
const begunAt = performance.now();
const result = await runSoak({
  requests: Number(values.requests),
  seed: values.seed,
  concurrency: Number(values.concurrency),
  mixed: values.mixed,
  tokensMax: Number(values.tokens),
  ...(values.minutes === undefined ? {} : { budgetMs: Number(values.minutes) * 60_000 }),
  progress: (done) => {
    if (done % PROGRESS_EVERY === 0)
      console.log(`${done} answers after ${Math.round((performance.now() - begunAt) / 1000)} s`);
  },
});
for (const problem of result.problems.slice(0, 50)) console.log(problem);
console.log(table(result));
const { seed, concurrency, tokens, mixed } = values;
if (values.json !== undefined)
  writeFileSync(values.json, record(result, { seed, concurrency, tokensMax: tokens, mixed }));
process.exitCode = result.problems.length === 0 ? 0 : 1;
