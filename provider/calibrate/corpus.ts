/** Honest text and what engines say about it: written and scored in batches, kept on disk part by part, so that a run that was cut off goes on. */
import { createHash } from 'node:crypto';
import type { TokenEvidence } from '#protocol/evidence';
import type { Sampling } from '#protocol/sampling';
import type { Engine } from '../engine/engine.ts';
import { type PartStore, readPart, writePart } from './part-file.ts';

/** One response to write. */
export interface Order {
  readonly promptIds: readonly number[];
  readonly sampling: Sampling;
  /** uint64. */
  readonly seed: bigint;
  readonly maxTokens: number;
}

/** Evidence of one response, position by position; a generator's `chosen` are its tokens. */
export type ResponseEvidence = readonly TokenEvidence[];

/** A response that was written. */
export interface Transcript {
  readonly order: Order;
  readonly evidence: ResponseEvidence;
}

/** Responses in flight: twice what one run of the engine takes, so that no run waits for a prompt to be read. */
const CONCURRENCY = 32;
/** Responses in one part: what a crash loses, and what is held in memory. */
export const PART_RESPONSES = 512;

/** The tokens of a transcript. */
export function tokensOf({ evidence }: Pick<Transcript, 'evidence'>): number[] {
  return evidence.map(({ chosen }) => chosen);
}

/** Writes all responses; yields a part at a time, from disk where an earlier run had it. @param store null keeps nothing */
export async function* generateAll(
  engine: Engine,
  orders: readonly Order[],
  store: PartStore | null,
): AsyncGenerator<Transcript[], void, void> {
  for (const [part, some] of partsOf(orders).entries()) {
    const evidence = await kept(store, part, keyOf(some), () =>
      eachAtOnce(some, async (order) => {
        const written: TokenEvidence[] = [];
        for await (const token of engine.generate(order)) written.push(token.evidence);
        return written;
      }),
    );
    yield transcriptsOf(some, evidence);
  }
}

/** What an earlier `generateAll` of the same orders wrote. @throws {Error} where a part is missing */
export async function* readTexts(orders: readonly Order[], store: PartStore): AsyncGenerator<Transcript[], void, void> {
  for (const [part, some] of partsOf(orders).entries()) {
    const evidence = await readPart(store, part, keyOf(some));
    if (evidence === null) throw new Error(`part ${part} of the text is not in ${store.folder}`);
    yield transcriptsOf(some, evidence);
  }
}

/** Transcripts with what one engine says about each. */
export interface ScoredPart {
  readonly transcripts: Transcript[];
  readonly scores: ResponseEvidence[];
}

/**
 * Scores transcripts part by part, each as the engine would for a job; in the order in which they come.
 * @param known what the same engine said about another text of the same orders: answers that came out alike are not scored again
 */
export async function* scoreAll(
  engine: Engine,
  parts: AsyncIterable<Transcript[]>,
  store: PartStore | null,
  known?: AsyncIterator<ScoredPart>,
): AsyncGenerator<ScoredPart, void, void> {
  let part = 0;
  for await (const transcripts of parts) {
    const other = await known?.next();
    const alike = other === undefined || other.done ? new Map<string, ResponseEvidence>() : byTranscript(other.value);
    const key = hashOf(transcripts.map(transcriptText));
    const scores = await kept(store, part++, key, () =>
      eachAtOnce(
        transcripts,
        async (item) => alike.get(transcriptText(item)) ?? engine.score({ ...item.order, outputIds: tokensOf(item) }),
      ),
    );
    yield { transcripts, scores };
  }
}

function byTranscript({ transcripts, scores }: ScoredPart): Map<string, ResponseEvidence> {
  return new Map(transcripts.map((item, at) => [transcriptText(item), scores[at]!]));
}

function transcriptText(item: Transcript): string {
  return `${orderText(item.order)} ${tokensOf(item).join()}`;
}

/** SHA-256 over all orders: what a measurement says it was made of. */
export function ordersHash(orders: readonly Order[]): `0x${string}` {
  return `0x${keyOf(orders)}`;
}

function keyOf(orders: readonly Order[]): string {
  return hashOf(orders.map(orderText));
}

function transcriptsOf(orders: readonly Order[], evidence: readonly ResponseEvidence[]): Transcript[] {
  return orders.map((order, at) => ({ order, evidence: evidence[at]! }));
}

function partsOf(orders: readonly Order[]): Order[][] {
  const parts: Order[][] = [];
  for (let from = 0; from < orders.length; from += PART_RESPONSES)
    parts.push(orders.slice(from, from + PART_RESPONSES));
  return parts;
}

function orderText({ promptIds, sampling, seed, maxTokens }: Order): string {
  return JSON.stringify([promptIds, sampling, seed.toString(), maxTokens]);
}

function hashOf(texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text}\n`);
  return hash.digest('hex');
}

/** A part from disk if it is about the same, else made and kept. */
async function kept(
  store: PartStore | null,
  part: number,
  key: string,
  make: () => Promise<ResponseEvidence[]>,
): Promise<ResponseEvidence[]> {
  const known = store === null ? null : await readPart(store, part, key);
  if (known !== null) return known;
  const made = await make();
  if (store !== null) await writePart(store, part, key, made);
  return made;
}

/**
 * Keeps so many under way that the engine's batches are full. Prompts of one length run side by side: rows of a run are padded to the longest,
 * what a run carries decides what it costs, and a prompt that comes again is read once. No result depends on its neighbours.
 * @returns results in the order of the items
 */
async function eachAtOnce<T extends Transcript | Order, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const line = items
    .map((item, at) => ({ at, length: lengthOf(item), prompt: promptOf(item) }))
    .sort((a, b) => a.length - b.length || (a.prompt < b.prompt ? -1 : 1));
  let next = 0;
  const worker = async () => {
    for (let turn = next++; turn < line.length; turn = next++) {
      const { at } = line[turn]!;
      results[at] = await work(items[at]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker));
  return results;
}

/** Tokens that are read before anything is written, or at all where everything is known. */
function lengthOf(item: Transcript | Order): number {
  return 'order' in item ? item.order.promptIds.length + item.evidence.length : item.promptIds.length;
}

function promptOf(item: Transcript | Order): string {
  return ('order' in item ? item.order : item).promptIds.join();
}
