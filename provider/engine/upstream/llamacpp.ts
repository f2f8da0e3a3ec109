/** llama.cpp's server: its native `POST /completion` with token ids (reference: llama.cpp tools/server/README.md). */
import { z } from 'zod';
import { TOKENS_MAX, zTokenId } from '#protocol/schema';
import { EngineError } from '../engine.ts';
import {
  bytesMaxFor,
  checkLength,
  checkPrompt,
  type Dialect,
  type DialectDeps,
  LOGPROBS_ASKED,
  type Proposal,
  parseReply,
  type Reach,
  type RunEnd,
  requireIds,
  type ScoredPosition,
  type ServerFacts,
  zIds,
  zLogprob,
} from './dialect.ts';
import { sliceSizes } from './slices.ts';

const PATH = '/completion';
/** Added to one token's logit it makes that token the choice whatever the model says; float32 keeps it apart. */
const FORCING_BIAS = 1e6;
/** Log-probabilities that are asked for before the whole vocabulary is. */
const WIDE_LIST = 512;
/** JSON of one listed token: id, text, its bytes one by one, log-probability. */
const LISTED_BYTES_MAX = 1024;

const zListed = z.object({ id: zTokenId, logprob: zLogprob });
const zPosition = zListed.extend({ top_logprobs: z.array(zListed).max(2 ** 20) });
const zCompletion = z.object({
  tokens: zIds.nullish(),
  completion_probabilities: z.array(zPosition).max(TOKENS_MAX).nullish(),
  tokens_evaluated: z.number().int(),
  stop_type: z.enum(['none', 'eos', 'limit', 'word']),
});
type Completion = z.infer<typeof zCompletion>;
const zProps = z.object({
  build_info: z.string().min(1).max(64),
  default_generation_settings: z.object({ n_ctx: z.number().int() }),
});
const zModels = z.object({
  data: z.array(z.object({ meta: z.object({ n_vocab: z.number().int() }).nullish() })).max(1024),
});

export function createLlamaCppDialect(deps: DialectDeps): Dialect {
  return new LlamaCpp(deps);
}

class LlamaCpp implements Dialect {
  readonly #deps: DialectDeps;

  constructor(deps: DialectDeps) {
    this.#deps = deps;
  }

  async facts(reach: Reach): Promise<ServerFacts> {
    const { client } = this.#deps;
    const bytesMax = bytesMaxFor(0);
    const props = parseReply(zProps, await client.json({ path: '/props', bytesMax, ...reach }), 'properties');
    const models = parseReply(zModels, await client.json({ path: '/v1/models', bytesMax, ...reach }), 'model list');
    const contextMax = props.default_generation_settings.n_ctx;
    return { version: props.build_info, contextMax, vocabSize: models.data[0]?.meta?.n_vocab ?? null };
  }

  /** Slices in place of a stream, which leaves out tokens that end inside a character. */
  async *propose(ids: readonly number[], count: number, reach: Reach): AsyncGenerator<Proposal, RunEnd, void> {
    const known = [...ids];
    let mayRetry = reach.mayRetry;
    for (const size of sliceSizes(count)) {
      const { tokens, reply } = await this.#complete(known, { n_predict: size }, { ...reach, mayRetry });
      mayRetry = false;
      const listed = reply.completion_probabilities ?? [];
      if (tokens.length > size) checkLength(tokens.length, size, 'tokens');
      let at = 0;
      for (const id of tokens) {
        // Tokens that end inside a character have no log-probabilities.
        const position =
          listed[at]?.id === id ? listed[at++]! : await this.#blind(known, LOGPROBS_ASKED, { ...reach, mayRetry });
        yield { id, list: listOf(position) };
        known.push(id);
      }
      checkLength(listed.length, at, 'log-probabilities');
      if (reply.stop_type === 'eos' || reply.stop_type === 'word') return 'stopped';
      if (tokens.length < size) return 'spent';
    }
    return 'spent';
  }

  async peek(ids: readonly number[], reach: Reach): Promise<Proposal> {
    const list = listOf(await this.#blind(ids, LOGPROBS_ASKED, reach));
    const best = list.reduce((a, b) => (b[1] > a[1] ? b : a));
    return { id: best[0], list };
  }

  /**
   * There are no log-probabilities of a prompt, so every position is a call that forces the claimed token: listed
   * log-probabilities are the model's, before any bias. The prompt cache makes each a step of one token.
   */
  async score(
    { promptIds, outputIds }: { promptIds: readonly number[]; outputIds: readonly number[] },
    _contextMax: number | null,
    reach: Reach,
  ): Promise<ScoredPosition[]> {
    const known = [...promptIds];
    const scored: ScoredPosition[] = [];
    for (const claimed of outputIds) {
      const position = await this.#forced(known, claimed, LOGPROBS_ASKED, reach);
      scored.push(
        position === null
          ? await this.#scoreBlind(known, claimed, reach)
          : { logprob: position.logprob, list: listOf(position) },
      );
      known.push(claimed);
    }
    return scored;
  }

  /** A claimed token that ends inside a character: looked up in ever longer lists. */
  async #scoreBlind(ids: readonly number[], claimed: number, reach: Reach): Promise<ScoredPosition> {
    for (const count of [LOGPROBS_ASKED, WIDE_LIST, this.#deps.vocabSize]) {
      const position = await this.#blind(ids, count, reach);
      const entry = position.top_logprobs.find(({ id }) => id === claimed);
      if (entry) return { logprob: entry.logprob, list: listOf(position) };
    }
    throw new EngineError('upstream_malformed', 'the upstream left out a claimed token');
  }

  /** What comes next, whatever it is: a plain token is forced, since only whole characters have log-probabilities. */
  async #blind(ids: readonly number[], count: number, reach: Reach) {
    const position = await this.#forced(ids, this.#deps.plainId, count, reach);
    if (position === null) throw new EngineError('upstream_malformed', 'the upstream left out log-probabilities');
    return position;
  }

  async #forced(ids: readonly number[], forced: number, count: number, reach: Reach) {
    const params = { n_predict: 1, n_probs: count, logit_bias: [[forced, FORCING_BIAS]] };
    const { tokens, reply } = await this.#complete(ids, params, reach, count);
    checkLength(tokens.length, 1, 'tokens');
    if (tokens[0] !== forced) throw new EngineError('upstream_mismatch', 'the upstream does not apply a bias');
    const listed = reply.completion_probabilities ?? [];
    if (listed.length === 0) return null;
    checkLength(listed.length, 1, 'log-probabilities');
    if (listed[0]!.id !== forced) throw new EngineError('upstream_malformed', 'the upstream listed another token');
    return listed[0]!;
  }

  async #complete(
    ids: readonly number[],
    params: object,
    reach: Reach,
    listed = 0,
  ): Promise<{ tokens: readonly number[]; reply: Completion }> {
    const body = {
      prompt: ids,
      // No sampler but this one: at temperature 0 it takes the best.
      samplers: ['temperature'],
      temperature: 0,
      repeat_penalty: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      n_probs: LOGPROBS_ASKED,
      post_sampling_probs: false,
      return_tokens: true,
      // Without the cache, scoring n tokens would read n² of them.
      cache_prompt: true,
      stream: false,
      ...params,
    };
    const bytesMax = bytesMaxFor(ids.length) + listed * LISTED_BYTES_MAX;
    const call = { path: PATH, body, bytesMax, ...reach };
    const reply = parseReply(zCompletion, await this.#deps.client.json(call), 'completion');
    // A prompt that was cut to fit, or got a start token, is another prompt.
    checkPrompt(reply.tokens_evaluated === ids.length);
    return { tokens: requireIds(reply.tokens), reply };
  }
}

function listOf({ top_logprobs: top }: z.infer<typeof zPosition>) {
  return top.map(({ id, logprob }) => [id, logprob] as const);
}
