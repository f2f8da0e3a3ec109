/** Checks of the answer against what was attested and what the client had asked (SPEC.md §10.4). Pure. */

import type { Statement } from './attestation.ts';
import { canonicalJson, NotCanonicalError } from './canonical.ts';
import { choicesOf, hashOfRequest, promptsOf } from './choices.ts';
import { type ContentChoice, contentHash, type ResponseContent } from './content.ts';
import type { FinalText } from './detokenizer.ts';
import type { Hash } from './hash.ts';
import type { TokenSpelling } from './logprob-text.ts';
import type { Policy } from './policy.ts';
import { policyCanonicalJson, policyJsonSchema, policyOfJson } from './policy-json.ts';
import { promptOfChoice } from './prompt-groups.ts';
import { promptHash, samplingHash } from './request.ts';
import type { Sampling } from './sampling.ts';
import { safeParse } from './schema.ts';
import { finishReason, readAnswer } from './tool-calls.ts';
import { type Claim, FINISH_KINDS, type FinishKind } from './typed.ts';
import { finding, notChecked, type VerifyItem } from './verify-item.ts';
import { seatsOf } from './verify-record.ts';

/** One prompt that a client asked about. */
export interface AskedPrompt {
  /** Null without the model's tokenizer, where it takes one. */
  readonly ids: readonly number[] | null;
  /** Text that its answers begin with before the model's own: an echoed prompt; null where it takes a tokenizer to say. */
  readonly echo: string | null;
}

/** What a client's body comes to, read by the same code as in the gateway. */
export interface AskedRequest {
  readonly bodyHash: Hash;
  readonly model: string;
  readonly sampling: Sampling;
  /** uint64, or null where the gateway draws one. */
  readonly seed: bigint | null;
  /** Null where the client names no maximum. */
  readonly maxTokens: number | null;
  /** Alternatives with log-probabilities a token; null where it wants none. */
  readonly logprobs: number | null;
  /** Null where the body does not say; header, key or gateway may have said then. */
  readonly policy: Policy | null;
  /** A policy at the end of the model's name, and the name before it; a header would go before it. */
  readonly suffixPolicy: { readonly model: string; readonly policy: Policy } | null;
  /** The client's share in the draw: null when it sent none, undefined when that is not known. */
  readonly clientNonce?: string | null | undefined;
  /** In order; a chat body has one. */
  readonly prompts: readonly AskedPrompt[];
  /** Names of the tools that the answer may call. */
  readonly toolNames: readonly string[];
  /** Of all prompts together: OpenAI's `n` for each. */
  readonly choices: number;
}

/** The part of a model's text side that a check needs. */
export interface VerifierText extends TokenSpelling {
  finalText(ids: readonly number[], stop: readonly string[]): FinalText;
}

/** requestHash follows from its parts, so that what is attested is what was ordered. */
export function checkRequestHash(statement: Statement): VerifyItem {
  const isHash = hashOfRequest(statement.request) === statement.requestHash;
  const problem = isHash ? null : 'the parts of the request hash to another value';
  return finding('request-hash', problem, statement.requestHash);
}

/** The saved answer is the attested one, whatever carried it. */
export function checkContent(statement: Statement, content: ResponseContent | null): VerifyItem {
  if (content === null) return finding('content-hash', 'the saved answer has not the shape of a complete answer', '');
  const problem = isAttested(statement, content) ? null : 'the saved answer is not the attested one';
  return finding('content-hash', problem, statement.contentHash);
}

function isAttested(statement: Statement, content: ResponseContent): boolean {
  try {
    return contentHash(content) === statement.contentHash;
  } catch (error) {
    // Ill-formed text has no hash, so nobody can have attested it.
    if (error instanceof NotCanonicalError) return false;
    throw error;
  }
}

/**
 * Model, finish reasons and usage are those of the served claims; each prompt is counted once, whatever the number of choices.
 * @param choices of the statement, in order
 */
export function checkUsage(
  statement: Statement,
  choices: readonly Statement[],
  content: ResponseContent | null,
): VerifyItem {
  const served = choices.flatMap((choice) => servedClaim(choice) ?? []);
  if (content === null || served.length < choices.length) {
    return finding('usage', 'there is no answer or no claim to compare', '');
  }
  const outputTokens = served.reduce((sum, claim) => sum + claim.outputTokens, 0);
  const promptTokens = promptsOf(statement, choices).reduce((sum, prompt) => sum + prompt.promptTokens, 0);
  const problem = usageProblem(choices, content, served, promptTokens);
  return finding('usage', problem, `${outputTokens} output tokens`);
}

function usageProblem(
  choices: readonly Statement[],
  content: ResponseContent,
  served: readonly Claim[],
  promptTokens: number,
): string | null {
  const { request } = choices[0]!;
  const { prompt_tokens, completion_tokens, total_tokens } = content.usage;
  if (content.model !== request.model) return 'the answer names another model';
  if (content.choices.length !== choices.length) return `the answer has not exactly ${choices.length} choices`;
  let answerTokens = 0;
  for (const [index, choice] of choices.entries()) {
    const finish = FINISH_KINDS[served[index]!.finish]!;
    const problem = choiceProblem(choice, shownChoice(content, index), finish);
    if (problem !== null) return choices.length === 1 ? problem : `choice ${index}: ${problem}`;
    // The terminal EOS is sealed and scored like any token, but it is no token of the answer (DECISIONS.md).
    answerTokens += choice.outputIds.length - (finish === 'stop' ? 1 : 0);
  }
  if (prompt_tokens !== promptTokens) return 'the prompt is counted with another number of tokens';
  if (completion_tokens !== answerTokens) return 'the answer is counted with another number of tokens';
  return total_tokens === prompt_tokens + completion_tokens ? null : 'the total is not the sum';
}

function choiceProblem(
  { request, outputIds }: Statement,
  shown: ContentChoice | undefined,
  finish: FinishKind,
): string | null {
  if (shown === undefined) return 'it is not in the answer';
  if (shown.finish_reason !== reasonOf(finish, shown)) return 'the finish reason is not the claimed one';
  if (finish === 'length' && outputIds.length !== request.maxTokens) return 'it stopped short of the length it claims';
  return outputIds.length > request.maxTokens ? 'it has more tokens than were ordered' : null;
}

function shownChoice(content: ResponseContent | null, index: number): ContentChoice | undefined {
  return content?.choices.find((choice) => choice.index === index);
}

/** OpenAI's word for the end of a transcript; a cancelled one is never an answer. */
function reasonOf(finish: FinishKind, shown: ContentChoice): string | null {
  return finish === 'cancelled' ? null : finishReason(finish, (shown.tool_calls?.length ?? 0) > 0);
}

function servedClaim(statement: Statement): Claim | null {
  const seat = seatsOf(statement).find(({ member }) => member.provider === statement.served);
  return seat?.member.claim?.value ?? null;
}

/** How the served member says that its transcript ended; null without its claim. */
export function servedFinish(statement: Statement): FinishKind | null {
  const claim = servedClaim(statement);
  return claim === null ? null : FINISH_KINDS[claim.finish]!;
}

/**
 * The claimed tokens of the choice at `index`, as text under the stop rule, are what the answer shows there, tool calls included.
 * @param toolNames of the tools that the client offered; where that is not known, those that the answer calls
 */
export function checkAnswerText(
  statement: Statement,
  index: number,
  content: ResponseContent | null,
  text: VerifierText | null,
  asked: Pick<AskedRequest, 'toolNames' | 'prompts' | 'choices'> | null,
): VerifyItem {
  if (text === null) return notChecked('answer-text', 'no tokenizer given');
  const claim = servedClaim(statement);
  const shown = shownChoice(content, index);
  if (claim === null || shown === undefined) return finding('answer-text', 'there is nothing to compare', '');
  const { outputIds, request } = statement;
  const final = text.finalText(outputIds, request.sampling.stop);
  const last = outputIds.at(-1);
  const ends = outputIds.findIndex((id) => text.eosIds.includes(id));
  let problem: string | null = null;
  const calls = shown.tool_calls ?? [];
  const names = asked?.toolNames ?? calls.map((call) => call.function.name);
  const read = readAnswer(final.text, names, statement.requestId, index);
  const echo = asked ? echoOf(asked, index) : null;
  const said = shown.text ?? shown.content ?? '';
  const own = echo === null ? ownText(shown, read.content) : said.slice(echo.length);
  if (read.content !== own || !said.startsWith(echo ?? '')) problem = 'the served tokens spell another text';
  else if (canonicalJson(read.toolCalls) !== canonicalJson(calls)) problem = 'the served tokens call other tools';
  else if (finishOf() !== FINISH_KINDS[claim.finish]) problem = 'the served tokens end in another way';
  if (problem === null && own !== said && echo === null) {
    return notChecked('answer-text', 'it begins with more than the tokens; the request says whether that is an echo');
  }
  return finding('answer-text', problem, `${outputIds.length} tokens spelled out`);

  function finishOf(): FinishKind | null {
    if (final.stoppedAt !== null) return final.stoppedAt === outputIds.length - 1 ? 'stop_string' : null;
    if (ends >= 0) return ends === outputIds.length - 1 && last !== undefined ? 'stop' : null;
    return 'length';
  }
}

/** Null where it is not known. A choice more than was asked for has none. */
function echoOf({ prompts, choices }: Pick<AskedRequest, 'prompts' | 'choices'>, index: number): string | null {
  const prompt = prompts[promptOfChoice(index, { prompts: prompts.length, choices })];
  return prompt === undefined ? '' : prompt.echo;
}

/** Without the request: a text completion may begin with its prompt, a chat answer with nothing. */
function ownText({ text, content }: ContentChoice, spelled: string): string {
  if (text === undefined) return content ?? '';
  return text.endsWith(spelled) ? spelled : text;
}

/** The items that compare the attested request with the client's own body. */
export function checkAsked(statement: Statement, asked: AskedRequest | null): VerifyItem[] {
  if (asked === null) {
    const reason = 'no request given';
    const items = (['body-hash', 'policy', 'parameters', 'prompt'] as const).map((name) => notChecked(name, reason));
    return items.map((item) => (item.name === 'policy' ? (costItem(statement) ?? item) : item));
  }
  const bodyProblem = asked.bodyHash === statement.bodyHash ? null : 'another body was answered';
  return [
    finding('body-hash', bodyProblem, asked.bodyHash),
    costItem(statement) ?? policyItem(statement, asked),
    finding(
      'parameters',
      parameterProblem(statement, asked),
      'model, sampling, seed, length, stop strings, choices as asked',
    ),
    promptItem(promptsOf(statement, choicesOf(statement)), asked.prompts),
  ];
}

/** What the attested policy allowed at most is what was quoted at most, whoever asked for it. */
function costItem({ policy, price }: Statement): VerifyItem | null {
  const attested = safeParse(policyJsonSchema, policy);
  const maxCost = attested.success ? attested.data.max_cost : undefined;
  if (maxCost === undefined || BigInt(price.quoteNano) <= BigInt(maxCost)) return null;
  return finding('policy', 'it was quoted above the max_cost of its policy', '');
}

function policyItem(statement: Statement, { policy, suffixPolicy, model }: AskedRequest): VerifyItem {
  const attested = safeParse(policyJsonSchema, statement.policy);
  const applied = attested.success ? policyCanonicalJson(policyOfJson(attested.data)) : null;
  if (policy !== null) {
    const same = applied === policyCanonicalJson(policy);
    return finding('policy', same ? null : 'another policy was applied than asked', 'as asked');
  }
  const bySuffix = suffixPolicy !== null && model !== statement.request.model;
  if (bySuffix && applied === policyCanonicalJson(suffixPolicy.policy)) return finding('policy', null, 'as asked');
  return notChecked('policy', 'the body names none; header, key or gateway decided');
}

function parameterProblem({ request, clientNonce, choices }: Statement, asked: AskedRequest): string | null {
  if (request.model !== asked.model && request.model !== asked.suffixPolicy?.model)
    return 'another model was asked for';
  if (samplingHash(request.sampling) !== samplingHash(asked.sampling))
    return 'other sampling parameters were asked for';
  if (asked.choices !== 1 + (choices?.length ?? 0)) return 'another number of choices was asked for';
  if (asked.seed !== null && asked.seed !== BigInt(request.seed)) return 'another seed was asked for';
  if (asked.clientNonce !== undefined && asked.clientNonce !== clientNonce) return 'another nonce entered the draw';
  return asked.maxTokens === null || asked.maxTokens === request.maxTokens ? null : 'another length was asked for';
}

function promptItem(attested: ReturnType<typeof promptsOf>, prompts: readonly AskedPrompt[]): VerifyItem {
  if (attested.length !== prompts.length) return finding('prompt', 'another number of prompts was answered', '');
  const isOther = (ids: readonly number[], at: number) =>
    promptHash(ids) !== attested[at]!.promptHash || ids.length !== attested[at]!.promptTokens;
  const other = prompts.findIndex(({ ids }, at) => ids !== null && isOther(ids, at));
  if (other >= 0) {
    const which = prompts.length === 1 ? '' : ` at ${other}`;
    return finding('prompt', `the members were given another prompt${which}`, '');
  }
  if (prompts.some(({ ids }) => ids === null)) return notChecked('prompt', 'no tokenizer given');
  const rendered = prompts.reduce((sum, { ids }) => sum + ids!.length, 0);
  return finding('prompt', null, `${rendered} tokens rendered`);
}

export function checkModelDigest(statement: Statement, digest: Hash | null): VerifyItem {
  if (digest === null) return notChecked('model-digest', 'no model folder given');
  const problem = digest === statement.request.modelDigest ? null : 'the answer is of a model with other files';
  return finding('model-digest', problem, digest);
}
