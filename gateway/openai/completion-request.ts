/** From the body of `POST /v1/completions` to what the committee is asked: prompts without a chat template. */
import { echoOf, idsOfPrompt, type Prompt, parseCompletionBody, promptsOfBody } from '#protocol/completion-body';
import { ProtocolError } from '#protocol/errors';
import { parseJsonBody } from '#protocol/json-body';
import { promptOfChoice } from '#protocol/prompt-groups';
import type { ModelEntry } from './answer.ts';
import { askedOf, type ChatCall, type ChatRules, type ParsedRequest } from './chat-request.ts';
import { choicesOfPrompts } from './choices.ts';
import { maxTokensOfCompletion } from './max-tokens.ts';
import { textForm } from './text-render.ts';
import { refuseUnserved, UNSERVED_IN_COMPLETIONS } from './unserved.ts';

/** @throws {ProtocolError} codes of the client's request, with `param` */
export function parseCompletionRequest(call: ChatCall, rules: ChatRules): ParsedRequest {
  const json = parseJsonBody(call.bytes);
  refuseUnserved(json.fields, UNSERVED_IN_COMPLETIONS);
  const body = parseCompletionBody(json.fields);
  const asked = askedOf(body, call, rules);
  const { model } = asked;
  const given = promptsOfBody(body);
  // How many they are is bounded before any is tokenised.
  choicesOfPrompts(body, { prompts: given.length, maxTokens: 1 }, rules.limits);
  const prompts = idsOfPrompts(given, model, rules.limits.contentLengthMax);
  // One maximum for all of them, so the longest prompt says what the context has left.
  const promptTokens = Math.max(...prompts.map((ids) => ids.length));
  const maxTokens = maxTokensOfCompletion(body, { promptTokens, contextMax: model.contextMax });
  const choices = choicesOfPrompts(body, { prompts: prompts.length, maxTokens }, rules.limits);
  const echoes = given.map((prompt) => echoOf(body, prompt, model.text));
  return {
    form: textForm((choice) => echoes[promptOfChoice(choice, { prompts: prompts.length, choices })]!),
    includeUsage: body.stream_options?.include_usage ?? false,
    answer: {
      ...asked,
      prompts,
      seed: json.seed,
      maxTokens,
      choices,
      bodyHash: json.hash,
      toolNames: [],
      logprobs: body.logprobs ?? null,
    },
  };
}

function idsOfPrompts(
  prompts: readonly Prompt[],
  { text }: Pick<ModelEntry, 'text'>,
  lengthMax: number,
): readonly (readonly number[])[] {
  const refuse = (param: string, message: string) => new ProtocolError('invalid_request', message, { param });
  let left = lengthMax;
  for (const [at, prompt] of prompts.entries()) {
    const param = prompts.length === 1 ? 'prompt' : `prompt[${at}]`;
    if (typeof prompt !== 'string') {
      if (!prompt.some((id) => id >= text.vocabSize)) continue;
      throw refuse(param, `The prompt has token ids outside the vocabulary of ${text.vocabSize}.`);
    }
    left -= prompt.length;
    if (left < 0) throw refuse(param, `The prompts are longer than ${lengthMax} characters together.`);
  }
  return prompts.map((prompt) => idsOfPrompt(prompt, text));
}
