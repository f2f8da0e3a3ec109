/** From a request body to what the committee is asked: model, policy, prompt, sampling (DESIGN §4, steps 1 and 2). */
import { type ChatBody, logprobsOfBody, parseChatBody, type SamplingFields } from '#protocol/chat-body';
import { samplingOfBody } from '#protocol/chat-sampling';
import { ProtocolError } from '#protocol/errors';
import { parseJsonBody } from '#protocol/json-body';
import { type Policy, policyOfSuffix, resolvePolicy } from '#protocol/policy';
import { type ChatTool, toolsOfBody } from '#protocol/tools';
import type { ApiKey } from '../keys.ts';
import type { AnswerRequest, ModelEntry, ModelRegistry } from './answer.ts';
import type { AnswerForm } from './answer-form.ts';
import { choicesOfBody } from './choices.ts';
import { type ChatLimits, NONCE_LENGTH_MAX } from './limits.ts';
import { maxTokensOfBody } from './max-tokens.ts';
import { promptOfMessages } from './prompt.ts';
import { CHAT_FORM } from './render.ts';
import { refuseUnserved, UNSERVED_IN_CHAT } from './unserved.ts';

/** What parsing needs from the gateway. */
export interface ChatRules {
  readonly models: ModelRegistry;
  readonly limits: ChatLimits;
  /** Policy of requests and keys that name none. */
  readonly policyDefault: Policy;
}

/** What parsing needs from the HTTP request. */
export interface ChatCall {
  readonly requestId: string;
  readonly apiKey: ApiKey;
  readonly bytes: Uint8Array;
  /** The `Assay-Verification` header. */
  readonly policyHeader: string | undefined;
  /** The `Assay-Nonce` header: the client's own share in the draw. */
  readonly nonceHeader: string | undefined;
  readonly signal: AbortSignal;
}

/** A request of any kind, and in what form it is answered. */
export interface ParsedRequest {
  readonly answer: AnswerRequest;
  readonly includeUsage: boolean;
  readonly form: AnswerForm;
}

/** @throws {ProtocolError} codes of the client's request, with `param` */
export function parseChatRequest(call: ChatCall, rules: ChatRules): ParsedRequest {
  const json = parseJsonBody(call.bytes);
  refuseUnserved(json.fields, UNSERVED_IN_CHAT);
  const body = parseChatBody(json.fields);
  const asked = askedOf(body, call, rules);
  const { model } = asked;
  const tools = servedTools(json.fields, model);
  const promptIds = promptOfMessages(model.text, body.messages, tools, rules.limits);
  const maxTokens = maxTokensOfBody(body, {
    promptTokens: promptIds.length,
    contextMax: model.contextMax,
    maxTokensDefault: rules.limits.maxTokensDefault,
  });
  const logprobs = logprobsOfBody(body);
  if (logprobs !== null && tools.length > 0) {
    // They join to the text that the model wrote, which is not what is shown where a call was read out of it.
    throw new ProtocolError('unsupported_parameter', 'logprobs beside tools are not served.', { param: 'logprobs' });
  }
  return {
    form: CHAT_FORM,
    includeUsage: body.stream_options?.include_usage ?? false,
    answer: {
      ...asked,
      prompts: [promptIds],
      seed: json.seed,
      maxTokens,
      choices: choicesOfBody(body, maxTokens, rules.limits),
      bodyHash: json.hash,
      toolNames: tools.map((tool) => tool.function.name),
      logprobs,
    },
  };
}

type SharedBody = SamplingFields & Pick<ChatBody, 'model' | 'verification' | 'stream'>;

/** What all kinds of request say in the same way. @throws {ProtocolError} */
export function askedOf(body: SharedBody, call: ChatCall, rules: ChatRules) {
  const { model, suffix } = findModel(body.model, rules.models);
  const policy = resolvePolicy({
    body: body.verification,
    header: call.policyHeader,
    suffix,
    key: call.apiKey.policy,
    gateway: rules.policyDefault,
  });
  return {
    requestId: call.requestId,
    keyId: call.apiKey.keyId,
    model,
    policy,
    sampling: samplingOfBody(body),
    clientNonce: parseNonce(call.nonceHeader),
    stream: body.stream ?? false,
    signal: call.signal,
  };
}

/** @throws {ProtocolError} `unsupported_parameter` where the model was never told of tools */
function servedTools(fields: Readonly<Record<string, unknown>>, model: ModelEntry): readonly ChatTool[] {
  const tools = toolsOfBody(fields);
  if (tools.length === 0 || model.text.toolFormat !== null) return tools;
  const message = `The chat template of ${model.id} tells of no tools, or has them called in a way that is not read here.`;
  throw new ProtocolError('unsupported_parameter', message, { param: 'tools' });
}

/** A name as it is registered comes first; only then may what follows its last colon be a policy. */
export function findModel(name: string, models: ModelRegistry): { model: ModelEntry; suffix: Policy | null } {
  const exact = models.find(name);
  if (exact !== null) return { model: exact, suffix: null };
  const colon = name.lastIndexOf(':');
  const base = colon > 0 ? models.find(name.slice(0, colon)) : null;
  const suffix = base === null ? null : policyOfSuffix(name.slice(colon + 1));
  if (base === null || suffix === null) throw modelNotFound(name);
  return { model: base, suffix };
}

/** OpenAI's error for models that are not served. */
export function modelNotFound(name: string): ProtocolError {
  const message = `The model \`${name}\` does not exist or you do not have access to it.`;
  return new ProtocolError('model_not_found', message, { param: 'model' });
}

function parseNonce(header: string | undefined): string | null {
  if (header === undefined || header === '') return null;
  if (header.length <= NONCE_LENGTH_MAX && /^[\x21-\x7e]+$/.test(header)) return header;
  throw new ProtocolError(
    'invalid_request',
    `Assay-Nonce must be at most ${NONCE_LENGTH_MAX} printable ASCII characters.`,
    { param: 'assay-nonce' },
  );
}
