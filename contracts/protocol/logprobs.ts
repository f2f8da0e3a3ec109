/** Log-probabilities of a transcript's tokens: their form, their hash, and how they are sealed (SPEC.md §12.5). */
import { z } from 'zod';
import { canonicalJson } from './canonical.ts';
import { LOGIT_Q16_MIN, LOGIT_SCALE } from './evidence.ts';
import { concat, fromHex, type Hash, sha256, taggedHash, toHex, u8, u32, utf8 } from './hash.ts';
import { TOKENS_MAX, zTokenId } from './schema.ts';
import { TAGS } from './version.ts';

/** Most alternatives of one token; OpenAI's own limit of `top_logprobs`. */
export const TOP_LOGPROBS_MAX = 20;
/** Each of the 20 is rounded by half a unit of 2^-16, so that their sum may pass one by about 2^-17. */
const MASS_SLACK = 1e-4;

/**
 * One output token: its natural log-probability and those of the most likely tokens, best first, all int32 in units of
 * 2^-16. They are the model's own, before penalties, bias, temperature and restriction.
 */
export type TokenLogprobs = readonly [chosenQ16: number, top: readonly (readonly [id: number, logprobQ16: number])[]];

const zLogprob = z.int().min(LOGIT_Q16_MIN).max(0);

/** Parses one token's log-probabilities; their meaning is checked by `logprobsProblem`. */
export const zTokenLogprobs: z.ZodType<TokenLogprobs> = z.tuple([
  zLogprob,
  z.array(z.tuple([zTokenId, zLogprob])).max(TOP_LOGPROBS_MAX),
]);
export const zLogprobList = z.array(zTokenLogprobs).max(TOKENS_MAX);

/** Natural logarithm of a wire value; exact, so that it survives JSON. */
export function logprobOf(logprobQ16: number): number {
  return logprobQ16 / LOGIT_SCALE;
}

/** Hash of a chunk's log-probabilities: count u32, then per token chosen i32, n u8, n times (id u32, logprob i32). */
export function logprobsHash(tokens: readonly TokenLogprobs[]): Hash {
  const parts = tokens.flatMap(([chosen, top]) => [
    i32(chosen),
    u8(top.length),
    ...top.flatMap(([id, logprob]) => [u32(id), i32(logprob)]),
  ]);
  return toHex(taggedHash(TAGS.logprobs, u32(tokens.length), concat(...parts)));
}

function i32(value: number): Uint8Array {
  return u32(value >>> 0);
}

/**
 * The salt of a commitment that also binds log-probabilities: whoever opens the chunk answers for them, and nobody could
 * choose them after having seen what others opened.
 * @param inner 32 fresh random bytes, without which the commitment would hide nothing
 */
export function logprobSalt(inner: Hash, tokens: readonly TokenLogprobs[]): Hash {
  return toHex(taggedHash(TAGS.logprobSalt, fromHex(inner), fromHex(logprobsHash(tokens))));
}

/** Why log-probabilities contradict themselves; a closed list. */
export type LogprobsProblem = 'wrong_top_count' | 'wrong_token' | 'wrong_order' | 'wrong_chosen' | 'wrong_mass';

/** The first rule that one token's log-probabilities break, or null. @param top alternatives that were ordered */
export function logprobsProblem(
  [chosenLogprob, list]: TokenLogprobs,
  rules: { readonly chosen: number; readonly top: number; readonly vocabSize: number },
): LogprobsProblem | null {
  if (list.length !== Math.min(rules.top, rules.vocabSize)) return 'wrong_top_count';
  if (new Set(list.map(([id]) => id)).size !== list.length || list.some(([id]) => id >= rules.vocabSize)) {
    return 'wrong_token';
  }
  for (let at = 1; at < list.length; at++) {
    const [[id, logprob], [before, best]] = [list[at]!, list[at - 1]!];
    if (logprob > best || (logprob === best && id < before)) return 'wrong_order';
  }
  const own = list.find(([id]) => id === rules.chosen);
  if (own === undefined ? chosenLogprob > (list.at(-1)?.[1] ?? 0) : own[1] !== chosenLogprob) return 'wrong_chosen';
  const mass = list.reduce((sum, [, logprob]) => sum + Math.exp(logprobOf(logprob)), 0);
  return mass > 1 + MASS_SLACK ? 'wrong_mass' : null;
}

/**
 * Whether two machines' log-probabilities of the same token are honest ones of one model.
 * @param tolerance how far two of them may be apart, in natural-log units; one unit of rounding comes on top
 */
export function logprobsAgree(a: TokenLogprobs, b: TokenLogprobs, tolerance: number): boolean {
  const slack = tolerance * LOGIT_SCALE + 1;
  return Math.abs(a[0] - b[0]) <= slack && listsAgree(a[1], b[1], slack) && listsAgree(b[1], a[1], slack);
}

/** What one list has and the other has not may only just have missed it. */
function listsAgree(a: TokenLogprobs[1], b: TokenLogprobs[1], slack: number): boolean {
  if (a.length !== b.length) return false;
  const others = new Map(b);
  const last = b.at(-1)?.[1] ?? 0;
  return a.every(([id, logprob]) => {
    const other = others.get(id);
    return other === undefined ? logprob <= last + slack : Math.abs(logprob - other) <= slack;
  });
}

/** `choices[].logprobs` of one choice as the client sees it. */
export interface ShownLogprobs {
  readonly index: number;
  readonly logprobs: unknown;
}

/**
 * What the attestation covers of the log-probabilities: SHA-256 of the RFC 8785 form of `[{index, logprobs}]` in the order
 * of the indices, each exactly as it stands in the answer (of a stream: its parts joined).
 * @throws {NotCanonicalError} when a token is not well-formed Unicode
 */
export function shownLogprobsHash(choices: readonly ShownLogprobs[]): Hash {
  const sorted = [...choices].sort((a, b) => a.index - b.index).map(({ index, logprobs }) => ({ index, logprobs }));
  return toHex(sha256(utf8(canonicalJson(sorted))));
}
