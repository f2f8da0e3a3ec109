/** `npm run crash:chain:process -- [--kills 60] [--per-world 15] [--seed 1] [--minutes <n>] [--record <file>]` */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type KilledResult, killGateway } from './killed-gateway.ts';
import { startRpcProxy } from './rpc-proxy.ts';
import { TestChain } from './test-chain.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '60' },
    /** Lives over one database. */
    'per-world': { type: 'string', default: '15' },
    seed: { type: 'string', default: '1' },
    /** Begins no world after so long; the record says how many kills there were. */
    minutes: { type: 'string', default: '1000' },
    record: { type: 'string' },
  },
});
const begunAt = performance.now();
const seconds = () => Math.round((performance.now() - begunAt) / 1000);

const chain = await TestChain.start();
const proxy = await startRpcProxy(chain.url);
const worlds: KilledResult[] = [];
const killsBy: Record<string, number> = {};
const kills = () => Object.values(killsBy).reduce((sum, count) => sum + count, 0);

function record(): void {
  const sum = (of: (world: KilledResult) => number) => worlds.reduce((total, world) => total + of(world), 0);
  const summary = {
    kills: kills(),
    killsBy,
    worlds: worlds.length,
    reorgs: sum((world) => world.reorgs),
    transactions: sum((world) => world.transactions),
    roots: sum((world) => world.roots),
    problems: worlds.flatMap((world) => world.problems),
  };
  if (values.record === undefined) return void console.log(JSON.stringify(summary, null, 2));
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  const about = { date: new Date().toISOString(), commit, seed: values.seed, wallSeconds: seconds() };
  writeFileSync(values.record, `${JSON.stringify({ ...about, ...summary }, null, 2)}\n`);
}

try {
  for (let world = 0; kills() < Number(values.kills) && seconds() < 60 * Number(values.minutes); world++) {
    const lives = Math.min(Number(values['per-world']), Number(values.kills) - kills());
    const result = await killGateway(chain, proxy, `${values.seed}/${world}`, lives);
    worlds.push(result);
    for (const [at, count] of Object.entries(result.kills).sort()) killsBy[at] = (killsBy[at] ?? 0) + count;
    console.log(`${kills()} kills after ${seconds()} s; problems: ${JSON.stringify(result.problems)}`);
    // After each world, so that a run that is cut short keeps what it has.
    record();
  }
} finally {
  await proxy.close();
  await chain.stop();
}
process.exitCode = worlds.some(({ problems }) => problems.length > 0) ? 1 : 0;
