/** The member `target` of a quote: a budget or a wanted security, for which the cheapest policy is looked up (spec-money.md §11.12). */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import { safeParse, zNano } from '#protocol/schema';
import type { SecurityTarget } from '../audit/cheapest.ts';
import { COLLUDING_SHARE } from '../round/security.ts';

/** A committee of 15 costs 15 seats; streamed witnessed answers less than four a seat. */
const MULTIPLE_MAX = 1_000;
/** A year. */
const FINALITY_SECONDS_MAX = 31_536_000;
/** How the members are called in a query. */
const QUERY_PREFIX = 'target_';
/** A number as a query has it. */
const NUMBER = /^\d{1,9}(\.\d{1,9})?$/;

const zTarget = z
  .strictObject({
    max_cost: zNano.nullish(),
    price_multiple_max: z.number().min(1).max(MULTIPLE_MAX).nullish(),
    capture_probability_max: z.number().min(0).max(1).nullish(),
    stake_at_risk_min: zNano.nullish(),
    deters: z.boolean().nullish(),
    finality_seconds_max: z.number().int().min(0).max(FINALITY_SECONDS_MAX).nullish(),
    colluding_share: z.number().min(0).max(1).nullish(),
  })
  .refine(
    ({ colluding_share, ...bounds }) => Object.values(bounds).some((bound) => bound !== undefined && bound !== null),
    {
      message: 'a target names a bound',
    },
  );

/** Members of a query that belong to the target, as the body would have them. */
export function targetOfQuery(query: Readonly<Record<string, string>>): Record<string, unknown> | undefined {
  const members = Object.entries(query).flatMap(([name, text]): (readonly [string, unknown])[] => {
    if (!isTargetParameter(name)) return [];
    const member = name.slice(QUERY_PREFIX.length);
    if (text === 'true' || text === 'false') return [[member, text === 'true']];
    // Amounts stay decimal strings.
    const isAmount = member === 'max_cost' || member === 'stake_at_risk_min';
    return [[member, !isAmount && NUMBER.test(text) ? Number(text) : text]];
  });
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

export function isTargetParameter(name: string): boolean {
  return name.startsWith(QUERY_PREFIX);
}

/** @returns null where none is given @throws {ProtocolError} invalid_request, its `param` the member */
export function parseTarget(given: unknown): SecurityTarget | null {
  if (given === undefined || given === null) return null;
  const parsed = safeParse(zTarget, given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const member = issue?.code === 'unrecognized_keys' ? issue.keys[0]! : String(issue?.path[0] ?? '');
    throw new ProtocolError('invalid_request', 'target holds bounds on price and security, each within its range.', {
      param: `target${member === '' ? '' : '.'}${member}`.slice(0, 64),
    });
  }
  const { data } = parsed;
  return {
    maxCostNano: typeof data.max_cost === 'string' ? BigInt(data.max_cost) : null,
    priceMultipleMax: data.price_multiple_max ?? null,
    captureProbabilityMax: data.capture_probability_max ?? null,
    stakeAtRiskMinNano: typeof data.stake_at_risk_min === 'string' ? BigInt(data.stake_at_risk_min) : null,
    isDeterring: data.deters ?? false,
    finalitySecondsMax: data.finality_seconds_max ?? null,
    colludingShare: data.colluding_share ?? COLLUDING_SHARE,
  };
}
