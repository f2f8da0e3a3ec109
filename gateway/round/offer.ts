/** What a request can cost, by the same rule for a quote and for the hold (SPEC.md §11.5). Pure. */
import type { AuditTerms } from '#protocol/audit';
import { ProtocolError } from '#protocol/errors';
import type { Policy } from '#protocol/policy';
import { promptOfChoice } from '#protocol/prompt-groups';
import { type CostShape, coverNano, type ModelPrice, quoteNano } from '../ledger/price.ts';
import { chunkSizesOf, scorePassesOf } from './chunk-plan.ts';

/** The parts of a request that decide its cost. */
export interface Costed {
  readonly model: { readonly price: ModelPrice };
  readonly policy: Policy;
  /** Of all prompts together. */
  readonly choices: number;
  /** Of each prompt. */
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
  readonly stream: boolean;
  /** What an audited answer can promise at most; absent in other modes. */
  readonly audit?: AuditTerms | null;
}

export interface Offer {
  /** By prompt: what the jobs of its choices are like. */
  readonly shapes: readonly CostShape[];
  /** The most that the client can be charged, and what is held. */
  readonly quoteNano: bigint;
  /** What the reserve sets aside beside it. */
  readonly coverNano: bigint;
  /** The quote over that of one seat alone, and the latter. */
  readonly priceMultiple: number;
  readonly seatNano: bigint;
}

/** Digits of the multiple; it is rounded up. */
const MULTIPLE_SCALE = 1000n;

/**
 * @param streamChunks tokens per chunk of streamed answers
 * @throws {ProtocolError} max_cost_exceeded where the policy's own limit is below the quote; insufficient_quota
 */
export function offerOf(costed: Costed, streamChunks: readonly number[]): Offer {
  const { policy } = costed;
  const shapes = shapesOf(costed, streamChunks);
  const quote = quoteNano(...shapes);
  const { maxCostNano } = policy;
  if (maxCostNano !== null && quote > maxCostNano) {
    const message = `The request can cost ${quote} nano, which is more than max_cost, ${maxCostNano}.`;
    throw new ProtocolError('max_cost_exceeded', message, { param: 'verification.max_cost' });
  }
  const cover = shapes.reduce((sum, shape) => sum + coverNano(shape), 0n);
  const seatNano = seatNanoOf(shapes);
  return { shapes, quoteNano: quote, coverNano: cover, seatNano, priceMultiple: multipleOf(shapes, quote, seatNano) };
}

/** By prompt: what the jobs of its choices are like under this policy. */
export function shapesOf(
  { model, policy, choices, promptTokens, maxTokens, stream, audit }: Costed,
  streamChunks: readonly number[],
): CostShape[] {
  const chunkSizes = chunkSizesOf(policy, { stream, maxTokens }, streamChunks);
  return promptTokens.map((inputTokens): CostShape => {
    return {
      price: model.price,
      seats: policy.n,
      scorePasses: scorePassesOf(policy, chunkSizes, maxTokens),
      ...(audit ? { audit } : {}),
      choices: choices / promptTokens.length,
      inputTokens,
      maxTokens,
    };
  });
}

/** The quote of one seat alone. */
function seatNanoOf(shapes: readonly CostShape[]): bigint {
  return quoteNano(...shapes.map((shape) => ({ ...shape, seats: 1, scorePasses: undefined, audit: undefined })));
}

/** Where nothing costs anything, as many times nothing as there are jobs that generate. */
function multipleOf(shapes: readonly CostShape[], quote: bigint, single: bigint): number {
  const [{ seats, scorePasses }] = shapes as [CostShape];
  if (single === 0n) return scorePasses === undefined ? seats : 1;
  return Number((quote * MULTIPLE_SCALE + single - 1n) / single) / Number(MULTIPLE_SCALE);
}

/** What the jobs of a choice are like. @param choices of the whole request */
export function shapeOfChoice({ shapes }: Pick<Offer, 'shapes'>, choice: number, choices: number): CostShape {
  return shapes[promptOfChoice(choice, { prompts: shapes.length, choices })]!;
}
