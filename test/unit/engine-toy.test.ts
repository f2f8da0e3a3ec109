import { describe, expect, it } from 'vitest';
import { margin } from '#protocol/evidence';
import { GREEDY } from '#protocol/sampling';
import type { Engine, GeneratedToken } from '../../provider/engine/engine.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';

const SAMPLED = { ...GREEDY, temperature: 1 };
const PROMPT = [{ role: 'user', content: 'Tell me something.' }];

async function run(engine: Engine, seed: bigint, sampling = SAMPLED, maxTokens = 200): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  const promptIds = engine.text.encodeChat(PROMPT);
  for await (const token of engine.generate({ promptIds, sampling, seed, maxTokens })) tokens.push(token);
  return tokens;
}

async function meanMargin(scorer: Engine, tokens: GeneratedToken[], seed: bigint): Promise<number> {
  const outputIds = tokens.map(({ id }) => id);
  const promptIds = scorer.text.encodeChat(PROMPT);
  const evidence = await scorer.score({ promptIds, outputIds, sampling: SAMPLED, seed });
  const options = { temperature: 1, seed, borderTolerance: 0 };
  return (
    evidence.reduce((sum, each, position) => sum + margin(each, { ...options, position }).margin, 0) / evidence.length
  );
}

describe('the toy engine', () => {
  it('repeats itself, also in another instance, and scores itself with margin 0', async () => {
    const tokens = await run(createToyEngine(), 1n);
    expect(await run(createToyEngine(), 1n)).toEqual(tokens);
    expect(await meanMargin(createToyEngine(), tokens, 1n)).toBe(0);
  });

  it('is another model with another salt', async () => {
    const tokens = await run(createToyEngine({ salt: 'cheap' }), 1n);
    expect(await meanMargin(createToyEngine(), tokens, 1n)).toBeGreaterThan(0.2);
  });

  it('differs a little, and honestly, with numeric jitter', async () => {
    let sum = 0;
    for (let seed = 0n; seed < 20n; seed++) {
      const tokens = await run(createToyEngine({ jitter: 0.05, classSalt: 'b' }), seed);
      sum += await meanMargin(createToyEngine(), tokens, seed);
    }
    expect(sum / 20).toBeGreaterThan(0);
    expect(sum / 20).toBeLessThan(0.005);
    const names = [{}, { jitter: 0.05, classSalt: 'b' }].map((options) => createToyEngine(options).info.numericClass);
    expect(new Set(names).size).toBe(2);
  });

  it('ends answers by itself, most of them within some hundred tokens, in printable text', async () => {
    let [ended, length] = [0, 0];
    for (let seed = 0n; seed < 50n; seed++) {
      const tokens = await run(createToyEngine(), seed);
      ended += tokens.at(-1)!.finish === 'stop' ? 1 : 0;
      length += tokens.length;
      const { text } = createToyEngine().text.finalText(
        tokens.map(({ id }) => id),
        [],
      );
      expect(text).toMatch(/^[\n -~]*$/);
    }
    expect(ended).toBeGreaterThan(35);
    expect(length / 50).toBeGreaterThan(30);
    expect(length / 50).toBeLessThan(100);
  });

  it('applies stop strings and limits like any engine', async () => {
    const engine = createToyEngine();
    const tokens = await run(engine, 3n);
    const text = engine.text.decode(tokens.map(({ id }) => id));
    const stop = text.slice(4, 6);
    const stopped = await run(engine, 3n, { ...SAMPLED, stop: [stop] });
    expect(stopped.at(-1)!.finish).toBe('stop_string');
    expect((await run(engine, 3n, SAMPLED, 3)).at(-1)!.finish).toBe('length');
    await engine.close();
    await expect(run(engine, 3n)).rejects.toMatchObject({ code: 'closed' });
  });
});
