/** From messages to the prompt's token ids, within limits (DESIGN §4, step 2). */
import type { ChatBodyMessage } from '#protocol/chat-body';
import { type ChatTurn, turnsOfMessages } from '#protocol/chat-turns';
import { ProtocolError } from '#protocol/errors';
import type { TextModel } from '#protocol/text';
import type { ChatLimits } from './limits.ts';

/** @throws {ProtocolError} `unsupported_parameter` or `invalid_request` with the place of the message */
export function promptOfMessages(
  text: Pick<TextModel, 'renderChat' | 'encodeChat'>,
  messages: readonly ChatBodyMessage[],
  limits: Pick<ChatLimits, 'messagesMax' | 'contentLengthMax'>,
): readonly number[] {
  if (messages.length > limits.messagesMax) {
    throw invalid(`At most ${limits.messagesMax} messages are accepted.`, 'messages');
  }
  const turns = turnsOfMessages(messages);
  checkLength(turns, limits.contentLengthMax);
  checkToolTurns(text, turns);
  return text.encodeChat(turns);
}

function checkLength(turns: readonly ChatTurn[], lengthMax: number): void {
  let left = lengthMax;
  turns.forEach((turn, index) => {
    left -= turn.content.length;
    if (left < 0) {
      throw invalid(`The messages are longer than ${lengthMax} characters together.`, `messages[${index}].content`);
    }
  });
}

/** Templates that do not know the role `tool` may skip its messages; the client must not be left to guess that. */
function checkToolTurns(text: Pick<TextModel, 'renderChat'>, turns: readonly ChatTurn[]): void {
  if (!turns.some(({ role }) => role === 'tool')) return;
  const prompt = text.renderChat(turns);
  turns.forEach((turn, index) => {
    if (turn.role !== 'tool' || prompt.includes(turn.content.trim())) return;
    const message = "The model's chat template does not show messages of the role tool.";
    throw new ProtocolError('unsupported_parameter', message, { param: `messages[${index}].role` });
  });
}

function invalid(message: string, param: string): ProtocolError {
  return new ProtocolError('invalid_request', message, { param });
}
