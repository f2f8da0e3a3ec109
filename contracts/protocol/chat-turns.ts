/**
 * From OpenAI's messages to the turns that a chat template renders (SPEC.md, "Chat body").
 *
 * - `developer` is rendered as `system`, which is what models without that role were trained on.
 * - Text parts are joined with a line break, as vLLM and llama.cpp do.
 * - `tool` keeps its role and `tool_call_id`; whether the template really shows it is checked after rendering.
 * - What a text model cannot be shown (images, audio, files, tool calls) is refused by its place, never dropped.
 */
import type { ChatBodyMessage } from './chat-body.ts';
import { ProtocolError } from './errors.ts';

/** One turn for the template. */
export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly tool_call_id?: string;
  /** Templates may read any member; no others are passed on. */
  readonly [member: string]: unknown;
}

/** @throws {ProtocolError} `unsupported_parameter` or `invalid_request` with the place of the message */
export function turnsOfMessages(messages: readonly ChatBodyMessage[]): ChatTurn[] {
  return messages.map((message, index) => turnOf(message, `messages[${index}]`));
}

function turnOf(message: ChatBodyMessage, param: string): ChatTurn {
  switch (message.role) {
    case 'developer':
    case 'system':
      return { role: 'system', content: textOf(message.content, param) };
    case 'user':
      return { role: 'user', content: textOf(message.content, param) };
    case 'tool':
      return { role: 'tool', content: textOf(message.content, param), tool_call_id: message.tool_call_id };
    case 'assistant':
      return { role: 'assistant', content: assistantText(message, param) };
    case 'function':
      throw unsupported(`${param}.role`, 'Messages of the role function are not served.');
  }
}

function assistantText(message: Extract<ChatBodyMessage, { role: 'assistant' }>, param: string): string {
  for (const field of ['tool_calls', 'function_call', 'audio'] as const) {
    const value = message[field];
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue;
    throw unsupported(`${param}.${field}`, `${field} in assistant messages is not served.`);
  }
  if (message.content !== undefined && message.content !== null) return textOf(message.content, param);
  if (typeof message.refusal === 'string') return message.refusal;
  throw new ProtocolError('invalid_request', 'An assistant message needs content.', { param: `${param}.content` });
}

function textOf(content: string | readonly { readonly type: string }[], param: string): string {
  if (typeof content === 'string') return content;
  return content
    .map((part: { readonly type: string; readonly text?: unknown; readonly refusal?: unknown }, index) => {
      const at = `${param}.content[${index}]`;
      if (part.type !== 'text' && part.type !== 'refusal') {
        throw unsupported(`${at}.type`, 'Only text content parts are served.');
      }
      const text = part.type === 'text' ? part.text : part.refusal;
      if (typeof text === 'string') return text;
      throw new ProtocolError('invalid_request', 'A content part needs its text.', { param: `${at}.${part.type}` });
    })
    .join('\n');
}

function unsupported(param: string, message: string): ProtocolError {
  return new ProtocolError('unsupported_parameter', message, { param });
}
