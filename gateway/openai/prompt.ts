/** From messages to the prompt's token ids, within limits (DESIGN §4, step 2). */
import type { ChatBodyMessage } from '#protocol/chat-body';
import { type ChatTurn, turnsOfMessages } from '#protocol/chat-turns';
import { ProtocolError } from '#protocol/errors';
import type { TextModel } from '#protocol/text';
import { type ChatTool, toolOptions } from '#protocol/tools';
import type { ChatLimits } from './limits.ts';

/** @throws {ProtocolError} `unsupported_parameter` or `invalid_request` with the place of the message */
export function promptOfMessages(
  text: Pick<TextModel, 'renderChat' | 'encodeChat'>,
  messages: readonly ChatBodyMessage[],
  tools: readonly ChatTool[],
  limits: Pick<ChatLimits, 'messagesMax' | 'contentLengthMax'>,
): readonly number[] {
  if (messages.length > limits.messagesMax) {
    throw invalid(`At most ${limits.messagesMax} messages are accepted.`, 'messages');
  }
  const turns = turnsOfMessages(messages);
  checkLength(turns, limits.contentLengthMax);
  checkToolTurns(text, turns, tools);
  return text.encodeChat(turns, toolOptions(tools));
}

function checkLength(turns: readonly ChatTurn[], lengthMax: number): void {
  let left = lengthMax;
  turns.forEach((turn, index) => {
    left -= turn.content.length + (turn.tool_calls === undefined ? 0 : JSON.stringify(turn.tool_calls).length);
    if (left < 0) {
      throw invalid(`The messages are longer than ${lengthMax} characters together.`, `messages[${index}].content`);
    }
  });
}

/** Templates that know nothing of tools may skip their turns and calls; the client must not be left to guess that. */
function checkToolTurns(
  text: Pick<TextModel, 'renderChat'>,
  turns: readonly ChatTurn[],
  tools: readonly ChatTool[],
): void {
  const firstCall = turns.findIndex(({ tool_calls }) => tool_calls !== undefined);
  if (firstCall < 0 && !turns.some(({ role }) => role === 'tool')) return;
  const prompt = text.renderChat(turns, toolOptions(tools));
  const silent = turns.map(({ tool_calls: _, ...turn }) => turn);
  if (firstCall >= 0 && text.renderChat(silent, toolOptions(tools)) === prompt) {
    const message = "The model's chat template does not show tool calls.";
    throw new ProtocolError('unsupported_parameter', message, { param: `messages[${firstCall}].tool_calls` });
  }
  turns.forEach((turn, index) => {
    if (turn.role !== 'tool' || prompt.includes(turn.content.trim())) return;
    const message = "The model's chat template does not show messages of the role tool.";
    throw new ProtocolError('unsupported_parameter', message, { param: `messages[${index}].role` });
  });
}

function invalid(message: string, param: string): ProtocolError {
  return new ProtocolError('invalid_request', message, { param });
}
