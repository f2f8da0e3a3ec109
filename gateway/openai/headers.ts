/** Response headers of an answer that are known before it is generated (DESIGN §9). */
import { type BareItem, serializeDictionary } from 'structured-headers';
import type { AnswerEvent } from './answer.ts';

/** An RFC 9651 integer has at most 15 digits. */
const INTEGER_MAX = 999_999_999_999_999;

/** `assay-id`, `assay-policy` and `assay-security`. */
export function openedHeaders(
  requestId: string,
  opened: Extract<AnswerEvent, { type: 'opened' }>,
): Record<string, string> {
  const security = securityHeader(opened.security);
  return {
    'assay-id': requestId,
    'assay-policy': opened.policyText,
    ...(security === '' ? {} : { 'assay-security': security }),
  };
}

/**
 * The `assay-security` header: an RFC 9651 dictionary such as `seats=3, price_multiple=3`.
 * @param security keys in lower snake case, values ASCII; numbers that the format cannot hold go out as strings.
 */
export function securityHeader(security: Readonly<Record<string, string | number>>): string {
  return serializeDictionary(
    new Map(Object.entries(security).map(([key, value]) => [key, [bareItem(value), new Map()]])),
  );
}

function bareItem(value: string | number): BareItem {
  if (typeof value === 'string') return value;
  const fits = Math.abs(value) <= INTEGER_MAX && (Number.isInteger(value) || Number(value.toFixed(3)) === value);
  return fits ? value : String(value);
}
