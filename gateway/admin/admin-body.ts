/** Bodies, queries and replies of the admin API: strict schemas with limits, the faulty field named, nothing quoted. */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import { type Policy, policyOfText } from '#protocol/policy';
import { safeParse, zAddress } from '#protocol/schema';
import { baseUrl } from '#protocol/settings';
import { readBody } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import { MONEY_MAX_NANO } from '../ledger/accounts.ts';

/** Orders of operators are small; a certificate or a policy fits many times. */
const BODY_BYTES_MAX = 64 * 1024;

/** A word that may stand in the public log and in ids. */
export const zWord = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,63}$/, 'expected a lower-case word');
/** A name for people. */
export const zLabel = z.string().min(1).max(64);
/** Names an outside payment, so that it is entered once. */
export const zReference = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/, 'expected a reference');
export const zAmountNano = z
  .string()
  .regex(/^(0|[1-9]\d{0,18})$/, 'expected nano-units as a decimal string')
  .transform(BigInt)
  .refine((amount) => amount <= MONEY_MAX_NANO, 'expected at most 2^62 - 1');
export const zUrl = z
  .string()
  .max(2048)
  .refine((text) => 'value' in baseUrl(text), 'expected a base URL');
export const zPolicyText = z.string().min(1).max(256);

/** @throws {ProtocolError} invalid_json, invalid_request with the first faulty field, request_too_large */
export async function parseBody<T>(c: GatewayContext, schema: z.ZodType<T>): Promise<T> {
  const bytes = await readBody(c.req.raw, BODY_BYTES_MAX);
  let body: unknown;
  try {
    body = bytes.length === 0 ? {} : JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ProtocolError('invalid_json', 'The body is not JSON.', { cause });
  }
  return parseValue(schema, body);
}

/** @throws {ProtocolError} invalid_request with the first faulty field */
export function parseValue<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = safeParse(schema, value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0]! : null;
  // A name that the caller made up may be anything; only one that looks like a name is said back.
  const param = [...issue.path.map(String), ...(unknown !== null && /^\w{1,64}$/.test(unknown) ? [unknown] : [])].join(
    '.',
  );
  throw new ProtocolError('invalid_request', `Invalid value for '${param || 'body'}'.`, param ? { param } : {});
}

/** @throws {ProtocolError} invalid_policy */
export function parsePolicy(text: string): Policy {
  return policyOfText(text, 'policy');
}

/** The provider of a path. @throws {ProtocolError} not_found */
export function providerOf(c: GatewayContext): `0x${string}` {
  const parsed = safeParse(zAddress, (c.req.param('address') ?? '').toLowerCase());
  if (!parsed.success) throw noSuch('provider');
  return parsed.data;
}

export function noSuch(what: string): ProtocolError {
  return new ProtocolError('not_found', `There is no such ${what}.`);
}

export function listOf(data: readonly unknown[]): { object: 'list'; data: readonly unknown[] } {
  return { object: 'list', data };
}
