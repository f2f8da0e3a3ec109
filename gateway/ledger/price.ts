/** What work costs, what a client is quoted, and what the reserve must cover (SPEC.md §Money, "Prices"). */
import type { AuditTerms } from '#protocol/audit';
import { ProtocolError } from '#protocol/errors';
import { PPM } from '#protocol/log';
import { MONEY_MAX_NANO } from './accounts.ts';

/** Prices are per million tokens. */
export const TOKENS_PER_PRICE = 1_000_000n;
/** Highest price per million tokens: 10^15 nano = one million settlement tokens. */
export const PRICE_MAX_NANO_PER_MTOK = 10n ** 15n;
/** Most tokens of one kind in one job: 2^31 − 1, far above any context window. */
export const JOB_TOKENS_MAX = 2_147_483_647;

/** A model's price; input and output apart. */
export interface ModelPrice {
  readonly inputNanoPerMtok: bigint;
  readonly outputNanoPerMtok: bigint;
}

/** What one job did. Scoring is one prefill over prompt and claimed tokens, hence priced as input. */
export interface Work {
  readonly inputTokens: number;
  /** Revealed tokens only. */
  readonly outputTokens: number;
  readonly scoredTokens: number;
}

export interface JobPrice {
  /** Exact price times 10^6. */
  readonly exactMicroNano: bigint;
  /** Rounded up: what a client is charged. */
  readonly chargeNano: bigint;
  /** Rounded down: what the provider is paid. */
  readonly payNano: bigint;
}

/** The shape of a request about one prompt as far as its cost goes. */
export interface CostShape {
  readonly price: ModelPrice;
  /** Members of the committee, 1 for `single`. */
  readonly seats: number;
  /** Present where one seat generates and the others score: how many tokens each of them scores in every pass. */
  readonly scorePasses?: readonly number[] | undefined;
  /** Present where the answer promises audits: at the highest rate that it can come to. */
  readonly audit?: AuditTerms | undefined;
  /** OpenAI's `n`: every member runs one job per choice. */
  readonly choices: number;
  readonly inputTokens: number;
  readonly maxTokens: number;
}

/** How often a split may double the work, and so what the reserve holds for it. */
export interface CommitteeBounds {
  /** Jobs with generation: first seats, their replacements, fresh members and the referee. */
  readonly generatingJobs: number;
  /** Scoring passes by fresh members and the referee. */
  readonly scoringJobs: number;
}

/**
 * Price of one job: (input + scored) × input price + output × output price, exact, then rounded both ways.
 * A job that revealed nothing and scored nothing costs nothing, its prompt included.
 * @throws {RangeError} on a negative, fractional or too large count or price
 */
export function jobPrice(price: ModelPrice, work: Work): JobPrice {
  for (const tokens of [work.inputTokens, work.outputTokens, work.scoredTokens]) {
    if (!Number.isInteger(tokens) || tokens < 0 || tokens > JOB_TOKENS_MAX)
      throw new RangeError('"tokens" out of range');
  }
  for (const nano of [price.inputNanoPerMtok, price.outputNanoPerMtok]) {
    if (nano < 0n || nano > PRICE_MAX_NANO_PER_MTOK) throw new RangeError('"price" out of range');
  }
  if (work.outputTokens + work.scoredTokens === 0) return { exactMicroNano: 0n, chargeNano: 0n, payNano: 0n };
  const exactMicroNano =
    BigInt(work.inputTokens + work.scoredTokens) * price.inputNanoPerMtok +
    BigInt(work.outputTokens) * price.outputNanoPerMtok;
  return {
    exactMicroNano,
    chargeNano: (exactMicroNano + TOKENS_PER_PRICE - 1n) / TOKENS_PER_PRICE,
    payNano: exactMicroNano / TOKENS_PER_PRICE,
  };
}

/**
 * The most that the client can be charged: every seat's every choice generated to the end; of a witnessed answer one seat's,
 * and the passes of those that score it.
 * @param shapes of each prompt
 * @throws {ProtocolError} insufficient_quota when no account could hold it
 */
export function quoteNano(...shapes: readonly CostShape[]): bigint {
  const quotes = shapes.map((shape) => {
    const { price, seats, choices, inputTokens, maxTokens, scorePasses } = shape;
    const seat = jobPrice(price, { inputTokens, outputTokens: maxTokens, scoredTokens: 0 });
    if (shape.audit !== undefined) {
      const surcharge = surchargeNano(price, { inputTokens, outputTokens: maxTokens }, shape.audit);
      return (seat.chargeNano + surcharge) * BigInt(choices);
    }
    if (scorePasses === undefined) return seat.chargeNano * BigInt(seats * choices);
    return (seat.chargeNano + BigInt(seats - 1) * witnessChargeNano(shape, scorePasses)) * BigInt(choices);
  });
  const quote = quotes.reduce((sum, nano) => sum + nano, 0n);
  if (quote > MONEY_MAX_NANO)
    throw new ProtocolError('insufficient_quota', 'The quote is more than an account can hold.');
  return quote;
}

/**
 * What one choice pays for its audits whether or not it has one: the price of an audit times its probability, rounded up. All of it
 * goes into one pool, and every audit is paid out of that: over many answers the two are the same.
 */
export function surchargeNano(
  price: ModelPrice,
  { inputTokens, outputTokens }: Pick<Work, 'inputTokens' | 'outputTokens'>,
  { ppm, regeneratePpm }: AuditTerms,
): bigint {
  const score = jobPrice(price, { inputTokens, outputTokens: 0, scoredTokens: outputTokens }).exactMicroNano;
  const whole = jobPrice(price, { inputTokens, outputTokens, scoredTokens: 0 }).exactMicroNano;
  // In units of 10^-12 of the exact price: each of the two shares is in millionths.
  const exact = BigInt(ppm) * (BigInt(PPM - regeneratePpm) * score + BigInt(regeneratePpm) * whole);
  const scale = BigInt(PPM) * BigInt(PPM) * TOKENS_PER_PRICE;
  return (exact + scale - 1n) / scale;
}

/** What one witness costs: a score of the prompt and of what is there by then, in every pass. */
function witnessChargeNano({ price, inputTokens }: CostShape, scorePasses: readonly number[]): bigint {
  const charges = scorePasses.map(
    (scoredTokens) => jobPrice(price, { inputTokens, outputTokens: 0, scoredTokens }).chargeNano,
  );
  return charges.reduce((sum, nano) => sum + nano, 0n);
}

/** The most that one generating job can earn, a member's scoring of the rest after an honest divergence included. */
export function generatingJobMaxNano(shape: CostShape): bigint {
  const { inputTokens, maxTokens } = shape;
  // A member that diverges scores prompt + claimed tokens on top of what it generated.
  return jobPrice(shape.price, {
    inputTokens,
    outputTokens: maxTokens,
    scoredTokens: Math.min(inputTokens + maxTokens, JOB_TOKENS_MAX),
  }).payNano;
}

/** The most that one scoring pass can earn: prompt and every claimed token as input. */
export function scoringJobMaxNano(shape: CostShape): bigint {
  return jobPrice(shape.price, { inputTokens: shape.inputTokens, outputTokens: 0, scoredTokens: shape.maxTokens })
    .payNano;
}

/**
 * How many jobs a request may ever cause. `single`: its seat and one replacement. `quorum` of n: n seats, each replaced at most
 * once (2n), n fresh members, one referee = 3n + 1 generations; at most n clusters, each scored by 2 fresh members of distinct
 * operators, the first and a repeat, and by the referee = 5n scores. `witnessed` of n: its seat and one replacement; in every pass n - 1
 * witnesses, each replaced at most once, 2 fresh members and the referee = 2n + 1 scores.
 */
export function committeeBounds(seats: number, passes: number | null = null): CommitteeBounds {
  if (seats === 1) return { generatingJobs: 2, scoringJobs: 0 };
  if (passes !== null) return { generatingJobs: 2, scoringJobs: passes * (2 * seats + 1) };
  return { generatingJobs: 3 * seats + 1, scoringJobs: 5 * seats };
}

/** What the reserve must set aside for a request: every job that it may cause, with the client paying nothing. */
export function coverNano(
  shape: CostShape,
  bounds: CommitteeBounds = committeeBounds(shape.seats, shape.scorePasses?.length ?? null),
): bigint {
  const perChoice =
    BigInt(bounds.generatingJobs) * generatingJobMaxNano(shape) + BigInt(bounds.scoringJobs) * scoringJobMaxNano(shape);
  return perChoice * BigInt(shape.choices);
}

/**
 * Whether the free part of the reserve covers the worst case of one more request.
 * @param reserveFreeNano balance of `reserve`, from which the covers of running requests are already taken
 */
export function canCoverEscalation(reserveFreeNano: bigint, shape: CostShape): boolean {
  const cover = coverNano(shape);
  return cover <= MONEY_MAX_NANO && reserveFreeNano >= cover;
}
