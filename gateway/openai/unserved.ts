/** OpenAI's fields that are not served yet: refused by name, so that nothing that a client asks for is dropped silently. */
import { ProtocolError } from '#protocol/errors';

const isOneOf =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);
const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
const never = (): boolean => false;

/** Each field with the values that ask for nothing. Null and absent always do. */
export const UNSERVED_IN_CHAT: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ['functions', isEmptyList],
  ['function_call', isOneOf('none', 'auto')],
  ['response_format', (value: unknown) => typeof value === 'object' && (value as { type?: unknown }).type === 'text'],
  ['modalities', (value: unknown) => Array.isArray(value) && value.length === 1 && value[0] === 'text'],
  ['audio', never],
  ['prediction', never],
  ['web_search_options', never],
  ['moderation', never],
  ['reasoning_effort', isOneOf('none')],
  ['verbosity', isOneOf('medium')],
  ['service_tier', isOneOf('auto', 'default')],
  ['store', isOneOf(false)],
]);

/** The same for text completions. */
export const UNSERVED_IN_COMPLETIONS: typeof UNSERVED_IN_CHAT = new Map([
  ['suffix', isOneOf('')],
  ['best_of', isOneOf(1)],
]);

/** @throws {ProtocolError} `unsupported_parameter` with the field's name */
export function refuseUnserved(fields: Readonly<Record<string, unknown>>, unserved: typeof UNSERVED_IN_CHAT): void {
  for (const [param, asksNothing] of unserved) {
    const value = fields[param];
    if (value === undefined || value === null || asksNothing(value)) continue;
    throw new ProtocolError('unsupported_parameter', `Unsupported value: '${param}' is not served with this value.`, {
      param,
    });
  }
}
