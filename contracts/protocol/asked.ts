/** Reads a client's saved request as the gateway reads it, for comparison with what was attested (SPEC.md §10.4). */
import { type ChatBody, logprobsOfBody, parseChatBody, type SamplingFields } from './chat-body.ts';
import { samplingOfBody } from './chat-sampling.ts';
import { turnsOfMessages } from './chat-turns.ts';
import { echoOf, idsOfPrompt, type Prompt, parseCompletionBody, promptsOfBody } from './completion-body.ts';
import { utf8 } from './hash.ts';
import { parseJsonBody } from './json-body.ts';
import { type Policy, policyOfBody, policyOfSuffix } from './policy.ts';
import type { TextModel } from './text.ts';
import { toolOptions, toolsOfBody } from './tools.ts';
import type { AskedPrompt, AskedRequest } from './verify-answer.ts';

/** The part of a model's text side that is needed. */
export type AskingText = Pick<TextModel, 'encodeChat' | 'encodePrompt' | 'decode'>;

/**
 * @param body text of the JSON body of `POST /v1/chat/completions`, or of `POST /v1/completions`: only those have no messages.
 * @param text the model's text side; without it the prompt is not rendered.
 * @param clientNonce value of the `Assay-Nonce` header, null when none was sent, undefined when that is not known.
 * @throws {ProtocolError} with the code that a gateway would have answered
 */
export function readRequest(body: string, text: AskingText | null, clientNonce?: string | null): AskedRequest {
  const json = parseJsonBody(utf8(body));
  const isChat = json.fields.prompt === undefined || json.fields.messages !== undefined;
  return isChat ? chatRequest(json, text, clientNonce) : completionRequest(json, text, clientNonce);
}

type Json = ReturnType<typeof parseJsonBody>;

function chatRequest(json: Json, text: AskingText | null, clientNonce: string | null | undefined): AskedRequest {
  const chat = parseChatBody(json.fields);
  const tools = toolsOfBody(json.fields);
  return {
    ...sharedOf(json, chat, clientNonce),
    maxTokens: chat.max_completion_tokens ?? chat.max_tokens ?? null,
    logprobs: logprobsOfBody(chat),
    toolNames: tools.map((tool) => tool.function.name),
    prompts: [{ ids: text?.encodeChat(turnsOfMessages(chat.messages), toolOptions(tools)) ?? null, echo: '' }],
    choices: chat.n ?? 1,
  };
}

function completionRequest(json: Json, text: AskingText | null, clientNonce: string | null | undefined): AskedRequest {
  const body = parseCompletionBody(json.fields);
  const prompts = promptsOfBody(body);
  return {
    ...sharedOf(json, body, clientNonce),
    maxTokens: body.max_tokens ?? null,
    logprobs: body.logprobs ?? null,
    toolNames: [],
    prompts: prompts.map((prompt) => askedPrompt(body, prompt, text)),
    choices: prompts.length * (body.n ?? 1),
  };
}

function askedPrompt(
  body: { echo?: boolean | null | undefined },
  prompt: Prompt,
  text: AskingText | null,
): AskedPrompt {
  if (text !== null) return { ids: idsOfPrompt(prompt, text), echo: echoOf(body, prompt, text) };
  const isText = typeof prompt === 'string';
  // Without the tokenizer ids have no text, and a text has no ids.
  return { ids: isText ? null : prompt, echo: body.echo !== true ? '' : isText ? prompt : null };
}

function sharedOf(
  json: Json,
  body: SamplingFields & Pick<ChatBody, 'model' | 'verification'>,
  clientNonce: string | null | undefined,
) {
  const asksPolicy = body.verification !== undefined && body.verification !== null;
  return {
    bodyHash: json.hash,
    clientNonce,
    model: body.model,
    sampling: samplingOfBody(body),
    seed: json.seed,
    policy: asksPolicy ? policyOfBody(body.verification) : null,
    suffixPolicy: suffixPolicyOf(body.model),
  };
}

/** What follows the last colon of a model's name, where that is a policy. */
function suffixPolicyOf(model: string): { model: string; policy: Policy } | null {
  const colon = model.lastIndexOf(':');
  const policy = colon > 0 ? policyOfSuffix(model.slice(colon + 1)) : null;
  return policy === null ? null : { model: model.slice(0, colon), policy };
}
