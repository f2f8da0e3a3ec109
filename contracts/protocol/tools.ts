/**
 * Tools of a chat body: what a model is told of them, and what its answer may call (SPEC.md, "Tools").
 *
 * Calls are read out of the answer's own tokens, which are sealed and compared like any others; nothing constrains the tokens.
 * So a choice that would need constrained decoding (`required`, a named tool, `strict`) is refused, never half kept.
 */

import { z } from 'zod';
import { canonicalJson } from './canonical.ts';
import { ProtocolError } from './errors.ts';
import { safeParse } from './schema.ts';
import type { ChatOptions } from './text.ts';

/** Most tools of a request; OpenAI's own limit. */
export const TOOLS_MAX = 128;
/** Longest canonical form of all tools together: 128 tools of 2 KiB. */
export const TOOLS_LENGTH_MAX = 2 ** 18;

/** A tool as the template gets it: the client's own object. */
export interface ChatTool {
  readonly type: 'function';
  readonly function: { readonly name: string; readonly [member: string]: unknown };
  readonly [member: string]: unknown;
}

/** OpenAI's rule for names. */
const nameSchema = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/);
const toolSchema = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: nameSchema,
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});

/** The members of a chat body that concern tools. */
export interface ToolFields {
  readonly tools?: unknown;
  readonly tool_choice?: unknown;
  readonly parallel_tool_calls?: unknown;
}

/**
 * The tools that the model is to know; empty where there are none or `tool_choice` is `none`.
 * @throws {ProtocolError} `invalid_request` or `unsupported_parameter` with the place of the field
 */
export function toolsOfBody({ tools, tool_choice, parallel_tool_calls }: ToolFields): readonly ChatTool[] {
  const given = tools ?? [];
  if (!Array.isArray(given)) throw invalid('tools', 'tools must be a list.');
  if (given.length > TOOLS_MAX) throw invalid('tools', `At most ${TOOLS_MAX} tools are accepted.`);
  const known = given.map((tool: unknown, index) => toolOf(tool, `tools[${index}]`));
  const names = known.map((tool) => tool.function.name);
  if (new Set(names).size < names.length) throw invalid('tools', 'Two tools have one name.');
  if (canonicalJson(known).length > TOOLS_LENGTH_MAX) {
    throw invalid('tools', `The tools are longer than ${TOOLS_LENGTH_MAX} characters together.`);
  }
  checkChoice(tool_choice ?? 'auto', known.length > 0);
  if (parallel_tool_calls !== undefined && parallel_tool_calls !== null && typeof parallel_tool_calls !== 'boolean') {
    throw invalid('parallel_tool_calls', 'parallel_tool_calls must be true or false.');
  }
  if (parallel_tool_calls === false && known.length > 0) {
    throw unsupported('parallel_tool_calls', 'A model that may call tools may call several; false is not served.');
  }
  return tool_choice === 'none' ? [] : known;
}

/** What a template is rendered with: without tools, as if there were no such thing. */
export function toolOptions(tools: readonly ChatTool[]): ChatOptions {
  return tools.length === 0 ? {} : { tools };
}

function toolOf(tool: unknown, param: string): ChatTool {
  const type = typeof tool === 'object' && tool !== null ? (tool as { type?: unknown }).type : undefined;
  if (typeof type === 'string' && type !== 'function') {
    throw unsupported(`${param}.type`, 'Only tools of the type function are served.');
  }
  const parsed = safeParse(toolSchema, tool);
  if (!parsed.success) {
    const place = parsed.error.issues[0]!.path.map((key) => `.${String(key)}`).join('');
    throw invalid(`${param}${place}`, 'The tool is not a function with a name of letters, digits, _ and -.');
  }
  if (parsed.data.function.strict === true) {
    throw unsupported(`${param}.function.strict`, 'Strict arguments need constrained decoding, which is not served.');
  }
  return parsed.data;
}

function checkChoice(choice: unknown, hasTools: boolean): void {
  if (choice === 'none') return;
  if (choice === 'auto') return;
  if (!hasTools) throw invalid('tool_choice', 'tool_choice needs tools.');
  const kinds = ['function', 'custom', 'allowed_tools'];
  const isKind = typeof choice === 'object' && choice !== null && kinds.includes((choice as { type: string }).type);
  if (choice !== 'required' && !isKind) throw invalid('tool_choice', 'tool_choice must be none, auto or required.');
  throw unsupported('tool_choice', 'A forced tool needs constrained decoding, which is not served; use auto or none.');
}

function invalid(param: string, message: string): ProtocolError {
  return new ProtocolError('invalid_request', message, { param });
}

function unsupported(param: string, message: string): ProtocolError {
  return new ProtocolError('unsupported_parameter', message, { param });
}
