/** The token loop that all engines with logits share: sample, count, stop (SPEC.md, "Sampling"). */

import type { TokenEvidence } from '#protocol/evidence';
import { chooseToken, evidenceFor } from '#protocol/sampler';
import type { Sampling } from '#protocol/sampling';
import type { TextModel } from '#protocol/text';
import type { FinishKind, GeneratedToken, GenerateRequest } from './engine.ts';
import { logprobsOf } from './logprobs.ts';

/** Writes one transcript token by token. */
export class TranscriptWriter {
  readonly #request: GenerateRequest;
  readonly #eosIds: ReadonlySet<number>;
  readonly #counts = new Map<number, number>();
  readonly #detokenizer: ReturnType<TextModel['createDetokenizer']> | null;
  #position = 0;

  constructor(request: GenerateRequest, text: TextModel) {
    this.#request = request;
    this.#eosIds = new Set(text.eosIds);
    const { stop } = request.sampling;
    this.#detokenizer = stop.length === 0 ? null : text.createDetokenizer(stop);
  }

  /** Samples the next token. */
  next(logits: Float32Array): GeneratedToken {
    const { sampling, seed } = this.#request;
    const { id, evidence } = chooseToken(logits, {
      sampling,
      seed,
      position: this.#position,
      outputCounts: this.#counts,
    });
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    this.#position += 1;
    const wanted = this.#request.logprobs;
    const logprobs = wanted === undefined ? undefined : logprobsOf(logits, id, wanted);
    return { id, evidence, logprobs, finish: this.#finishOf(id) };
  }

  #finishOf(id: number): FinishKind | null {
    if (this.#eosIds.has(id)) return 'stop';
    if (this.#detokenizer?.push(id).stopped) return 'stop_string';
    return this.#position >= this.#request.maxTokens ? 'length' : null;
  }
}

/** Makes a scorer's evidence, position after position. */
export class TranscriptScorer {
  readonly #sampling: Sampling;
  readonly #seed: bigint;
  readonly #outputIds: readonly number[];
  readonly #counts = new Map<number, number>();
  readonly evidence: TokenEvidence[] = [];

  constructor(sampling: Sampling, seed: bigint, outputIds: readonly number[]) {
    this.#sampling = sampling;
    this.#seed = seed;
    this.#outputIds = outputIds;
  }

  /** Scores the next output position by the logits that the model gives there. */
  score(logits: Float32Array): void {
    const position = this.evidence.length;
    const claimed = this.#outputIds[position]!;
    const context = { sampling: this.#sampling, seed: this.#seed, position, outputCounts: this.#counts };
    this.evidence.push(evidenceFor(logits, context, claimed));
    this.#counts.set(claimed, (this.#counts.get(claimed) ?? 0) + 1);
  }
}
