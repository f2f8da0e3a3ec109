/** `npm run sim -- [--seeds N] [--seed S] [--from S]`: runs seeds and prints those that break a rule. */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { runSeed, violationsOf } from './run-seed.ts';
import { scenarioOf } from './scenario.ts';

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' } },
});

const one = values.seed !== undefined;
const first = Number(values.seed ?? values.from ?? 1);
const count = one ? 1 : Number(values.seeds ?? 200);
if (!Number.isInteger(first) || !Number.isInteger(count) || count < 1) {
  process.stderr.write('usage: npm run sim -- [--seeds N] [--from S] | --seed S\n');
  process.exit(2);
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'unknown';
  }
}

process.on('unhandledRejection', (reason) => {
  process.stderr.write(`an unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
  process.exitCode = 1;
});

let failed = 0;
let upheld = 0;
const outcomes = new Map<string, number>();
for (let seed = first; seed < first + count; seed++) {
  let problems: string[];
  try {
    const report = await runSeed(seed);
    problems = violationsOf(report);
    upheld += report.upheld;
    for (const outcome of report.outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (one) process.stdout.write(`${JSON.stringify({ scenario: scenarioOf(seed), report }, null, 2)}\n`);
  } catch (error) {
    problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
  if (problems.length === 0) continue;
  failed++;
  process.exitCode = 1;
  process.stdout.write(`seed ${seed} at commit ${commit()}:\n${problems.map((text) => `  ${text}\n`).join('')}`);
}
const summary = [...outcomes].sort(([, a], [, b]) => b - a).map(([name, times]) => `${name} ${times}`);
const seconds = process.cpuUsage();
const perSeed = (seconds.user + seconds.system) / 1e6 / count;
process.stdout.write(
  `${count} seeds, ${failed} failed, ${upheld} rulings upheld; ${summary.join(', ')}; ${perSeed.toFixed(2)} CPU-s a seed\n`,
);
