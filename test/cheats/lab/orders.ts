/** What the laboratory asks: chat prompts of the evaluation set and running text cut anywhere, no prompt twice. */
import { readFileSync } from 'node:fs';
import { GREEDY } from '#protocol/sampling';
import type { Order } from '../../../provider/calibrate/corpus.ts';
import { drawn, shuffled } from '../../../provider/calibrate/orders.ts';

const EVAL = new URL('../../../provider/models/minnow/eval/', import.meta.url);
const SEED = 'cheat laboratory';
/** The context has 1024 tokens; most prompts are far shorter, and long ones only cost time. */
const PROMPT_TOKENS_MAX = 320;
/** Least tokens of a running text that is cut. */
const CUT_MIN = 8;
/** Answers that go on so long are cut: a third each. Many end by themselves before. */
export const LENGTHS = [16, 48, 96] as const;

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, EVAL), 'utf8')) as T;
}

function chatPrompts(): number[][] {
  return read<number[][]>('prompts.json').filter(({ length }) => length <= PROMPT_TOKENS_MAX);
}

/** The first part of a document, cut where a draw says; `at` goes through the documents by turns. */
function runningText(docs: readonly (readonly number[])[], at: number): number[] {
  const ids = docs[at % docs.length]!;
  const most = Math.min(PROMPT_TOKENS_MAX, ids.length - 2);
  const length = CUT_MIN + (Number(drawn(`${SEED} cut ${at}`)) % Math.max(1, most - CUT_MIN));
  return ids.slice(0, length);
}

/** As many different orders: chat prompts and running text by turns, until the former are used up. */
export function labOrders(count: number, temperature: 0 | 1): Order[] {
  const docs = read<{ docs: { ids: number[] }[] }>('heldout.json').docs.map(({ ids }) => ids);
  const chats = shuffled(chatPrompts(), SEED);
  const seen = new Set<string>();
  const prompts: number[][] = [];
  for (let at = 0; prompts.length < count; at++) {
    const chat = prompts.length % 2 === 0 ? chats.pop() : undefined;
    const prompt = chat ?? runningText(docs, at);
    const key = prompt.join();
    if (seen.has(key)) continue;
    seen.add(key);
    prompts.push(prompt);
  }
  return prompts.map((promptIds, at) => ({
    promptIds,
    sampling: { ...GREEDY, temperature },
    seed: drawn(`${SEED} seed ${at}`, 8),
    maxTokens: LENGTHS[Number(drawn(`${SEED} length ${at}`)) % LENGTHS.length]!,
  }));
}
