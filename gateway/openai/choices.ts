/** How many choices a request asks for, and about how many prompts. */
import type { ChatBody } from '#protocol/chat-body';
import type { CompletionBody } from '#protocol/completion-body';
import { ProtocolError } from '#protocol/errors';
import type { ChatLimits } from './limits.ts';

/**
 * Choices of a text completion: `n` for each prompt.
 * @param maxTokens of one choice
 * @throws {ProtocolError} `invalid_request` with `param` n where it is too much for one prompt, else prompt
 */
export function choicesOfPrompts(
  body: Pick<CompletionBody, 'n'>,
  { prompts, maxTokens }: { readonly prompts: number; readonly maxTokens: number },
  limits: Pick<ChatLimits, 'choicesMax' | 'promptChoicesMax' | 'choicesTokensMax'>,
): number {
  const each = choicesOfBody(body, maxTokens, limits);
  const choices = prompts * each;
  const refuse = (reason: string) =>
    new ProtocolError('invalid_request', `Invalid 'prompt': ${reason}.`, { param: 'prompt' });
  if (prompts === 1) return each;
  const asked = each === 1 ? `${prompts} prompts` : `${prompts} prompts of ${each} choices`;
  if (choices > limits.promptChoicesMax) {
    throw refuse(`${asked} are ${choices} answers, and at most ${limits.promptChoicesMax} are served together`);
  }
  if (choices * maxTokens > limits.choicesTokensMax) {
    throw refuse(`${asked} and ${maxTokens} tokens are more than ${limits.choicesTokensMax} tokens`);
  }
  return choices;
}

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
