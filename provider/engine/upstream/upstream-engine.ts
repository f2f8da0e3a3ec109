/** An engine in front of an inference server: it generates and scores at temperature 0, by token ids only (DESIGN §6). */
import type { Clock } from '#protocol/env';
import type { TokenEvidence } from '#protocol/evidence';
import { needsSampler, type Sampling } from '#protocol/sampling';
import type { TextModel } from '#protocol/text';
import {
  checkSignal,
  checkTokens,
  type Engine,
  EngineError,
  type EngineInfo,
  type FinishKind,
  type GeneratedToken,
  type GenerateRequest,
  type ScoreRequest,
} from '../engine.ts';
import type { Dialect, DialectDeps, DialectName, Proposal, Reach, RunEnd, ServerFacts } from './dialect.ts';
import { UPSTREAM_LIMITS, UpstreamClient, type UpstreamLimits } from './http-client.ts';
import { createLlamaCppDialect } from './llamacpp.ts';
import { claimedEvidence, greedyChoice } from './logprob-evidence.ts';
import { createSglangDialect } from './sglang.ts';
import { tryOut } from './trial.ts';
import { createVllmDialect } from './vllm.ts';

/** Where the server is, and what nobody but its operator knows about it. */
export interface UpstreamOptions {
  /** Base URL without a trailing slash. */
  readonly url: string;
  readonly dialect: DialectName;
  /** Name that the server knows the model by. */
  readonly model: string;
  readonly apiKey: string | null;
  /** Parts of the numeric class: device, arithmetic at kernel level, type of the key-value cache. */
  readonly device: string;
  readonly dtype: string;
  readonly kvDtype: string;
  readonly limits?: Partial<UpstreamLimits>;
}

const DIALECTS: Readonly<Record<DialectName, (deps: DialectDeps) => Dialect>> = {
  vllm: createVllmDialect,
  sglang: createSglangDialect,
  llamacpp: createLlamaCppDialect,
};

/**
 * Connects to a server and tries it: what it says about itself, a short answer, and its score.
 * @param text the model folder's; its ids, vocabulary and ends are what counts.
 * @throws EngineError with the reason why this server cannot be used.
 */
export async function createUpstreamEngine(text: TextModel, options: UpstreamOptions, clock: Clock): Promise<Engine> {
  const { url, apiKey, model } = options;
  const client = new UpstreamClient({ url, apiKey, clock, limits: { ...UPSTREAM_LIMITS, ...options.limits } });
  const { eosIds, vocabSize } = text;
  const dialect = DIALECTS[options.dialect]({ client, model, eosIds, vocabSize, plainId: plainIdOf(text) });
  const facts = await dialect.facts({ signal: new AbortController().signal, mayRetry: true });
  if (facts.vocabSize !== null && facts.vocabSize !== vocabSize) {
    const sizes = `${facts.vocabSize}, the model folder's ${vocabSize}`;
    throw new EngineError('upstream_mismatch', `the upstream's vocabulary has a size of ${sizes}`);
  }
  const engine = new UpstreamEngine(dialect, text, infoOf(text, options, facts), facts.contextMax);
  await tryOut(engine);
  return engine;
}

function infoOf(text: TextModel, options: UpstreamOptions, facts: ServerFacts): EngineInfo {
  // Slashes separate the parts of a class, and models' names have them.
  const part = (name: string) => name.replaceAll(/[^A-Za-z0-9._+-]/g, '_');
  const { dialect, device, dtype, kvDtype, model } = options;
  const parts = [`${dialect}-${facts.version}`, device, dtype, `kv-${kvDtype}`, model];
  return {
    engine: dialect,
    engineVersion: facts.version,
    numericClass: parts.map(part).join('/'),
    vocabSize: text.vocabSize,
    contextMax: Math.min(text.contextMax, facts.contextMax ?? text.contextMax),
    eosIds: text.eosIds,
    executionProviders: [device],
    sampler: null,
  };
}

/** A token that is a whole character by itself, as nearly every vocabulary has. @throws EngineError */
function plainIdOf(text: TextModel): number {
  const id = text.encode('a').find((candidate) => /^[!-~]+$/.test(text.decode([candidate])));
  if (id === undefined) throw new EngineError('unsupported_model', 'the vocabulary has no plain token');
  return id;
}

class UpstreamEngine implements Engine {
  readonly info: EngineInfo;
  readonly text: TextModel;
  readonly #dialect: Dialect;
  /** What one call may hold, where it is known. */
  readonly #callMax: number | null;
  readonly #stop = new AbortController();

  constructor(dialect: Dialect, text: TextModel, info: EngineInfo, callMax: number | null) {
    this.#dialect = dialect;
    this.text = text;
    this.info = info;
    this.#callMax = callMax;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GeneratedToken, void, void> {
    const { promptIds, maxTokens, sampling } = request;
    checkServed(sampling);
    checkTokens(this.info, promptIds, [], maxTokens);
    const signal = this.#signalOf(request.signal);
    const ending = new Ending(this.text, sampling.stop, maxTokens);
    const ids = [...promptIds];
    const end = ids.length + maxTokens;
    let isHeldBack = false;
    while (ids.length < end) {
      const before = ids.length;
      const reach = { signal, mayRetry: before === promptIds.length };
      const run: AsyncGenerator<Proposal, RunEnd, void> = isHeldBack
        ? peeked(this.#dialect, ids, reach)
        : this.#dialect.propose([...ids], end - before, reach);
      let runEnd: RunEnd | null = null;
      try {
        while (runEnd === null) {
          const step = await this.#explained(request.signal, () => run.next());
          if (step.done) {
            runEnd = step.value;
            break;
          }
          const { id, evidence } = greedyChoice(step.value, this.info.vocabSize);
          ids.push(id);
          const finish = ending.after(id);
          yield { id, evidence, finish };
          if (finish !== null) return;
          // A tie that the server breaks another way than our rule: what it makes of its own token is of no use.
          if (id !== step.value.id) break;
        }
      } finally {
        await run.return('spent');
      }
      // The server has stopped where the model folder knows of no end, or keeps the end token to itself.
      isHeldBack = runEnd === 'stopped';
      if (runEnd === 'spent' && ids.length === before) {
        throw new EngineError('upstream_failed', 'the upstream ended its answer before its first token');
      }
    }
  }

  async score(request: ScoreRequest): Promise<TokenEvidence[]> {
    const { promptIds, outputIds, sampling } = request;
    checkServed(sampling);
    checkTokens(this.info, promptIds, outputIds, outputIds.length);
    const signal = this.#signalOf(request.signal);
    if (outputIds.length === 0) return [];
    const scored = await this.#explained(request.signal, () =>
      this.#dialect.score({ promptIds, outputIds }, this.#callMax, { signal, mayRetry: true }),
    );
    return scored.map((position, at) => claimedEvidence(outputIds[at]!, position, this.info.vocabSize));
  }

  /** Ends all runs: unlike an engine of our own, nothing here would be freed under them. */
  async close(): Promise<void> {
    this.#stop.abort();
  }

  #signalOf(signal: AbortSignal | undefined): AbortSignal {
    this.#checkRunning(signal);
    return signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
  }

  async #explained<T>(signal: AbortSignal | undefined, step: () => Promise<T>): Promise<T> {
    this.#checkRunning(signal);
    try {
      return await step();
    } catch (error) {
      this.#checkRunning(signal);
      throw error;
    }
  }

  #checkRunning(signal: AbortSignal | undefined): void {
    checkSignal(signal);
    if (this.#stop.signal.aborted) throw new EngineError('closed', 'the engine is closed');
  }
}

/** A run of the one token that the server would not go on to by itself. */
async function* peeked(dialect: Dialect, ids: readonly number[], reach: Reach): AsyncGenerator<Proposal, RunEnd, void> {
  yield await dialect.peek([...ids], reach);
  return 'spent';
}

/** Where a transcript ends by our own rules, whatever the server says. */
class Ending {
  readonly #eosIds: ReadonlySet<number>;
  readonly #detokenizer: ReturnType<TextModel['createDetokenizer']> | null;
  #left: number;

  constructor(text: TextModel, stop: readonly string[], maxTokens: number) {
    this.#eosIds = new Set(text.eosIds);
    this.#detokenizer = stop.length === 0 ? null : text.createDetokenizer(stop);
    this.#left = maxTokens;
  }

  after(id: number): FinishKind | null {
    this.#left -= 1;
    if (this.#eosIds.has(id)) return 'stop';
    if (this.#detokenizer?.push(id).stopped) return 'stop_string';
    return this.#left <= 0 ? 'length' : null;
  }
}

/** @throws EngineError `unsupported_sampling` before any work: the server's noise is not ours. */
function checkServed(sampling: Sampling): void {
  if (needsSampler(sampling)) {
    throw new EngineError('unsupported_sampling', 'an upstream serves temperature 0 without penalties or bias');
  }
}
