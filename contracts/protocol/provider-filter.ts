/** Which providers a policy admits, by operator, region and numeric class (SPEC.md §4.2). Pure. */
import { z } from 'zod';
import { ProtocolError } from './errors.ts';
import { safeParse, zText } from './schema.ts';

/** Names in body, header and attestation alike. */
export const FILTER_FIELDS = [
  'allow_classes',
  'allow_operators',
  'allow_regions',
  'deny_classes',
  'deny_operators',
  'deny_regions',
] as const;
export type FilterField = (typeof FILTER_FIELDS)[number];

/** Lists in ascending order without repeats; absent ones restrict nothing. */
export type ProviderFilter = Readonly<Partial<Record<FilterField, readonly string[]>>>;

/** What a filter looks at; region and class are the provider's own claim, undefined where the registry has none. */
export interface FilteredProvider {
  readonly operator: string;
  readonly region: string | undefined;
  readonly numericClass: string | undefined;
}

const ENTRIES_MAX = 32;
/** Longest entry: a numeric class. */
const ENTRY_LENGTH_MAX = 256;
/** Most characters of all lists in text form: they travel in a header, and Node takes 16 KB of those. */
const FILTER_TEXT_LENGTH_MAX = 1_536;

const zList = z
  .array(zText(ENTRY_LENGTH_MAX))
  .min(1)
  .max(ENTRIES_MAX)
  .refine((list) => list.every((entry, at) => at === 0 || list[at - 1]! < entry), 'expected ascending entries')
  .optional();

/** The attested form: one canonical spelling for each filter. */
export const filterShape = {
  allow_classes: zList,
  allow_operators: zList,
  allow_regions: zList,
  deny_classes: zList,
  deny_operators: zList,
  deny_regions: zList,
} as const satisfies Record<FilterField, typeof zList>;

/** Whether the provider may see the request. What is unknown of it is allowed by no list, and denied by each. */
export function isAdmitted(filter: ProviderFilter, { operator, region, numericClass }: FilteredProvider): boolean {
  const passes = (allow: FilterField, deny: FilterField, value: string | undefined): boolean => {
    const allowed = filter[allow];
    const denied = filter[deny];
    if (value === undefined) return allowed === undefined && denied === undefined;
    return (allowed === undefined || allowed.includes(value)) && !(denied?.includes(value) ?? false);
  };
  return (
    passes('allow_operators', 'deny_operators', operator) &&
    passes('allow_regions', 'deny_regions', region) &&
    passes('allow_classes', 'deny_classes', numericClass)
  );
}

/**
 * Reads the filter's fields: lists of strings, or one string with commas, in which %XX stands for what has no place in a header.
 * @param get the value of a field, undefined where it was not given
 * @throws {ProtocolError} invalid_policy
 */
export function parseFilter(get: (field: FilterField) => unknown, param: string): ProviderFilter {
  const given = FILTER_FIELDS.flatMap((field) => {
    const value = get(field);
    return value === undefined ? [] : [[field, parseList(value, `${param}.${field}`)] as const];
  });
  const filter: ProviderFilter = Object.fromEntries(given);
  const length = given.reduce((sum, [, list]) => sum + listText(list).length, 0);
  if (length > FILTER_TEXT_LENGTH_MAX) throw invalid(param, 'the lists of providers are too long together');
  return filter;
}

function parseList(value: unknown, param: string): readonly string[] {
  const entries = typeof value === 'string' ? entriesOfText(value, param) : value;
  if (!Array.isArray(entries)) throw invalid(param, 'must be a list of strings');
  const parsed = safeParse(zList, entries.every((entry) => typeof entry === 'string') ? sorted(entries) : entries);
  if (!parsed.success || parsed.data === undefined) {
    throw invalid(param, `must have 1 to ${ENTRIES_MAX} strings of 1 to ${ENTRY_LENGTH_MAX} characters`);
  }
  return parsed.data;
}

function sorted(entries: readonly string[]): string[] {
  return [...new Set(entries)].sort();
}

function entriesOfText(text: string, param: string): string[] {
  try {
    return text.split(',').map((entry) => decodeURIComponent(entry.trim()));
  } catch {
    throw invalid(param, 'a % must begin an escape such as %2C');
  }
}

/** The text form of one list, ASCII whatever is in it. */
export function listText(list: readonly string[]): string {
  return list.map((entry) => entry.replaceAll(/[^\x21-\x7e]|[,%"\\]/gu, encodeURIComponent)).join(',');
}

function invalid(param: string, message: string): ProtocolError {
  return new ProtocolError('invalid_policy', message, { param });
}
