/** Pay for answers that nobody has compared: it stays within reach for a while, and goes with a conviction (spec-money.md §11.8). */
import type { ProviderFault } from './penalties.ts';

const DAY_MS = 24 * 3600 * 1000;

/**
 * How long pay for an answer of a lone seat stays: a week, as payouts in arrears have it. Longer than any audit may take (six days to its beginning and one
 * more, `AUDIT_SETTINGS`), so that no pay has left before its answer could be found out; and long enough that a provider with a stake of
 * 100 answers and some fifty answers a day has several times its stake to lose.
 */
export const PAY_DELAY_MS = 7 * DAY_MS;

/** What a conviction takes retained pay for: each of these is an answer that was not what was paid for. */
const FORFEITING: readonly ProviderFault[] = ['wrong_output', 'model_substitution', 'bad_evidence', 'copied_output'];

/** Whether retained pay is frozen beside the stake when a dispute about this is opened. */
export function isForfeiting(fault: ProviderFault): boolean {
  return FORFEITING.includes(fault);
}
