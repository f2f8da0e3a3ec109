/** `npm run soak -- [--requests 1000] [--seed 1] [--concurrency 4]` */
import { parseArgs } from 'node:util';
import { runSoak, type SoakResult } from './soak.ts';

/** A line of progress every so many answers. */
const PROGRESS_EVERY = 100;

function table(result: SoakResult): string {
  const { counts, wallMs, outputTokens } = result;
  const requests = (counts.plain ?? 0) + (counts.streamed ?? 0);
  const seconds = wallMs / 1000;
  const rows: [string, string][] = [
    [
      'requests',
      `${requests} (${Object.entries(counts)
        .map(([kind, count]) => `${kind} ${count}`)
        .sort()
        .join(', ')})`,
    ],
    ['problems', String(result.problems.length)],
    ['ready after', `${Math.round(result.readyMs)} ms`],
    ['wall time', `${seconds.toFixed(1)} s`],
    ['requests/s', (requests / seconds).toFixed(2)],
    ['output tokens/s', (outputTokens / seconds).toFixed(0)],
    ['latency p50', `${Math.round(result.p50Ms)} ms`],
    ['latency p95', `${Math.round(result.p95Ms)} ms`],
    ['charged', `${result.chargedNano} nano`],
    ['gateway RSS', `${result.rssStartMib} MiB at the start, ${result.rssEndMib} MiB at the end`],
  ];
  return rows.map(([name, value]) => `${name.padEnd(16)} ${value}`).join('\n');
}

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    concurrency: { type: 'string', default: '4' },
  },
});
const begunAt = performance.now();
const result = await runSoak({
  requests: Number(values.requests),
  seed: values.seed,
  concurrency: Number(values.concurrency),
  progress: (done) => {
    if (done % PROGRESS_EVERY === 0)
      console.log(`${done} answers after ${Math.round((performance.now() - begunAt) / 1000)} s`);
  },
});
for (const problem of result.problems.slice(0, 50)) console.log(problem);
console.log(table(result));
process.exitCode = result.problems.length === 0 ? 0 : 1;
