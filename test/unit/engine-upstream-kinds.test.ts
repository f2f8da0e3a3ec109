/** Faults that only one kind of inference server has. */
import { afterEach, describe, expect, it } from 'vitest';
import { GREEDY } from '#protocol/sampling';
import type { Engine } from '../../provider/engine/engine.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';
import type { DialectName } from '../../provider/engine/upstream/dialect.ts';
import { fakeModelOf } from '../fixtures/fake-upstream/fake-model.ts';
import { failureOf, type OpenOptions, openUpstream, runOf, type Upstream } from '../fixtures/fake-upstream/open.ts';

const toy = createToyEngine();
/** 57 tokens long: several slices, many chunks. */
const PROMPT_IDS = toy.text.encodeChat([{ role: 'user', content: 'one more' }]);

const opened: Upstream[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function open(dialect: DialectName, options: Partial<OpenOptions> = {}): Promise<Upstream> {
  const upstream = await openUpstream({ dialect, ...options });
  opened.push(upstream);
  return upstream;
}

const generate = (engine: Engine) => runOf(engine, PROMPT_IDS, { maxTokens: 60 });

describe('what only one kind of server gets wrong', () => {
  it('vLLM: an error inside a stream, and a stream without a finish reason, are no answers', async () => {
    const { engine, fake } = await open('vllm');
    fake.faults.failsMidway = true;
    expect((await failureOf(generate(engine))).code).toBe('upstream_failed');
    fake.faults.failsMidway = false;
    fake.faults.unfinished = true;
    fake.faults.givesMax = 10;
    expect((await failureOf(generate(engine))).code).toBe('upstream_failed');
  });

  it('vLLM: a model that the server does not know', async () => {
    expect((await failureOf(open('vllm', { askedModel: 'other' }))).code).toBe('upstream_mismatch');
  });

  it('SGLang: an aborted generation is no short answer', async () => {
    const { engine, fake } = await open('sglang');
    fake.faults.failsMidway = true;
    expect((await failureOf(generate(engine))).code).toBe('upstream_failed');
  });

  it('llama.cpp: a server that ignores biases cannot score', async () => {
    expect((await failureOf(open('llamacpp', { faults: { ignoresBias: true } }))).code).toBe('upstream_mismatch');
  });

  it('llama.cpp: a server with a vocabulary of another size', async () => {
    const model = { ...fakeModelOf(toy), vocabSize: 127 };
    expect((await failureOf(open('llamacpp', { model }))).code).toBe('upstream_mismatch');
  });

  it.each(['sglang', 'llamacpp'] as const)(
    '%s: after the first slice a refused connection ends the job',
    async (kind) => {
      const { engine, fake, clock } = await open(kind);
      const job = engine.generate({ promptIds: PROMPT_IDS, sampling: GREEDY, seed: 0n, maxTokens: 60 });
      for (let count = 0; count < 8; count++) await job.next();
      await fake.close();
      expect((await failureOf(job.next())).code).toBe('upstream_unreachable');
      expect(clock.sleeping).toBe(0);
      await fake.listen();
    },
  );
});
