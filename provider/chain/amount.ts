/** Amounts of a token as people write and read them. */
import { formatUnits, parseUnits } from 'viem';
import type { Token } from './account.ts';

/** Base units of `12.5`; null on what is no amount, has too many places, or exceeds uint128. */
export function parseAmount(text: string, { decimals }: Token): bigint | null {
  const match = /^(0|[1-9][0-9]{0,38})(?:\.([0-9]{1,77}))?$/.exec(text);
  if (!match || (match[2] ?? '').length > decimals) return null;
  const amount = parseUnits(text, decimals);
  return amount > 0n && amount < 1n << 128n ? amount : null;
}

/** `12.5 USDX`. */
export function amountText(amount: bigint, { symbol, decimals }: Token): string {
  return `${formatUnits(amount, decimals)} ${symbol}`;
}

/** `2026-12-17T14:00:00Z` of seconds. */
export function timeText(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}
