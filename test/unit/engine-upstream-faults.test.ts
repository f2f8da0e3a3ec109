/** What the upstream engine does about servers that refuse, fail, hang, flood, lie or leave things out. */
import { createServer, type Server } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { GREEDY } from '#protocol/sampling';
import type { Engine, EngineErrorCode } from '../../provider/engine/engine.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';
import { DIALECTS, type DialectName } from '../../provider/engine/upstream/dialect.ts';
import { UPSTREAM_LIMITS } from '../../provider/engine/upstream/http-client.ts';
import { createUpstreamEngine } from '../../provider/engine/upstream/upstream-engine.ts';
import type { FakeFaults } from '../fixtures/fake-upstream/fake-context.ts';
import { failureOf, type OpenOptions, openUpstream, runOf, type Upstream } from '../fixtures/fake-upstream/open.ts';
import { StepClock } from '../fixtures/fake-upstream/step-clock.ts';

const toy = createToyEngine();
/** 57 tokens long: several slices, many chunks. */
const PROMPT_IDS = toy.text.encodeChat([{ role: 'user', content: 'one more' }]);
const PARTS = { model: 'served-model', apiKey: null, device: 'h200', dtype: 'fp32', kvDtype: 'fp32' };

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function open(dialect: DialectName, options: Partial<OpenOptions> = {}): Promise<Upstream> {
  const upstream = await openUpstream({ dialect, ...options });
  opened.push(upstream);
  return upstream;
}

const generate = (engine: Engine) => runOf(engine, PROMPT_IDS, { maxTokens: 60 });
const score = (engine: Engine) =>
  engine.score({ promptIds: PROMPT_IDS, outputIds: [70, 71, 72], sampling: GREEDY, seed: 0n });

/** Lets `ms` pass once somebody waits for exactly that. */
async function advance(clock: StepClock, ms: number): Promise<void> {
  await clock.until(ms);
  clock.advance(ms);
}

const BOTH: readonly [name: string, (engine: Engine) => Promise<unknown>][] = [
  ['generating', generate],
  ['scoring', score],
];

describe.each(DIALECTS)('a faulty upstream of the kind %s', (dialect) => {
  describe.each(BOTH)('when %s', (_, run) => {
    it.each<[string, FakeFaults, EngineErrorCode]>([
      ['refuses with 400', { status: 400 }, 'upstream_refused'],
      ['wants a key', { status: 401 }, 'upstream_refused'],
      ['has no such route', { status: 404 }, 'upstream_refused'],
      ['is overloaded', { status: 429 }, 'upstream_refused'],
      ['fails', { status: 500 }, 'upstream_failed'],
      ['is loading its model', { status: 503 }, 'upstream_failed'],
      ['answers with a redirect', { status: 302 }, 'upstream_failed'],
      ['breaks off', { breaksOff: true }, 'upstream_failed'],
      ['floods', { endless: true }, 'upstream_too_large'],
      ['gives too few log-probabilities', { listMax: 7 }, 'upstream_malformed'],
      ['leaves a row of log-probabilities out', { rowsMissing: true }, 'upstream_malformed'],
      ['lists a token twice', { repeats: true }, 'upstream_malformed'],
      ['has a vocabulary of its own', { strangeId: true }, 'upstream_mismatch'],
      ['reads a start token that nobody sent', { addsStart: true }, 'upstream_mismatch'],
    ])('a server that %s', async (name, faults, code) => {
      // JSON objects cannot hold a key twice, so vLLM's lists cannot either.
      if (name === 'lists a token twice' && dialect === 'vllm') return;
      const { engine, fake } = await open(dialect);
      Object.assign(fake.faults, faults);
      const before = fake.calls.length;
      const error = await failureOf(run(engine));
      expect(error.code).toBe(code);
      // No prompt, no part of the server's own words, and no second try.
      const told = `${error.message} ${String(error.cause ?? '')}`;
      expect(told).not.toContain(PROMPT_IDS.slice(0, 5).join(' '));
      expect(told).not.toContain(PROMPT_IDS.slice(0, 5).join(','));
      expect(told).not.toContain('cannot serve');
      // llama.cpp's positions are calls of their own.
      expect(fake.calls.length - before).toBeLessThanOrEqual(dialect === 'llamacpp' ? 3 : 1);
      // Recovered, it serves again.
      for (const key of Object.keys(faults)) delete fake.faults[key as keyof FakeFaults];
      await run(engine);
    });

    it('gives up when nothing is answered in time', async () => {
      const { engine, fake, clock } = await open(dialect);
      fake.faults.silent = true;
      const arrived = fake.next();
      const failed = failureOf(run(engine));
      await arrived;
      clock.advance(UPSTREAM_LIMITS.firstByteMs - 1);
      expect(fake.abandoned).toBe(0);
      const gone = fake.next();
      clock.advance(1);
      expect((await failed).code).toBe('upstream_timeout');
      await gone;
      expect(fake.abandoned).toBe(1);
      expect(clock.sleeping).toBe(0);
    });

    it('gives up on an answer that stops halfway, comments notwithstanding', async () => {
      const { engine, fake, clock } = await open(dialect);
      fake.faults.stalls = true;
      const arrived = fake.next();
      const failed = failureOf(run(engine));
      await arrived;
      const isStream = dialect === 'vllm' && run === generate;
      if (isStream) {
        await settled(clock);
        clock.advance(UPSTREAM_LIMITS.idleMs / 2);
        fake.push(': still here\n\n');
        await settled(clock);
        clock.advance(UPSTREAM_LIMITS.idleMs / 2);
      } else {
        await settled(clock);
        clock.advance(UPSTREAM_LIMITS.idleMs);
      }
      expect((await failed).code).toBe('upstream_timeout');
      expect(clock.sleeping).toBe(0);
    });

    it('gives up on an answer that does not begin', async () => {
      const { engine, fake, clock } = await open(dialect);
      fake.faults.mute = true;
      const arrived = fake.next();
      const failed = failureOf(run(engine));
      await arrived;
      await advance(clock, UPSTREAM_LIMITS.idleMs);
      expect((await failed).code).toBe('upstream_timeout');
    });

    it('passes an abort on to the server', async () => {
      const { engine, fake, clock } = await open(dialect);
      fake.faults.silent = true;
      const controller = new AbortController();
      const arrived = fake.next();
      const { signal } = controller;
      const job = { promptIds: PROMPT_IDS, sampling: GREEDY, seed: 0n, signal };
      const running =
        run === score ? engine.score({ ...job, outputIds: [70] }) : engine.generate({ ...job, maxTokens: 9 }).next();
      const failed = failureOf(running as Promise<unknown>);
      await arrived;
      const gone = fake.next();
      controller.abort();
      expect((await failed).code).toBe('aborted');
      await gone;
      expect(fake.abandoned).toBe(1);
      expect(clock.sleeping).toBe(0);
      await expect(runOf(engine, PROMPT_IDS, { maxTokens: 3, signal })).rejects.toMatchObject({ code: 'aborted' });
    });

    it('tries a refused connection again, before anything was generated', async () => {
      const { engine, fake, clock, url } = await open(dialect);
      await fake.close();
      const running = run(engine);
      await advance(clock, UPSTREAM_LIMITS.retryDelayMs);
      await clock.until(2 * UPSTREAM_LIMITS.retryDelayMs);
      await fake.listen(Number(new URL(url).port));
      clock.advance(2 * UPSTREAM_LIMITS.retryDelayMs);
      await running;
    });

    it('gives up on refused connections after the last try', async () => {
      const { engine, fake, clock } = await open(dialect);
      await fake.close();
      const failed = failureOf(run(engine));
      for (let tries = 0; tries < UPSTREAM_LIMITS.retriesMax; tries++) {
        await advance(clock, UPSTREAM_LIMITS.retryDelayMs * 2 ** tries);
      }
      expect((await failed).code).toBe('upstream_unreachable');
      await fake.listen();
    });
  });

  it.each<[string, FakeFaults, EngineErrorCode]>([
    ['does not return token ids', { noTokenIds: true }, 'upstream_no_token_ids'],
    ['takes another token than its best', { notGreedy: true }, 'upstream_mismatch'],
  ])('a server that %s is not believed', async (_, faults, code) => {
    const { engine, fake } = await open(dialect);
    Object.assign(fake.faults, faults);
    expect((await failureOf(generate(engine))).code).toBe(code);
  });

  it('a server that returns text without ids is not believed when it scores either', async () => {
    const { engine, fake } = await open(dialect);
    fake.faults.noTokenIds = true;
    // SGLang echoes the ids that it scored beside their log-probabilities.
    if (dialect === 'sglang') expect(await score(engine)).toHaveLength(3);
    else expect((await failureOf(score(engine))).code).toBe('upstream_no_token_ids');
  });

  it('half a JSON body, or a stream that ends in the middle, is no answer', async () => {
    const { engine, fake } = await open(dialect);
    fake.faults.truncated = true;
    const code = (await failureOf(generate(engine))).code;
    expect(code).toBe(dialect === 'vllm' ? 'upstream_failed' : 'upstream_malformed');
    expect((await failureOf(score(engine))).code).toBe('upstream_malformed');
  });

  it('a server that runs out of room before the first token is not asked for ever', async () => {
    const { engine, fake } = await open(dialect);
    fake.faults.givesMax = 0;
    const before = fake.calls.length;
    const failed = await failureOf(runOf(engine, PROMPT_IDS, { maxTokens: 3 }));
    expect(failed.code).toBe('upstream_failed');
    expect(fake.calls.length).toBe(before + 1);
  });

  it('closes the connection when whoever reads the tokens leaves', async () => {
    const { engine, fake, clock } = await open(dialect);
    for await (const _ of engine.generate({ promptIds: PROMPT_IDS, sampling: GREEDY, seed: 0n, maxTokens: 60 })) break;
    expect(clock.sleeping).toBe(0);
    const calls = fake.calls.length;
    await setImmediate();
    expect(fake.calls.length).toBe(calls);
  });

  describe('at the start', () => {
    it.each<[string, Partial<OpenOptions>, EngineErrorCode]>([
      ['returns no token ids', { faults: { noTokenIds: true } }, 'upstream_no_token_ids'],
      ['gives fewer than 8 log-probabilities', { faults: { listMax: 7 } }, 'upstream_malformed'],
      ['does not decode greedily', { faults: { notGreedy: true } }, 'upstream_mismatch'],
      ['does not score its own answer as its own', { faults: { skewsScores: true } }, 'upstream_mismatch'],
      ['reads another prompt', { faults: { addsStart: true } }, 'upstream_mismatch'],
      ['wants another key', { apiKey: 'sk-right', sentKey: 'sk-wrong' }, 'upstream_refused'],
      ['wants a key and gets none', { apiKey: 'sk-right', sentKey: null }, 'upstream_refused'],
      ['fails', { faults: { status: 503 } }, 'upstream_failed'],
    ])('a server that %s is refused', async (_, options, code) => {
      const error = await failureOf(open(dialect, options));
      expect(error.code).toBe(code);
      expect(error.message).not.toContain('sk-');
    });

    it('a server with its key is used, and every call carries the key', async () => {
      const { engine, fake } = await open(dialect, { apiKey: 'sk-right' });
      await generate(engine);
      expect(fake.calls.every(({ authorization }) => authorization === 'Bearer sk-right')).toBe(true);
    });

    it('a server that is not there is refused once the tries are over', async () => {
      const { fake, url } = await open(dialect);
      await fake.close();
      const clock = new StepClock();
      const failed = failureOf(createUpstreamEngine(toy.text, { url, dialect, ...PARTS }, clock));
      for (let tries = 0; tries < UPSTREAM_LIMITS.retriesMax; tries++) {
        await advance(clock, UPSTREAM_LIMITS.retryDelayMs * 2 ** tries);
      }
      expect((await failed).code).toBe('upstream_unreachable');
      await fake.listen();
    });
  });
});

describe('a connection that is never made', () => {
  it('ends at its own deadline: here a TLS handshake that nobody answers', async () => {
    const silent: Server = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const accepted = new Promise<void>((resolve) => silent.once('connection', () => resolve()));
    const clock = new StepClock();
    const url = `https://127.0.0.1:${port}`;
    const failed = failureOf(createUpstreamEngine(toy.text, { url, dialect: 'vllm', ...PARTS }, clock));
    await accepted;
    clock.advance(UPSTREAM_LIMITS.connectMs);
    expect((await failed).code).toBe('upstream_timeout');
    await new Promise<void>((resolve) => silent.close(() => resolve()));
  });
});

/** Lets whatever has arrived be read: the number of sleepers holds still. */
async function settled(clock: StepClock): Promise<void> {
  for (let calm = 0, before = -1; calm < 20; calm = before === clock.sleeping ? calm + 1 : 0) {
    before = clock.sleeping;
    await setImmediate();
  }
}
