/** Checks of the log-probabilities in an answer: attested, sealed by the members they come from, spelled right (SPEC.md §12.5). Pure. */

import { z } from 'zod';
import type { AssayMember } from './assay-member.ts';
import type { Statement } from './attestation.ts';
import { canonicalJson, NotCanonicalError } from './canonical.ts';
import { choicesOf } from './choices.ts';
import type { ResponseContent } from './content.ts';
import { chatLogprobs, completionLogprobs, LogprobSpeller, type TokenSpelling } from './logprob-text.ts';
import { logprobOf, logprobSalt, type ShownLogprobs, shownLogprobsHash, type TokenLogprobs } from './logprobs.ts';
import { outputHash } from './request.ts';
import { safeParse } from './schema.ts';
import { servedFinish } from './verify-answer.ts';
import { finding, notChecked, type VerifyItem } from './verify-item.ts';
import { isBehind, seatsOf } from './verify-record.ts';

/** What is compared. */
export interface LogprobsCheck {
  /** As the saved answer shows them; null where they have no readable shape. */
  readonly shown: readonly ShownLogprobs[] | null;
  readonly sealed: NonNullable<AssayMember['logprobs']>;
  /** Alternatives that the client asked for; null where it wanted none, undefined where that is not known. */
  readonly asked: number | null | undefined;
  /** Null without the model's tokenizer. */
  readonly text: TokenSpelling | null;
  readonly content: ResponseContent | null;
}

const zShown = z.looseObject({
  content: z.array(
    z.looseObject({ logprob: z.number(), top_logprobs: z.array(z.looseObject({ logprob: z.number() })) }),
  ),
});

const zShownText = z.looseObject({ token_logprobs: z.array(z.number()) });

/** Null where the answer has none, none are attested, and none were asked for. */
export function checkLogprobs(statement: Statement, check: LogprobsCheck): VerifyItem | null {
  const { shown, asked } = check;
  const has = shown === null || shown.length > 0;
  if (!has && statement.logprobsHash === undefined && (asked ?? null) === null) return null;
  const uncovered = statement.unverified.some((field) => field === 'choices' || field === 'choices.logprobs');
  const problem = hashProblem(statement, shown) ?? choicesProblem(choicesOf(statement), check, uncovered);
  if (problem === null && uncovered) {
    return notChecked('logprobs', 'as sealed by single members, where these still stand behind the answer');
  }
  return finding('logprobs', problem, 'as sealed by a member; others bear them out by the reading of the gateway');
}

function hashProblem({ logprobsHash }: Statement, shown: LogprobsCheck['shown']): string | null {
  if (shown === null) return 'they have not the shape of log-probabilities';
  if (logprobsHash === undefined) {
    return shown.length > 0 ? 'the answer shows some that nobody attested' : 'they were asked for and are missing';
  }
  if (shown.length === 0) return 'the answer lacks those that were attested';
  try {
    return shownLogprobsHash(shown) === logprobsHash ? null : 'they are not the attested ones';
  } catch (error) {
    if (error instanceof NotCanonicalError) return 'they are not the attested ones';
    throw error;
  }
}

/** @param uncovered whether the statement says that nobody answers for them: then a source may have fallen since. */
function choicesProblem(choices: readonly Statement[], check: LogprobsCheck, uncovered: boolean): string | null {
  const { shown, sealed } = check;
  if (sealed.length !== choices.length) return 'what they were sealed with is not shown';
  if (shown!.length !== choices.length) return 'a choice has none';
  for (const [index, choice] of choices.entries()) {
    const own = sealed.find((item) => item.index === index);
    const there = shown!.find((item) => item.index === index);
    if (own === undefined || there === undefined) return `choice ${index} has none`;
    const problem =
      sealProblem(choice, own, uncovered) ??
      shownProblem(choice, there, own.tokens, check) ??
      askedProblem(own.tokens, check.asked);
    if (problem !== null) return choices.length === 1 ? problem : `choice ${index}: ${problem}`;
  }
  return null;
}

/** Chunk by chunk: with the random part that is shown, they give the salt that the member's commitment holds. */
function sealProblem(
  statement: Statement,
  { chunks, tokens }: LogprobsCheck['sealed'][number],
  uncovered: boolean,
): string | null {
  if (tokens.length !== statement.outputIds.length) return 'there is not one for each token';
  const transcript = outputHash(statement.outputIds);
  let from = 0;
  for (const [at, { provider, salt }] of chunks.entries()) {
    const standing = seatsOf(statement)
      .map(({ member }) => member)
      .filter((member) => isBehind(member) && member.claim?.value.transcriptHash === transcript);
    const source = standing.find((member) => member.provider === provider);
    if (source === undefined && !uncovered) return `${provider} does not stand behind the answer`;
    const opening = (source ?? standing[0])?.openings[at];
    if (opening === undefined) return `${provider} does not stand behind the answer`;
    const part = tokens.slice(from, from + opening.tokenCount);
    from += opening.tokenCount;
    if (source && logprobSalt(salt, part) !== opening.salt) return `${provider} has sealed others`;
  }
  return from === tokens.length ? null : 'they are of another number of chunks';
}

/** What the client reads is what was sealed: number by number, and with the tokenizer word by word. */
function shownProblem(
  statement: Statement,
  { index, logprobs }: ShownLogprobs,
  tokens: readonly TokenLogprobs[],
  { text, content: answer }: LogprobsCheck,
): string | null {
  const choice = answer?.choices.find((other) => other.index === index);
  if (text !== null) {
    const said = choice?.text ?? choice?.content ?? '';
    const stopped = servedFinish(statement) === 'stop_string';
    const speller = new LogprobSpeller(text);
    speller.push(statement.outputIds, tokens);
    // An echoed prompt comes without any, so here the text begins with the model's own.
    const spelled = speller.finish(said.length, stopped);
    const form = choice?.text === undefined ? chatLogprobs(spelled) : completionLogprobs(spelled, 0);
    return canonicalJson(logprobs) === canonicalJson(form) ? null : 'they are spelled otherwise than they were sealed';
  }
  if (choice?.text !== undefined) {
    const parsed = safeParse(zShownText, logprobs);
    if (!parsed.success) return 'they have not the shape of log-probabilities';
    const given = parsed.data.token_logprobs;
    const same = given.length <= tokens.length && given.every((value, at) => value === logprobOf(tokens[at]![0]));
    return same ? null : 'the numbers are not the sealed ones';
  }
  const parsed = safeParse(zShown, logprobs);
  if (!parsed.success) return 'they have not the shape of log-probabilities';
  const { content } = parsed.data;
  // What a stop string cut off and the terminal token are sealed and not shown.
  if (content.length > tokens.length) return 'there are more than tokens';
  return content.every((entry, at) => sameNumbers(entry, tokens[at]!)) ? null : 'the numbers are not the sealed ones';
}

function sameNumbers(entry: z.output<typeof zShown>['content'][number], [chosen, top]: TokenLogprobs): boolean {
  if (entry.logprob !== logprobOf(chosen) || entry.top_logprobs.length !== top.length) return false;
  return entry.top_logprobs.every(({ logprob }, at) => logprob === logprobOf(top[at]![1]));
}

function askedProblem(tokens: readonly TokenLogprobs[], asked: LogprobsCheck['asked']): string | null {
  if (asked === undefined) return null;
  if (asked === null) return 'nobody asked for them';
  return tokens.every(([, top]) => top.length === asked) ? null : 'another number of alternatives was asked for';
}
