/** vLLM: `POST /v1/completions` with token ids (reference: vllm/entrypoints/openai/completion/protocol.py). */
import { z } from 'zod';
import { TOKENS_MAX } from '#protocol/schema';
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

const PATH = '/v1/completions';

/** Keys read `token_id:N` because of `return_tokens_as_token_ids`; up to k + 1 of them. */
const zTop = z.record(z.string().regex(/^token_id:\d{1,10}$/), zLogprob);
const zChoice = z.object({
  token_ids: zIds.nullish(),
  prompt_token_ids: zIds.nullish(),
  logprobs: z.object({ top_logprobs: z.array(zTop).max(TOKENS_MAX) }).nullish(),
  finish_reason: z.string().nullish(),
});
/** The last chunk of a stream may be one of usage, without choices. */
const zChunk = z.object({ choices: z.array(zChoice).max(1) });
const zPromptLogprobs = z.record(z.string().regex(/^\d{1,10}$/), z.object({ logprob: zLogprob }));
const zScored = z.object({
  choices: z.array(zChoice.extend({ prompt_logprobs: z.array(z.unknown()).max(TOKENS_MAX) })).length(1),
});
const zVersion = z.object({ version: z.string().min(1).max(64) });
const zModels = z.object({
  data: z.array(z.object({ id: z.string(), max_model_len: z.number().int().nullish() })).max(1024),
});

export function createVllmDialect(deps: DialectDeps): Dialect {
  return new Vllm(deps);
}

class Vllm implements Dialect {
  readonly #deps: DialectDeps;

  constructor(deps: DialectDeps) {
    this.#deps = deps;
  }

  async facts(reach: Reach): Promise<ServerFacts> {
    const { client, model } = this.#deps;
    const bytesMax = bytesMaxFor(0);
    const { version } = parseReply(zVersion, await client.json({ path: '/version', bytesMax, ...reach }), 'version');
    const { data } = parseReply(zModels, await client.json({ path: '/v1/models', bytesMax, ...reach }), 'model list');
    const served = data.find(({ id }) => id === model);
    if (served === undefined) throw new EngineError('upstream_mismatch', 'the upstream does not serve this model');
    return { version, contextMax: served.max_model_len ?? null, vocabSize: null };
  }

  async *propose(ids: readonly number[], count: number, reach: Reach): AsyncGenerator<Proposal, RunEnd, void> {
    const { client, eosIds } = this.#deps;
    // With ignore_eos the server's own list of ends is off, and stop_token_ids still holds: the model folder's.
    const body = { ...this.#body(ids, count), ignore_eos: true, stop_token_ids: eosIds, stream: true };
    let isFirst = true;
    for await (const data of client.events({ path: PATH, body, bytesMax: bytesMaxFor(ids.length + count), ...reach })) {
      const choice = parseReply(zChunk, data, 'chunk').choices[0];
      if (choice === undefined) continue;
      if (isFirst) checkPrompt(sameIds(requireIds(choice.prompt_token_ids), ids));
      isFirst = false;
      yield* proposalsOf(choice);
      if (choice.finish_reason != null) return choice.finish_reason === 'stop' ? 'stopped' : 'spent';
    }
    // After an error, too, the stream ends with [DONE]: only a finish reason says that the answer is whole.
    throw new EngineError('upstream_failed', 'the upstream ended its stream before its answer');
  }

  async peek(ids: readonly number[], reach: Reach): Promise<Proposal> {
    const body = { ...this.#body(ids, 1), ignore_eos: true };
    const reply = await this.#deps.client.json({ path: PATH, body, bytesMax: bytesMaxFor(ids.length), ...reach });
    const choice = parseReply(zChunk, reply, 'completion').choices[0];
    checkPrompt(sameIds(requireIds(choice?.prompt_token_ids), ids));
    const proposals = proposalsOf(choice!);
    checkLength(proposals.length, 1, 'tokens');
    return proposals[0]!;
  }

  async score(
    { promptIds, outputIds }: { promptIds: readonly number[]; outputIds: readonly number[] },
    contextMax: number | null,
    reach: Reach,
  ): Promise<ScoredPosition[]> {
    // The server insists on generating one token. Where the context has no room for it, it is the last claimed one:
    // allowed_token_ids forces it, and raw log-probabilities are taken before that.
    const all = [...promptIds, ...outputIds];
    const isFull = contextMax !== null && all.length >= contextMax;
    const sent = isFull ? all.slice(0, -1) : all;
    const last = outputIds.at(-1)!;
    // prompt_logprobs and stream exclude each other.
    const body = {
      ...this.#body(sent, 1),
      prompt_logprobs: LOGPROBS_ASKED,
      ...(isFull ? { allowed_token_ids: [last], ignore_eos: true } : {}),
    };
    const reply = await this.#deps.client.json({ path: PATH, body, bytesMax: bytesMaxFor(all.length), ...reach });
    const choice = parseReply(zScored, reply, 'score').choices[0]!;
    checkPrompt(sameIds(requireIds(choice.prompt_token_ids), sent));
    checkLength(choice.prompt_logprobs.length, sent.length, 'prompt log-probabilities');
    const rows = choice.prompt_logprobs
      .slice(promptIds.length)
      .map((row, at) => claimedIn(listOfRow(row), outputIds[at]!));
    if (!isFull) return rows;
    const generated = proposalsOf(choice);
    checkLength(generated.length, 1, 'tokens');
    return [...rows, claimedIn(generated[0]!.list, last)];
  }

  #body(ids: readonly number[], maxTokens: number) {
    return {
      model: this.#deps.model,
      prompt: ids,
      max_tokens: maxTokens,
      n: 1,
      // The server's defaults may come from the model's generation_config, so all that shapes a choice is named.
      temperature: 0,
      top_p: 1,
      top_k: -1,
      min_p: 0,
      presence_penalty: 0,
      frequency_penalty: 0,
      repetition_penalty: 1,
      logprobs: LOGPROBS_ASKED,
      add_special_tokens: false,
      skip_special_tokens: false,
      return_token_ids: true,
      return_tokens_as_token_ids: true,
    };
  }
}

function proposalsOf(choice: z.infer<typeof zChoice>): Proposal[] {
  const ids = requireIds(choice.token_ids);
  const rows = choice.logprobs?.top_logprobs ?? [];
  checkLength(rows.length, ids.length, 'log-probabilities');
  return ids.map((id, at) => ({ id, list: listOfTop(rows[at]!) }));
}

function listOfTop(top: z.infer<typeof zTop>): LogprobList {
  return Object.entries(top).map(([key, logprob]) => [Number(key.slice('token_id:'.length)), logprob] as const);
}

/** Only the prompt's very first position is null, and that one is never scored. */
function listOfRow(row: unknown): LogprobList {
  const parsed = parseReply(zPromptLogprobs, row, 'prompt log-probabilities');
  return Object.entries(parsed).map(([key, { logprob }]) => [Number(key), logprob] as const);
}

/** The claimed token is listed in any case: as one of the k best or as entry k + 1. */
function claimedIn(list: LogprobList, claimed: number): ScoredPosition {
  const entry = list.find(([id]) => id === claimed);
  if (entry === undefined) throw new EngineError('upstream_malformed', 'the upstream left out a claimed token');
  return { logprob: entry[1], list };
}
