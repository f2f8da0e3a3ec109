/** What a request can cost, by the same rule for a quote and for the hold (SPEC.md §11.5). Pure. */
import { ProtocolError } from '#protocol/errors';
import type { Policy } from '#protocol/policy';
import { type CostShape, coverNano, type ModelPrice, quoteNano } from '../ledger/price.ts';

/** The parts of a request that decide its cost. */
export interface Costed {
  readonly model: { readonly price: ModelPrice };
  readonly policy: Policy;
  readonly choices: number;
  readonly promptTokens: number;
  readonly maxTokens: number;
}

export interface Offer {
  readonly shape: CostShape;
  /** The most that the client can be charged, and what is held. */
  readonly quoteNano: bigint;
  /** What the reserve sets aside beside it. */
  readonly coverNano: bigint;
}

/** @throws {ProtocolError} max_cost_exceeded where the policy's own limit is below the quote; insufficient_quota */
export function offerOf({ model, policy, choices, promptTokens, maxTokens }: Costed): Offer {
  const shape = { price: model.price, seats: policy.n, choices, inputTokens: promptTokens, maxTokens };
  const quote = quoteNano(shape);
  const { maxCostNano } = policy;
  if (maxCostNano !== null && quote > maxCostNano) {
    const message = `The request can cost ${quote} nano, which is more than max_cost, ${maxCostNano}.`;
    throw new ProtocolError('max_cost_exceeded', message, { param: 'verification.max_cost' });
  }
  return { shape, quoteNano: quote, coverNano: coverNano(shape) };
}
