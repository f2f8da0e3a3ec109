/** Cheats that need the model's logits at every step: some wrong seeds, near-ties taken at will, drafts accepted too easily. */
import { LOGIT_SCALE } from '#protocol/evidence';
import { chooseToken, evidenceFor, perturbedScore, type SamplerContext } from '#protocol/sampler';
import { drawn } from '../../../provider/calibrate/orders.ts';
import type { Engine } from '../../../provider/engine/engine.ts';
import type { LoadedModel } from '../../../provider/engine/onnx/onnx-engine.ts';
import { type OwnWriter, type TakenToken, writing } from './token-loop.ts';

/** Draws a share of positions of one answer, the same in every run. */
function isPicked(share: number, { seed, position }: SamplerContext): boolean {
  return Number(drawn(`wrong seed ${seed} ${position}`)) / 2 ** 32 < share;
}

/** Takes other noise for a share of the tokens. */
export function someSeeds(model: LoadedModel, share: number): Engine {
  const take = (logits: Float32Array, context: SamplerContext): TakenToken =>
    chooseToken(logits, isPicked(share, context) ? { ...context, seed: context.seed + 1n } : context);
  return writing(model, async () => ({ take }));
}

/** Takes the second best token wherever it is within `reach` logits of the best: what a seed-aware provider steers by. */
export function steering(model: LoadedModel, reach: number): Engine {
  const take = (logits: Float32Array, context: SamplerContext): TakenToken => {
    const honest = chooseToken(logits, context);
    const [first, second] = honest.evidence.top.map(([id, logit]) => scoreOf(id, logit, context));
    const other = honest.evidence.top[1];
    if (other === undefined || first! - second! > reach) return honest;
    return { id: other[0], evidence: evidenceFor(logits, context, other[0]) };
  };
  return writing(model, async () => ({ take }));
}

/**
 * Lossy speculative decoding: a small model drafts every token, and the draft stands if the real model has it within `reach` logits of
 * its own choice. Real ones draft several tokens before they verify, which changes what it costs and not what comes out.
 */
export function draftedBy(model: LoadedModel, small: LoadedModel, reach: number): Engine {
  return writing(model, async ({ promptIds, signal }): Promise<OwnWriter> => {
    const steps = await small.decoder.start(promptIds, signal);
    let drafts = steps.logits;
    return {
      take(logits, context) {
        const honest = chooseToken(logits, context);
        const draft = chooseToken(drafts, context);
        const judged = evidenceFor(logits, context, draft.id);
        const [best] = honest.evidence.top;
        const behind = scoreOf(best![0], best![1], context) - scoreOf(draft.id, judged.chosenLogit, context);
        return behind <= reach ? { id: draft.id, evidence: judged } : honest;
      },
      async read(id) {
        drafts = await steps.next(id);
      },
      leave: () => steps.leave(),
    };
  });
}

function scoreOf(id: number, logitQ16: number, { sampling, seed, position }: SamplerContext): number {
  return perturbedScore(logitQ16 / LOGIT_SCALE, sampling.temperature, seed, position, id);
}
