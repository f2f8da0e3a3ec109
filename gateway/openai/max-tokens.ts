/** How many tokens an answer may take. */
import type { ChatBody } from '#protocol/chat-body';
import type { CompletionBody } from '#protocol/completion-body';
import { ProtocolError } from '#protocol/errors';

/** OpenAI's two names for the maximum. */
type Asked = Partial<Pick<ChatBody, 'max_tokens' | 'max_completion_tokens'>>;

/**
 * Output tokens that the request may take.
 * @param maxTokensDefault where the client names no maximum; capped by what the context has left.
 * @throws {ProtocolError} `context_length_exceeded`, in OpenAI's words
 */
export function maxTokensOfBody(body: Asked, context: TokenContext): number {
  return maxTokensOf(askedMaximum(body), context, 'messages');
}

/** OpenAI's default for text completions. */
const COMPLETION_TOKENS_DEFAULT = 16;

/** The same for a text completion. @throws {ProtocolError} `context_length_exceeded` */
export function maxTokensOfCompletion(
  { max_tokens: tokens }: Pick<CompletionBody, 'max_tokens'>,
  context: Omit<TokenContext, 'maxTokensDefault'>,
): number {
  const asked = tokens == null ? null : { tokens, param: 'max_tokens' };
  return maxTokensOf(asked, { ...context, maxTokensDefault: COMPLETION_TOKENS_DEFAULT }, 'prompt');
}

interface TokenContext {
  readonly promptTokens: number;
  readonly contextMax: number;
  readonly maxTokensDefault: number;
}

function maxTokensOf(
  asked: { tokens: number; param: string } | null,
  context: TokenContext,
  prompt: 'messages' | 'prompt',
): number {
  const { promptTokens, contextMax } = context;
  const left = contextMax - promptTokens;
  const limit = `This model's maximum context length is ${contextMax} tokens.`;
  if (left < 1) {
    throw tooLong(`${limit} However, your ${prompt} resulted in ${promptTokens} tokens.`, prompt, context);
  }
  if (asked === null) return Math.min(left, context.maxTokensDefault);
  if (asked.tokens > left) {
    const total = promptTokens + asked.tokens;
    const parts = `${promptTokens} in the ${prompt}, ${asked.tokens} in the completion`;
    throw tooLong(`${limit} However, you requested ${total} tokens (${parts}).`, asked.param, context);
  }
  return asked.tokens;
}

function askedMaximum(body: Asked): { tokens: number; param: string } | null {
  const { max_completion_tokens: current, max_tokens: deprecated } = body;
  if (current != null && deprecated != null && current !== deprecated) {
    throw new ProtocolError(
      'invalid_request',
      "Setting 'max_tokens' and 'max_completion_tokens' to different values is not supported.",
      { param: 'max_tokens' },
    );
  }
  if (current != null) return { tokens: current, param: 'max_completion_tokens' };
  return deprecated != null ? { tokens: deprecated, param: 'max_tokens' } : null;
}

function tooLong(
  message: string,
  param: string,
  { promptTokens, contextMax }: { promptTokens: number; contextMax: number },
): ProtocolError {
  return new ProtocolError('context_length_exceeded', message, { param, details: { promptTokens, contextMax } });
}
