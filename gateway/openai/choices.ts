/** How many choices a request asks for. */
import type { ChatBody } from '#protocol/chat-body';
import { ProtocolError } from '#protocol/errors';
import type { ChatLimits } from './limits.ts';

/**
 * OpenAI's `n`, 1 where the body does not say.
 * @param maxTokens of one choice
 * @throws {ProtocolError} `invalid_request` with `param` n above what is served
 */
export function choicesOfBody(
  body: Pick<ChatBody, 'n'>,
  maxTokens: number,
  limits: Pick<ChatLimits, 'choicesMax' | 'choicesTokensMax'>,
): number {
  const choices = body.n ?? 1;
  const { choicesMax, choicesTokensMax } = limits;
  if (choices > choicesMax) throw tooMany(`expected at most ${choicesMax} choices`);
  if (choices > 1 && choices * maxTokens > choicesTokensMax) {
    throw tooMany(`${choices} choices of ${maxTokens} tokens are more than ${choicesTokensMax} tokens`);
  }
  return choices;
}

function tooMany(reason: string): ProtocolError {
  return new ProtocolError('invalid_request', `Invalid 'n': ${reason}.`, { param: 'n' });
}
