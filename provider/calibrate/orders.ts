/** What a calibration asks: prompts that the model invents, prompts that were given, and prompts mined for near-ties. */
import { createHash } from 'node:crypto';
import { LOGIT_SCALE } from '#protocol/evidence';
import { perturbedScore } from '#protocol/sampler';
import { GREEDY, type Sampling } from '#protocol/sampling';
import type { TextModel } from '#protocol/text';
import type { Engine } from '../engine/engine.ts';
import { generateAll, type Order, type Transcript } from './corpus.ts';
import type { PartStore } from './part-file.ts';

/** How a chat prompt of this model begins and ends around what the user says. */
export interface ChatFrame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * Samplings, each response's drawn at random: mostly T = 1, which reaches most contexts; greedy, where most tokens are
 * near-certain; and two that cut, which show how far borders move.
 */
const SAMPLINGS: readonly Sampling[] = [
  { ...GREEDY, temperature: 1 },
  { ...GREEDY, temperature: 1 },
  { ...GREEDY, temperature: 1 },
  GREEDY,
  { ...GREEDY, temperature: 1, topK: 40 },
  { ...GREEDY, temperature: 1, topP: 0.9 },
];
/** Tokens of an invented question at most; one that is cut short is as good a context as any. */
const QUESTION_TOKENS_MAX = 6;
/** A near-tie worth mining: as close as two engines of different precision may come apart. */
export const MINED_GAP = 0.02;
/** Tokens written on after a mined tie, so that what follows it is measured too. */
const AFTER_TIE_TOKENS = 8;

/** Numbers that depend on a text alone, so that a run can be repeated. @param width bytes, 1 to 8 */
export function drawn(seedText: string, width = 4): bigint {
  return createHash('sha256').update(seedText).digest().readBigUInt64BE(0) >> BigInt(8 * (8 - width));
}

/** What a chat prompt has in common with every other of one user message. */
export function chatFrame(text: TextModel): ChatFrame {
  const [a, b] = ['a', 'Q'].map((content) => text.encodeChat([{ role: 'user', content }]));
  let before = 0;
  while (a![before] === b![before]) before++;
  let after = 0;
  while (after < Math.min(a!.length, b!.length) - before - 1 && a!.at(-1 - after) === b!.at(-1 - after)) after++;
  return { before: a!.slice(0, before), after: after === 0 ? [] : a!.slice(-after) };
}

/** Questions that the model itself writes at T = 1: independent draws of one distribution, as many as are wanted. */
export async function inventPrompts(
  engine: Engine,
  count: number,
  seedText: string,
  store: PartStore | null = null,
): Promise<number[][]> {
  const { before, after } = chatFrame(engine.text);
  const ends = new Set(engine.text.eosIds);
  const orders = Array.from(
    { length: count },
    (_, at): Order => ({
      promptIds: before,
      sampling: { ...GREEDY, temperature: 1 },
      seed: drawn(`${seedText} question ${at}`, 8),
      maxTokens: QUESTION_TOKENS_MAX,
    }),
  );
  const prompts: number[][] = [];
  for await (const part of generateAll(engine, orders, store)) {
    for (const { evidence } of part) {
      const question = evidence.map(({ chosen }) => chosen).filter((id) => !ends.has(id));
      prompts.push([...before, ...question, ...after]);
    }
  }
  return prompts;
}

/** One order a prompt, with a seed and a sampling drawn for it. */
export function ordersFor(prompts: readonly (readonly number[])[], maxTokens: number, seedText: string): Order[] {
  return prompts.map((promptIds, at) => ({
    promptIds,
    sampling: SAMPLINGS[Number(drawn(`${seedText} sampling ${at}`)) % SAMPLINGS.length]!,
    seed: drawn(`${seedText} seed ${at}`, 8),
    maxTokens,
  }));
}

/** The same items in another order, so that the first part of them has a bit of everything. */
export function shuffled<T>(items: readonly T[], seedText: string): T[] {
  const keyed = items.map((item, at) => ({ item, key: drawn(`${seedText} place ${at}`, 8) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item);
}

/** Prompts drawn from a list with replacement: independent draws, however short the list is. */
export function drawPrompts(list: readonly (readonly number[])[], count: number, seedText: string): number[][] {
  return Array.from({ length: count }, (_, at) => [...list[Number(drawn(`${seedText} pick ${at}`)) % list.length]!]);
}

/**
 * Orders that lead to a near-tie: of transcripts that were written, those with a position whose two best scores are
 * closer than `MINED_GAP`. A greedy one begins right before its tie, as a client would ask who looks for ties; a sampled
 * one keeps its prompt and its seed, on which the tie depends.
 */
export function minedOrders(transcripts: readonly Transcript[]): Order[] {
  return transcripts.flatMap(({ order, evidence }) => {
    const at = evidence.findIndex((item, position) => nearestGap(item.top, order, position) <= MINED_GAP);
    if (at < 0) return [];
    if (order.sampling.temperature > 0) return [{ ...order, maxTokens: at + 1 + AFTER_TIE_TOKENS }];
    const written = evidence.slice(0, at).map(({ chosen }) => chosen);
    return [{ ...order, promptIds: [...order.promptIds, ...written], maxTokens: 1 + AFTER_TIE_TOKENS }];
  });
}

function nearestGap(top: readonly (readonly [number, number])[], order: Order, position: number): number {
  const [first, second] = top.map(([id, logit]) =>
    perturbedScore(logit / LOGIT_SCALE, order.sampling.temperature, order.seed, position, id),
  );
  return second === undefined ? Number.POSITIVE_INFINITY : first! - second;
}
