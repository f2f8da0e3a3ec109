/** Server-sent events as OpenAI frames them (reference: WHATWG HTML §9.2). */

export const KEEP_ALIVE_FRAME = ': keep-alive\n\n';
export const DONE_FRAME = 'data: [DONE]\n\n';

/** One `data:` event; JSON.stringify escapes line breaks, so that a value is always one line. */
export function dataFrame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
