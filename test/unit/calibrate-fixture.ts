/** What the tests of calibrations ask toy engines, and how they read all of what comes in parts. */
import { GREEDY } from '#protocol/sampling';
import type { Order } from '../../provider/calibrate/corpus.ts';
import { promptOf } from './judge-fixture.ts';

export const SAMPLED = { ...GREEDY, temperature: 1 };
export const orders: readonly Order[] = Array.from({ length: 600 }, (_, at) => ({
  promptIds: promptOf(`question ${at % 7}`),
  sampling: at % 3 === 0 ? GREEDY : SAMPLED,
  seed: BigInt(at),
  maxTokens: 6,
}));

export async function all<T>(parts: AsyncIterable<T[]>): Promise<T[]> {
  const items: T[] = [];
  for await (const part of parts) items.push(...part);
  return items;
}
