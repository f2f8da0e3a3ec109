/** Reads a client's saved request as the gateway reads it, for comparison with what was attested (SPEC.md §10.4). */
import { logprobsOfBody, parseChatBody } from './chat-body.ts';
import { samplingOfBody } from './chat-sampling.ts';
import { turnsOfMessages } from './chat-turns.ts';
import { utf8 } from './hash.ts';
import { parseJsonBody } from './json-body.ts';
import { type Policy, policyOfBody, policyOfSuffix } from './policy.ts';
import type { TextModel } from './text.ts';
import { toolOptions, toolsOfBody } from './tools.ts';
import type { AskedRequest } from './verify-answer.ts';

/**
 * @param body text of the JSON body of `POST /v1/chat/completions`.
 * @param text the model's text side; without it the prompt is not rendered.
 * @param clientNonce value of the `Assay-Nonce` header, null when none was sent, undefined when that is not known.
 * @throws {ProtocolError} with the code that a gateway would have answered
 */
export function readChatRequest(
  body: string,
  text: Pick<TextModel, 'encodeChat'> | null,
  clientNonce?: string | null,
): AskedRequest {
  const json = parseJsonBody(utf8(body));
  const chat = parseChatBody(json.fields);
  const tools = toolsOfBody(json.fields);
  const asksPolicy = chat.verification !== undefined && chat.verification !== null;
  return {
    bodyHash: json.hash,
    clientNonce,
    model: chat.model,
    sampling: samplingOfBody(chat),
    seed: json.seed,
    maxTokens: chat.max_completion_tokens ?? chat.max_tokens ?? null,
    logprobs: logprobsOfBody(chat),
    policy: asksPolicy ? policyOfBody(chat.verification) : null,
    suffixPolicy: suffixPolicyOf(chat.model),
    promptIds: text === null ? null : text.encodeChat(turnsOfMessages(chat.messages), toolOptions(tools)),
    toolNames: tools.map((tool) => tool.function.name),
    choices: chat.n ?? 1,
  };
}

/** What follows the last colon of a model's name, where that is a policy. */
function suffixPolicyOf(model: string): { model: string; policy: Policy } | null {
  const colon = model.lastIndexOf(':');
  const policy = colon > 0 ? policyOfSuffix(model.slice(colon + 1)) : null;
  return policy === null ? null : { model: model.slice(0, colon), policy };
}
