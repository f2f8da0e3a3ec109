/** The choices of one answer, each to be checked like an answer of its own (SPEC.md §4.4, §10.1). Pure. */
import type { Statement } from './attestation.ts';
import { choicesPerPrompt } from './prompt-groups.ts';
import { choiceSeed, samplingHash } from './request.ts';
import { requestHash } from './typed.ts';
import { VERDICTS, type Verdict } from './verdict.ts';

/**
 * The choices of a statement in order, each as the statement of an answer that has no other: with its own seed and request
 * hash, which are derived and not read, its own prompt, waves, tokens and verdict.
 */
export function choicesOf(statement: Statement): Statement[] {
  const { choices, firstVerdict, ...shared } = statement;
  if (choices === undefined || firstVerdict === undefined) return [statement];
  const others = choices.map(({ skipped, prompt, ...own }, at): Statement => {
    const request = { ...shared.request, ...prompt, seed: choiceSeed(BigInt(shared.request.seed), at + 1).toString() };
    return { ...shared, ...own, request, requestHash: hashOfRequest(request), draw: { ...shared.draw, skipped } };
  });
  return [{ ...shared, verdict: firstVerdict }, ...others];
}

/** Hash and length of every prompt of a statement, in order. @param choices of the statement, in order */
export function promptsOf(
  statement: Statement,
  choices: readonly Statement[],
): readonly Pick<Statement['request'], 'promptHash' | 'promptTokens'>[] {
  const perPrompt = choicesPerPrompt(statement.choices ?? []);
  return choices.filter((_, index) => index % perPrompt === 0).map(({ request }) => request);
}

/** `requestHash` of the parts that a statement names. */
export function hashOfRequest(request: Statement['request']): Statement['requestHash'] {
  return requestHash({ ...request, samplingHash: samplingHash(request.sampling), seed: BigInt(request.seed) });
}

/**
 * An answer is worth what its weakest choice is: the latest in the order of VERDICTS.
 * @throws {RangeError} without any verdict
 */
export function weakestVerdict(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.length === 0) throw new RangeError('"verdicts" is empty');
  return verdicts.reduce((a, b) => (VERDICTS.indexOf(b) > VERDICTS.indexOf(a) ? b : a));
}
