/** Our engine in a process of its own: reads jobs from its parent, answers with tokens and CPU. */
import { GREEDY } from '#protocol/sampling';
import { readModelFolder } from '../../../provider/engine/model-folder.ts';
import { createOnnxEngine } from '../../../provider/engine/onnx/onnx-engine.ts';
import type { Reply, Task } from './tasks.ts';

const [folder = ''] = process.argv.slice(2);
const engine = await createOnnxEngine(await readModelFolder(folder));

/** Bans the end tokens, so that every job has its full length: 100 is the largest bias. */
const endless = engine.info.eosIds.map((id) => [id, -100] as const);

async function generate(promptIds: readonly number[], maxTokens: number, temperature: number, seed: number) {
  const sampling = { ...GREEDY, temperature, logitBias: endless };
  let count = 0;
  for await (const _ of engine.generate({ promptIds, sampling, seed: BigInt(seed), maxTokens })) count += 1;
  return count;
}

process.on('message', async ({ promptIds, jobs, maxTokens, temperature }: Task) => {
  const before = process.cpuUsage();
  const begun = performance.now();
  const counts = await Promise.all(
    Array.from({ length: jobs }, (_, seed) => generate(promptIds, maxTokens, temperature, seed)),
  );
  const wallMs = performance.now() - begun;
  const { user, system } = process.cpuUsage(before);
  const reply: Reply = { tokens: counts.reduce((sum, each) => sum + each, 0), wallMs, cpuMs: (user + system) / 1000 };
  process.send?.(reply);
});
process.send?.('ready');
