/** What a verifier says about one thing that it looked at (SPEC.md §10.4). */

/** `pending`: the log has not covered it yet. `not checked`: the caller gave nothing to check it with. */
export type ItemStatus = 'proved' | 'failed' | 'not checked' | 'pending';

/** Every name that an item can have, in the order in which they are reported. */
export const ITEM_NAMES = [
  'response',
  'assay-member',
  'gateway-key',
  'attestation-signature',
  'request-hash',
  'content-hash',
  'usage',
  'logprobs',
  'tickets',
  'claims',
  'commitments',
  'rounds',
  'scores',
  'agreement',
  'log-key',
  'log-checkpoint',
  'log-inclusion',
  'epoch-inclusion',
  'draw',
  'draw-skips',
  'audits',
  'trials',
  'standing',
  'body-hash',
  'policy',
  'parameters',
  'prompt',
  'model-digest',
  'answer-text',
] as const;
export type ItemName = (typeof ITEM_NAMES)[number];

/** One finding; `detail` holds ids, counts and reasons, never prompts or answers. */
export interface VerifyItem {
  readonly name: ItemName;
  readonly status: ItemStatus;
  readonly detail: string;
}

/** The outcome of a check by its problem: null proves the item. */
export function finding(name: ItemName, problem: string | null, detail: string): VerifyItem {
  return problem === null ? { name, status: 'proved', detail } : { name, status: 'failed', detail: problem };
}

export function notChecked(name: ItemName, detail: string): VerifyItem {
  return { name, status: 'not checked', detail };
}

export function pending(name: ItemName, detail: string): VerifyItem {
  return { name, status: 'pending', detail };
}

/** From the best to the worst: what all together are is what the worst of them is. */
const STATUS_ORDER: readonly ItemStatus[] = ['proved', 'pending', 'not checked', 'failed'];

/**
 * One item for all choices of an answer: the worst status of any, with the details of those that have it.
 * @param items by choice; null where a choice has nothing to be checked
 * @returns null where no choice has
 */
export function ofChoices(items: readonly (VerifyItem | null)[]): VerifyItem | null {
  const found = items.flatMap((item, choice) => (item === null ? [] : [{ item, choice }]));
  const [first] = found;
  if (first === undefined || items.length === 1) return first?.item ?? null;
  const { name } = first.item;
  const rank = Math.max(...found.map(({ item }) => STATUS_ORDER.indexOf(item.status)));
  const status = STATUS_ORDER[rank]!;
  const worst = found.filter(({ item }) => item.status === status);
  return { name, status, detail: worst.map(({ item, choice }) => `choice ${choice}: ${item.detail}`).join('; ') };
}
