/** CHECK conditions in SQL that both dialects read alike. */
import type { SQL } from 'drizzle-orm';
import { sql } from 'drizzle-orm';

/** 2^62 − 1, as MONEY_MAX_NANO of the ledger; a literal, since a migration never changes with the code. */
const MONEY_MAX = '4611686018427387903';

/** The column holds one of the words, or NULL where the column may be. */
export function oneOf(column: string, words: readonly string[]): SQL {
  return sql.raw(`${column} in (${words.map((word) => `'${word}'`).join(', ')})`);
}

/** The amount is from 0 to 2^62 − 1; a float that an overflow made is far above. */
export function moneyRange(...columns: readonly string[]): SQL {
  return sql.raw(columns.map((column) => `${column} between 0 and ${MONEY_MAX}`).join(' and '));
}

/** The signed amount is within ±(2^62 − 1). */
export function signedMoneyRange(column: string): SQL {
  return sql.raw(`${column} between -${MONEY_MAX} and ${MONEY_MAX}`);
}

export function atLeastZero(...columns: readonly string[]): SQL {
  return sql.raw(columns.map((column) => `${column} >= 0`).join(' and '));
}

export function condition(text: string): SQL {
  return sql.raw(text);
}

/**
 * Whether an entry of the log is a trial of a scorer. A constant text: only a query that says it word for word can use the index over it.
 * Canonical JSON has no spaces, and texts within it their quotes escaped: nothing else can hold this.
 */
export const IS_TRIAL = `entry_json like '%"type":"trial"%'`;

/** Whether a posting is of the account of the world outside; constant like the text above. */
export const IS_EXTERNAL = "account = 'external'";

/** Whether a request has not ended; constant like the texts above. */
export const IS_OPEN = 'ended_at_ms is null';
