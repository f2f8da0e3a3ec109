/** From the body of `POST /v1/completions` to what the committee is asked: one prompt, without a chat template. */
import { echoOf, idsOfPrompt, parseCompletionBody, promptOfBody } from '#protocol/completion-body';
import { ProtocolError } from '#protocol/errors';
import { parseJsonBody } from '#protocol/json-body';
import type { ModelEntry } from './answer.ts';
import { askedOf, type ChatCall, type ChatRules, type ParsedRequest } from './chat-request.ts';
import { choicesOfBody } from './choices.ts';
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
  const prompt = promptOfBody(body);
  const promptIds = promptIdsOf(prompt, model, rules.limits.contentLengthMax);
  const maxTokens = maxTokensOfCompletion(body, { promptTokens: promptIds.length, contextMax: model.contextMax });
  return {
    form: textForm(echoOf(body, prompt, model.text)),
    includeUsage: body.stream_options?.include_usage ?? false,
    answer: {
      ...asked,
      promptIds,
      seed: json.seed,
      maxTokens,
      choices: choicesOfBody(body, maxTokens, rules.limits),
      bodyHash: json.hash,
      toolNames: [],
      logprobs: body.logprobs ?? null,
    },
  };
}

function promptIdsOf(
  prompt: ReturnType<typeof promptOfBody>,
  { text }: Pick<ModelEntry, 'text'>,
  lengthMax: number,
): readonly number[] {
  const refuse = (message: string) => new ProtocolError('invalid_request', message, { param: 'prompt' });
  if (typeof prompt === 'string') {
    if (prompt.length > lengthMax) throw refuse(`The prompt is longer than ${lengthMax} characters.`);
  } else if (prompt.some((id) => id >= text.vocabSize)) {
    throw refuse(`The prompt has token ids outside the vocabulary of ${text.vocabSize}.`);
  }
  return idsOfPrompt(prompt, text);
}
