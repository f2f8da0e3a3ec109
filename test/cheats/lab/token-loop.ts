/** A provider's own token loop over the real model: it reads the model's logits and takes what it likes. */
import type { TokenEvidence } from '#protocol/evidence';
import type { SamplerContext } from '#protocol/sampler';
import {
  checkTokens,
  type Engine,
  type GeneratedToken,
  type GenerateRequest,
} from '../../../provider/engine/engine.ts';
import { LogitEngine } from '../../../provider/engine/logit-engine.ts';
import type { LoadedModel } from '../../../provider/engine/onnx/onnx-engine.ts';
import { withParts } from '../../fixtures/cheats-engine.ts';

/** A token, and the evidence that the provider seals for it. */
export interface TakenToken {
  readonly id: number;
  readonly evidence: TokenEvidence;
}

/** How one answer is written. */
export interface OwnWriter {
  take(logits: Float32Array, context: SamplerContext): TakenToken;
  /** Told of every token that the answer goes on after. */
  read?(id: number): Promise<void>;
  leave?(): void;
}

/** The honest engine of a model. */
export function engineOf({ info, text, decoder }: LoadedModel): Engine {
  return new LogitEngine(info, text, decoder);
}

/** An engine that writes by a loop of its own, and scores honestly. Stop strings are not looked for. */
export function writing(model: LoadedModel, begin: (request: GenerateRequest) => Promise<OwnWriter>): Engine {
  const generate = (request: GenerateRequest) => written(model, request, begin);
  return withParts(engineOf(model), { generate });
}

async function* written(
  { info, decoder }: LoadedModel,
  request: GenerateRequest,
  begin: (request: GenerateRequest) => Promise<OwnWriter>,
): AsyncGenerator<GeneratedToken, void, void> {
  const { promptIds, sampling, seed, maxTokens, signal } = request;
  checkTokens(info, promptIds, [], maxTokens);
  const outputCounts = new Map<number, number>();
  const writer = await begin(request);
  const steps = await decoder.start(promptIds, signal);
  try {
    let { logits } = steps;
    for (let position = 0; position < maxTokens; position++) {
      const { id, evidence } = writer.take(logits, { sampling, seed, position, outputCounts });
      outputCounts.set(id, (outputCounts.get(id) ?? 0) + 1);
      const isLast = position + 1 === maxTokens;
      const finish = info.eosIds.includes(id) ? 'stop' : isLast ? 'length' : null;
      yield { id, evidence, finish };
      if (finish !== null) return;
      [logits] = await Promise.all([steps.next(id), writer.read?.(id)]);
    }
  } finally {
    steps.leave();
    writer.leave?.();
  }
}
