/** Honest text is written and scored once, in batches, and kept. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  generateAll,
  ordersHash,
  readTexts,
  scoreAll,
  type Transcript,
  tokensOf,
} from '../../provider/calibrate/corpus.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';
import { all, orders } from './calibrate-fixture.ts';
import { machine, promptOf } from './judge-fixture.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-corpus-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function* each<T>(parts: AsyncIterable<T>): AsyncGenerator<T[]> {
  for await (const part of parts) yield [part];
}

/** An engine that was there before and must not be asked again. */
const GONE = {
  ...createToyEngine(),
  generate: () => {
    throw new Error('asked again');
  },
  score: () => Promise.reject(new Error('asked again')),
} as unknown as Engine;

describe('honest text', () => {
  it('is written once, in the order of the orders, and read from disk afterwards', async () => {
    const store = { folder: path.join(folder, 'text') };
    const engine = machine('fp32', 'a');
    const written = await all(generateAll(engine, orders, store));
    expect(written.map(({ order }) => order)).toEqual(orders);
    const first = [];
    for await (const token of engine.generate(orders[0]!)) first.push(token.id);
    expect(tokensOf(written[0]!)).toEqual(first);
    expect(await all(generateAll(GONE, orders, store))).toEqual(written);
    expect(await all(readTexts(orders, store))).toEqual(written);
    expect(readdirSync(store.folder)).toEqual(['00000.evidence', '00001.evidence']);
  });

  it('is written again where the orders have changed', async () => {
    const store = { folder: path.join(folder, 'text') };
    const other = orders.map((order) => ({ ...order, seed: order.seed + 1n }));
    await expect(all(generateAll(GONE, other, store))).rejects.toThrow('asked again');
    await expect(all(readTexts(other, store))).rejects.toThrow('is not in');
    expect(ordersHash(other)).not.toBe(ordersHash(orders));
  });

  it('is scored as a job would be, and not twice', async () => {
    const [generator, scorer] = [machine('fp32', 'a'), machine('fp32', 'b')];
    const store = { folder: path.join(folder, 'scores') };
    const some = orders.slice(0, 20);
    const own = async function* (): AsyncGenerator<Transcript[]> {
      yield await all(generateAll(generator, some, null));
    };
    for await (const { transcripts, scores } of scoreAll(scorer, own(), store)) {
      const order = { ...transcripts[3]!.order, outputIds: tokensOf(transcripts[3]!) };
      expect(scores[3]).toEqual(await scorer.score(order));
    }
    let read = 0;
    for await (const { scores } of scoreAll(GONE, own(), store)) read += scores.length;
    expect(read).toBe(20);
  });

  it('is not scored again where the same engine has scored an answer that came out alike, and is where it differs', async () => {
    const [generator, other, scorer] = [machine('fp32', 'a'), machine('fp16', 'b'), machine('fp32', 'c')];
    const some = orders.slice(0, 60);
    const textBy = async function* (engine: Engine): AsyncGenerator<Transcript[]> {
      yield await all(generateAll(engine, some, null));
    };
    const [expected] = await all(each(scoreAll(scorer, textBy(other), null)));
    const known = scoreAll(scorer, textBy(generator), null);
    const asked: string[] = [];
    const watched: Engine = {
      ...scorer,
      score: (request) => {
        asked.push(request.outputIds.join());
        return scorer.score(request);
      },
    };
    const [found] = await all(each(scoreAll(watched, textBy(other), null, known)));
    expect(found!.scores).toEqual(expected!.scores);
    const own = (await all(textBy(generator))).map((item) => tokensOf(item).join());
    const differing = found!.transcripts.map((item) => tokensOf(item).join()).filter((text, at) => text !== own[at]);
    expect(differing.length).toBeGreaterThan(0);
    expect(differing.length).toBeLessThan(some.length);
    expect(asked.sort()).toEqual(differing.sort());
  });

  it('is written side by side by the length of prompts, and stands in the order of its orders', async () => {
    const begun: number[] = [];
    const engine = machine('fp32', 'a');
    const watched: Engine = {
      ...engine,
      generate: (request) => {
        begun.push(request.promptIds.length);
        return engine.generate(request);
      },
    };
    const mixed = orders
      .slice(0, 50)
      .map((order, at) => ({ ...order, promptIds: promptOf('x'.repeat(1 + ((at * 7) % 50))) }));
    const written = await all(generateAll(watched, mixed, null));
    expect(written.map(({ order }) => order)).toEqual(mixed);
    expect(begun).toEqual([...begun].sort((a, b) => a - b));
    expect(new Set(begun).size).toBeGreaterThan(10);
  });
});
