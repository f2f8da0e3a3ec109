/**
 * From OpenAI's messages to the turns that a chat template renders (SPEC.md, "Bodies").
 *
 * - `developer` is rendered as `system`, which is what models without that role were trained on.
 * - Text parts are joined with a line break, as vLLM and llama.cpp do.
 * - `tool` keeps its role and `tool_call_id`, `assistant` its `tool_calls` with their arguments as objects, which is what
 *   templates expect; whether the template really shows them is checked after rendering.
 * - What a text model cannot be shown (images, audio, files) is refused by its place, never dropped.
 */

import { z } from 'zod';
import type { ChatBodyMessage } from './chat-body.ts';
import { ProtocolError } from './errors.ts';
import { safeParse } from './schema.ts';

/** One turn for the template. */
export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly tool_call_id?: string;
  readonly tool_calls?: readonly TurnToolCall[];
  /** Templates may read any member; no others are passed on. */
  readonly [member: string]: unknown;
}

/** An earlier call, as templates read it. */
export interface TurnToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> };
}

const CALLS_MAX = 128;
const callsSchema = z
  .array(
    z.looseObject({
      id: z.string().min(1).max(256),
      type: z.literal('function'),
      function: z.looseObject({ name: z.string().min(1).max(64), arguments: z.string() }),
    }),
  )
  .max(CALLS_MAX);

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
      return assistantTurn(message, param);
    case 'function':
      throw unsupported(`${param}.role`, 'Messages of the role function are not served.');
  }
}

function assistantTurn(message: Extract<ChatBodyMessage, { role: 'assistant' }>, param: string): ChatTurn {
  for (const field of ['function_call', 'audio'] as const) {
    const value = message[field];
    if (value === undefined || value === null) continue;
    throw unsupported(`${param}.${field}`, `${field} in assistant messages is not served.`);
  }
  const calls = callsOf(message.tool_calls ?? [], `${param}.tool_calls`);
  const role = 'assistant';
  if (calls.length === 0) return { role, content: assistantText(message, param) };
  const content = message.content === undefined || message.content === null ? '' : textOf(message.content, param);
  return { role, content, tool_calls: calls };
}

function assistantText(message: Extract<ChatBodyMessage, { role: 'assistant' }>, param: string): string {
  if (message.content !== undefined && message.content !== null) return textOf(message.content, param);
  if (typeof message.refusal === 'string') return message.refusal;
  throw invalid(`${param}.content`, 'An assistant message needs content.');
}

function callsOf(value: unknown, param: string): TurnToolCall[] {
  const parsed = safeParse(callsSchema, value);
  if (!parsed.success) {
    const place = parsed.error.issues[0]!.path.map((key) =>
      typeof key === 'number' ? `[${key}]` : `.${String(key)}`,
    ).join('');
    throw invalid(`${param}${place}`, 'tool_calls must be calls of functions, each with id, name and arguments.');
  }
  return parsed.data.map(({ id, type, function: { name, arguments: text } }, index) => {
    const at = `${param}[${index}].function.arguments`;
    return { id, type, function: { name, arguments: argumentsOf(text, at) } };
  });
}

function argumentsOf(text: string, param: string): Record<string, unknown> {
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text; what follows says enough.
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(param, 'The arguments of a call must be the text of a JSON object.');
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
      throw invalid(`${at}.${part.type}`, 'A content part needs its text.');
    })
    .join('\n');
}

function invalid(param: string, message: string): ProtocolError {
  return new ProtocolError('invalid_request', message, { param });
}

function unsupported(param: string, message: string): ProtocolError {
  return new ProtocolError('unsupported_parameter', message, { param });
}
