/** The llama.cpp decoder over a context that remembers everything it was told: what it asks, of whom, and when (no package needed). */
import { describe, expect, it } from 'vitest';
import type { LlamaContext, LlamaInput, LlamaSequence } from '../../provider/engine/llama/binding.ts';
import { LlamaDecoder, RUN_TOKENS_MAX } from '../../provider/engine/llama/llama-decoder.ts';

const VOCAB = 2 ** 12;

/** Logits that tell the whole history of their sequence, so that anything left over from another caller shows. */
function logitsAfter(history: readonly number[]): Map<number, number> {
  const sum = history.reduce((hash, token) => (hash * 31 + token + 1) % 65_521, 7);
  const logits = new Map<number, number>();
  for (let id = VOCAB - 1; id >= 0; id--) logits.set(id, (sum + id) % 1000);
  return logits;
}

class FakeSequence implements LlamaSequence {
  readonly history: number[] = [];
  readonly world: FakeContext;

  constructor(world: FakeContext) {
    this.world = world;
  }

  async controlledEvaluate(input: readonly LlamaInput[]) {
    this.world.runs.push(input.length);
    this.world.running += 1;
    this.world.mostRunning = Math.max(this.world.mostRunning, this.world.running);
    await Promise.resolve();
    this.world.running -= 1;
    if (this.world.isBroken) throw new Error('out of memory');
    return input.map((item) => {
      this.history.push(typeof item === 'number' ? item : item[0]);
      return typeof item === 'number' ? undefined : { next: { logits: this.world.answer(logitsAfter(this.history)) } };
    });
  }

  async clearHistory() {
    this.history.length = 0;
  }
}

class FakeContext implements LlamaContext {
  readonly contextSize = 2048;
  readonly runs: number[] = [];
  running = 0;
  mostRunning = 0;
  isBroken = false;
  isDisposed = false;
  answer = (logits: ReadonlyMap<number, number>): ReadonlyMap<number, number> => logits;
  getSequence = () => new FakeSequence(this);
  dispose = async () => {
    this.isDisposed = true;
  };
}

function decoderOf(sequences = 2) {
  const context = new FakeContext();
  let isReleased = false;
  const release = async () => {
    expect(context.isDisposed).toBe(true);
    isReleased = true;
  };
  const decoder = new LlamaDecoder({ context, sequences, vocabSize: VOCAB, release });
  return { context, decoder, isReleased: () => isReleased };
}

const range = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => (from + i * 7) % VOCAB);
const expected = (history: readonly number[]): number[] => {
  const logits = logitsAfter(history);
  return Array.from({ length: VOCAB }, (_, id) => logits.get(id)!);
};

describe('the llama.cpp decoder', () => {
  it.each([
    [1, 0],
    [5, 4],
    [RUN_TOKENS_MAX, RUN_TOKENS_MAX - 1],
    [RUN_TOKENS_MAX + 1, RUN_TOKENS_MAX],
    [300, 120],
    [300, 0],
  ])('hands out the logits of every wanted position, of %d tokens from %d on, in order', async (count, firstWanted) => {
    const { context, decoder } = decoderOf();
    const ids = range(count);
    const seen: number[][] = [];
    await decoder.read(ids, firstWanted, undefined, async (logits) => {
      seen.push([...logits]);
    });
    expect(seen).toHaveLength(count - firstWanted);
    for (const at of [0, seen.length - 1]) expect(seen[at]).toEqual(expected(ids.slice(0, firstWanted + at + 1)));
    expect(context.runs.reduce((sum, length) => sum + length, 0)).toBe(count);
    expect(Math.max(...context.runs)).toBeLessThanOrEqual(RUN_TOKENS_MAX);
  });

  it('answers token by token, and leaves nothing of one prompt to the next caller of its sequence', async () => {
    const { decoder } = decoderOf(1);
    const first = await decoder.start([1, 2, 3], undefined);
    expect([...first.logits]).toEqual(expected([1, 2, 3]));
    expect([...(await first.next(9))]).toEqual(expected([1, 2, 3, 9]));
    first.leave();
    const second = await decoder.start([4], undefined);
    expect([...second.logits]).toEqual(expected([4]));
  });

  it('runs one sequence at a time, whoever asks', async () => {
    const { context, decoder } = decoderOf(4);
    await Promise.all(
      [11, 12, 13, 14].map(async (from) => {
        const steps = await decoder.start(range(40, from), undefined);
        for (const id of [1, 2, 3]) await steps.next(id);
        steps.leave();
      }),
    );
    expect(context.mostRunning).toBe(1);
  });

  it('lets those wait for whom there is no sequence, and refuses them once it is closed', async () => {
    const { decoder, isReleased } = decoderOf(1);
    const first = await decoder.start([1], undefined);
    const second = decoder.start([2], undefined);
    first.leave();
    const third = decoder.start([3], undefined);
    (await second).leave();
    const fourth = decoder.start([4], undefined);
    await third;
    const refused = expect(fourth).rejects.toMatchObject({ code: 'closed' });
    await decoder.close();
    await refused;
    expect(isReleased()).toBe(true);
    await expect(decoder.start([5], undefined)).rejects.toMatchObject({ code: 'closed' });
  });

  it('gives a sequence back when its caller aborts or a run fails', async () => {
    const { context, decoder } = decoderOf(1);
    const stop = new AbortController();
    const steps = await decoder.start([1], stop.signal);
    stop.abort();
    await expect(steps.next(2)).rejects.toMatchObject({ code: 'aborted' });
    steps.leave();
    await expect(decoder.start([1], stop.signal)).rejects.toMatchObject({ code: 'aborted' });
    context.isBroken = true;
    await expect(decoder.start([1], undefined)).rejects.toMatchObject({ code: 'run_failed' });
    context.isBroken = false;
    expect([...(await decoder.start([6], undefined)).logits]).toEqual(expected([6]));
  });

  it('takes no logits for a part of the vocabulary: the sampler would never choose the rest', async () => {
    const { context, decoder } = decoderOf();
    context.answer = (logits) => new Map([...logits].slice(0, 40));
    await expect(decoder.start([1], undefined)).rejects.toMatchObject({ code: 'run_failed' });
  });
});
