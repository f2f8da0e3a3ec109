/** `npm run crash:chain -- [--seeds 200] [--first 1] [--record <file>]` */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { TestChain } from './test-chain.ts';
import { runSeed, type SeedResult } from './world.ts';

/** A line of progress every so many seeds. */
const PROGRESS_EVERY = 10;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    first: { type: 'string', default: '1' },
    record: { type: 'string' },
  },
});
const begunAt = performance.now();
const seconds = () => Math.round((performance.now() - begunAt) / 1000);
const chain = await TestChain.start();
const results: SeedResult[] = [];
const problems: string[] = [];
try {
  for (let done = 0; done < Number(values.seeds); done++) {
    const seed = String(Number(values.first) + done);
    const result = await runSeed(chain, seed).catch((error: unknown) => {
      problems.push(`[seed ${seed}] ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}`);
      return null;
    });
    if (result !== null) results.push(result);
    for (const problem of result?.problems ?? []) problems.push(problem);
    if ((done + 1) % PROGRESS_EVERY === 0) {
      console.log(`${done + 1} seeds after ${seconds()} s, ${problems.length} problems`);
    }
  }
} finally {
  await chain.stop();
}
const sum = (of: (result: SeedResult) => number) => results.reduce((total, result) => total + of(result), 0);
const kills: Record<string, number> = {};
for (const at of results.flatMap((result) => result.kills)) kills[at] = (kills[at] ?? 0) + 1;
const summary = {
  seeds: Number(values.seeds),
  first: Number(values.first),
  kills: sum((result) => result.kills.length),
  killsBy: Object.fromEntries(Object.entries(kills).sort(([a], [b]) => (a < b ? -1 : 1))),
  reorgs: sum((result) => result.reorgs),
  transactions: sum((result) => result.transactions),
  replaced: sum((result) => result.replaced),
  takenBack: sum((result) => result.unmined),
  roots: sum((result) => result.roots),
  problems,
};
console.log(JSON.stringify(summary, null, 2));
console.log(`wall time ${seconds()} s`);
if (values.record !== undefined) {
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  const record = { date: new Date().toISOString(), commit, wallSeconds: seconds(), ...summary };
  writeFileSync(values.record, `${JSON.stringify(record, null, 2)}\n`);
}
process.exitCode = problems.length === 0 ? 0 : 1;
