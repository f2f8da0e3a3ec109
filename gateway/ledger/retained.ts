/** Pay for answers that nobody has compared: it stays within reach for a while, and goes with a conviction (spec-money.md §11.8). */
import type { ProviderFault } from './penalties.ts';

const DAY_MS = 24 * 3600 * 1000;

/**
 * How long pay for an answer of a lone seat stays: a week, as payouts in arrears have it. Longer than any audit may take (six days to its beginning and one
 * more, `AUDIT_SETTINGS`), so that no pay has left before its answer could be found out; and long enough that a provider with a stake of
 * 100 answers and some fifty answers a day has several times its stake to lose.
 */
export const PAY_DELAY_MS = 7 * DAY_MS;

/**
 * From a provider's last lone answer until it counts as gone, and is examined: two days, as a weekend without power. Pay does not grow older meanwhile (`agedUntilMs`), and
 * of a week's answers five days' can be looked at then.
 */
export const SILENT_MS = 2 * DAY_MS;

/** What is known of a provider's examinations (spec-money.md §11.8). */
export interface ExaminationFacts {
  /** Time of the last lone answer that can be looked at; null where there is none. */
  readonly lastMs: number | null;
  /** Of the newest; null before the first. */
  readonly newest: { readonly beganAtMs: number; readonly endedAtMs: number | null } | null;
}

/**
 * Up to when pay grows older: it leaves once it is `PAY_DELAY_MS` old at that time. Now, but for who was never examined (0: none of it leaves), who is being examined, and who
 * has fallen silent and waits for it.
 */
export function agedUntilMs({ lastMs, newest }: ExaminationFacts, nowMs: number): number {
  if (newest !== null && newest.endedAtMs === null) return Math.min(nowMs, newest.beganAtMs);
  // Nothing is left that could be looked at: nobody waits for what cannot come.
  if (lastMs === null) return nowMs;
  if (newest === null) return 0;
  return lastMs > newest.beganAtMs ? Math.min(nowMs, lastMs + SILENT_MS) : nowMs;
}

/** What a conviction takes retained pay for: each of these is an answer that was not what was paid for. */
const FORFEITING: readonly ProviderFault[] = ['wrong_output', 'model_substitution', 'bad_evidence', 'copied_output'];

/** Whether retained pay is frozen beside the stake when a dispute about this is opened. */
export function isForfeiting(fault: ProviderFault): boolean {
  return FORFEITING.includes(fault);
}
