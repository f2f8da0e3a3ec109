/** SGLang: its native `POST /generate` with token ids (reference: sglang/srt/managers/io_struct.py). */
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
  type LogprobList,
  type Proposal,
  parseReply,
  type Reach,
  type RunEnd,
  requireIds,
  type ScoredPosition,
  type ServerFacts,
  sameIds,
  zIds,
  zLogprob,
} from './dialect.ts';
import { sliceSizes } from './slices.ts';

const PATH = '/generate';
/** What the server keeps free of every context: `max_req_input_len` is the context less this. */
const RESERVED_TOKENS = 6;

/** [log-probability, token id, text or null]. */
const zTriple = z.tuple([zLogprob, zTokenId]).rest(z.unknown());
const zTriples = z.array(zTriple).max(TOKENS_MAX);
const zTopRows = z.array(zTriples.nullable()).max(TOKENS_MAX);
const zGenerated = z.object({
  output_ids: zIds.nullish(),
  meta_info: z.object({
    prompt_tokens: z.number().int(),
    finish_reason: z.object({ type: z.string() }).nullish(),
    output_token_logprobs: zTriples.nullish(),
    output_top_logprobs: zTopRows.nullish(),
  }),
});
const zScored = z.object({
  meta_info: z.object({
    prompt_tokens: z.number().int(),
    input_token_logprobs: zTriples,
    input_top_logprobs: zTopRows,
  }),
});
const zServer = z.object({
  version: z.string().min(1).max(64),
  context_length: z.number().int().nullish(),
  max_req_input_len: z.number().int().nullish(),
});

export function createSglangDialect(deps: DialectDeps): Dialect {
  return new Sglang(deps);
}

class Sglang implements Dialect {
  readonly #deps: DialectDeps;

  constructor(deps: DialectDeps) {
    this.#deps = deps;
  }

  async facts(reach: Reach): Promise<ServerFacts> {
    const call = { path: '/get_server_info', bytesMax: bytesMaxFor(0), ...reach };
    const info = parseReply(zServer, await this.#deps.client.json(call), 'server info');
    const byContext = info.context_length == null ? null : info.context_length - RESERVED_TOKENS;
    return { version: info.version, contextMax: info.max_req_input_len ?? byContext, vocabSize: null };
  }

  /**
   * Slices in place of a stream: streamed log-probabilities are cumulative, so their bytes grow with the square of the
   * answer; the prompt cache makes the next slice cheap.
   */
  async *propose(ids: readonly number[], count: number, reach: Reach): AsyncGenerator<Proposal, RunEnd, void> {
    const known = [...ids];
    let mayRetry = reach.mayRetry;
    for (const size of sliceSizes(count)) {
      const params = { max_new_tokens: size, stop_token_ids: this.#deps.eosIds };
      const { proposals, finish } = await this.#generate(known, params, { ...reach, mayRetry });
      yield* proposals;
      mayRetry = false;
      known.push(...proposals.map(({ id }) => id));
      if (finish === 'stop') return 'stopped';
      if (proposals.length < size) return 'spent';
    }
    return 'spent';
  }

  async peek(ids: readonly number[], reach: Reach): Promise<Proposal> {
    const { proposals } = await this.#generate(ids, { max_new_tokens: 1, ignore_eos: true }, reach);
    checkLength(proposals.length, 1, 'tokens');
    return proposals[0]!;
  }

  async score(
    { promptIds, outputIds }: { promptIds: readonly number[]; outputIds: readonly number[] },
    _contextMax: number | null,
    reach: Reach,
  ): Promise<ScoredPosition[]> {
    const ids = [...promptIds, ...outputIds];
    const body = {
      ...bodyOf(ids, { max_new_tokens: 0 }),
      // One position early: the first one listed never has a log-probability.
      logprob_start_len: promptIds.length - 1,
    };
    const call = { path: PATH, body, bytesMax: bytesMaxFor(outputIds.length), ...reach };
    const { meta_info: meta } = parseReply(zScored, await this.#deps.client.json(call), 'score');
    checkPrompt(meta.prompt_tokens === ids.length);
    checkLength(meta.input_token_logprobs.length, outputIds.length + 1, 'prompt log-probabilities');
    checkLength(meta.input_top_logprobs.length, outputIds.length + 1, 'lists of log-probabilities');
    return outputIds.map((claimed, at) => {
      const [logprob, id] = meta.input_token_logprobs[at + 1]!;
      // The highest id is echoed as 0: the server clips what it takes for hashes of images.
      checkPrompt(id === claimed || (id === 0 && claimed >= this.#deps.vocabSize - 1));
      return { logprob, list: listOf(meta.input_top_logprobs[at + 1]) };
    });
  }

  async #generate(ids: readonly number[], params: object, reach: Reach) {
    const size = 'max_new_tokens' in params ? Number(params.max_new_tokens) : 0;
    const call = { path: PATH, body: bodyOf(ids, params), bytesMax: bytesMaxFor(size), ...reach };
    const { output_ids, meta_info: meta } = parseReply(zGenerated, await this.#deps.client.json(call), 'generation');
    const outputIds = requireIds(output_ids);
    checkPrompt(meta.prompt_tokens === ids.length);
    const finish = meta.finish_reason?.type ?? null;
    if (finish === 'abort') throw new EngineError('upstream_failed', 'the upstream aborted the generation');
    const rows = meta.output_token_logprobs ?? [];
    const tops = meta.output_top_logprobs ?? [];
    checkLength(tops.length, rows.length, 'lists of log-probabilities');
    const proposals = rows.map(([, id], at) => ({ id, list: listOf(tops[at]) }));
    const generated = proposals.map(({ id }) => id);
    // Versions differ in whether the end token, which has log-probabilities, is listed among the ids.
    const isTrimmed = finish === 'stop' && sameIds(outputIds, generated.slice(0, -1));
    if (!sameIds(outputIds, generated) && !isTrimmed) {
      throw new EngineError('upstream_malformed', "the upstream's ids and log-probabilities are of different tokens");
    }
    return { proposals, finish };
  }
}

function bodyOf(ids: readonly number[], params: object) {
  return {
    input_ids: ids,
    sampling_params: {
      temperature: 0,
      top_p: 1,
      top_k: -1,
      min_p: 0,
      presence_penalty: 0,
      frequency_penalty: 0,
      repetition_penalty: 1,
      skip_special_tokens: false,
      no_stop_trim: true,
      ...params,
    },
    return_logprob: true,
    logprob_start_len: -1,
    top_logprobs_num: LOGPROBS_ASKED,
    stream: false,
  };
}

function listOf(row: z.infer<typeof zTriples> | null | undefined): LogprobList {
  if (row == null) throw new EngineError('upstream_malformed', 'the upstream left out log-probabilities');
  return row.map(([logprob, id]) => [id, logprob] as const);
}
