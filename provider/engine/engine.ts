/** What a provider needs from whatever runs its model (SPEC.md, "Sampling" and "Evidence"). */

import type { TokenEvidence } from '#protocol/evidence';
import type { TokenLogprobs } from '#protocol/logprobs';
import type { SAMPLER_VERSION, Sampling } from '#protocol/sampling';
import type { TextModel } from '#protocol/text';

/** What the manifest says about an engine. */
export interface EngineInfo {
  /** Short name, such as `onnxruntime`. */
  readonly engine: string;
  readonly engineVersion: string;
  /** Engine, version, device, arithmetic and cache types: equal strings should give equal tokens. */
  readonly numericClass: string;
  /** Width of the logits. */
  readonly vocabSize: number;
  /** Most tokens of prompt and answer together. */
  readonly contextMax: number;
  /** Tokens that end an answer, ascending. */
  readonly eosIds: readonly number[];
  /** In the order of preference. */
  readonly executionProviders: readonly string[];
  /** null: the engine cannot run the shared sampler and serves plain argmax alone; absent: it runs this one. */
  readonly sampler?: typeof SAMPLER_VERSION | null;
  /** Most alternatives with log-probabilities a token; absent where it gives none. */
  readonly logprobsMax?: number;
}

/** One answer to generate. */
export interface GenerateRequest {
  readonly promptIds: readonly number[];
  /** With its stop strings, which the engine applies to the text of its tokens. */
  readonly sampling: Sampling;
  /** uint64, or int64 in two's complement. */
  readonly seed: bigint;
  /** Most tokens of the transcript, a terminal EOS included; prompt and transcript must fit the context. */
  readonly maxTokens: number;
  /** How many alternatives with log-probabilities each token comes with; absent: none, and no log-probability either. */
  readonly logprobs?: number | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Why a transcript ended: `stop` = an EOS, which is the last token of the transcript, committed and scored like any
 * other; `stop_string` = this token completed a stop string; `length` = `maxTokens` tokens without either.
 */
export type FinishKind = 'stop' | 'stop_string' | 'length';

/** One token of a transcript. */
export interface GeneratedToken {
  readonly id: number;
  readonly evidence: TokenEvidence;
  /** Exactly where the request asked for them. */
  readonly logprobs?: TokenLogprobs | undefined;
  /** null for all but the last token. */
  readonly finish: FinishKind | null;
}

/** Claimed tokens to score. */
export interface ScoreRequest {
  readonly promptIds: readonly number[];
  /** The claimed transcript; all ids must be in the vocabulary (the gateway refuses other claims before scoring). */
  readonly outputIds: readonly number[];
  readonly sampling: Sampling;
  readonly seed: bigint;
  readonly signal?: AbortSignal;
}

/** A model that generates and scores; several calls may run at once and do not influence each other's results. */
export interface Engine {
  readonly info: EngineInfo;
  readonly text: TextModel;
  /**
   * Generates one answer; leaving the loop early frees what it holds.
   * @throws EngineError
   */
  generate(request: GenerateRequest): AsyncGenerator<GeneratedToken, void, void>;
  /**
   * One prefill over prompt and claimed tokens.
   * @returns the engine's own evidence for every output position, with the claimed token as `chosen`.
   * @throws EngineError
   */
  score(request: ScoreRequest): Promise<TokenEvidence[]>;
  /** Frees the model, after the runs that are under way; calls after it fail with `closed`. */
  close(): Promise<void>;
}

/** Why an engine could not do what it was asked; a closed list. */
export type EngineErrorCode =
  | 'context_exceeded'
  | 'bad_token'
  | 'empty_prompt'
  | 'aborted'
  | 'closed'
  | 'unsupported_model'
  | 'unsupported_sampling'
  | 'engine_missing'
  | 'run_failed'
  // an engine in front of another server
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_refused'
  | 'upstream_failed'
  | 'upstream_malformed'
  | 'upstream_too_large'
  | 'upstream_no_token_ids'
  | 'upstream_mismatch';

/** A failure of an engine; its message holds names and numbers of the model, never prompts or outputs. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The code of an engine's failure, for logs; undefined for anything else. */
export function engineCodeOf(error: unknown): EngineErrorCode | undefined {
  return error instanceof EngineError ? error.code : undefined;
}

/**
 * Checks a request's tokens against the model's limits.
 * @param answerIds claimed tokens, for a score.
 * @param answerTokens how many tokens may follow the prompt.
 * @throws EngineError
 */
export function checkTokens(
  info: EngineInfo,
  promptIds: readonly number[],
  answerIds: readonly number[],
  answerTokens: number,
): void {
  if (promptIds.length === 0) throw new EngineError('empty_prompt', 'the prompt has no tokens');
  for (const ids of [promptIds, answerIds]) {
    if (ids.some((id) => !Number.isInteger(id) || id < 0 || id >= info.vocabSize)) {
      throw new EngineError('bad_token', `an id is outside the vocabulary of ${info.vocabSize}`);
    }
  }
  if (!Number.isInteger(answerTokens) || answerTokens < 0 || promptIds.length + answerTokens > info.contextMax) {
    const needed = `${promptIds.length} + ${answerTokens}`;
    throw new EngineError('context_exceeded', `${needed} tokens do not fit a context of ${info.contextMax}`);
  }
}

/** @throws EngineError `aborted` */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EngineError('aborted', 'the job was aborted');
}
