/** Single values of a policy's fields, and how they are refused (SPEC.md §4.2). Pure. */
import { ProtocolError } from './errors.ts';
import { safeParse, zNano } from './schema.ts';

/** @throws {ProtocolError} invalid_policy */
export function wholeNumber(value: unknown, fallback: number, max: number, param: string): number {
  const number = value ?? fallback;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > max) {
    throw invalid(param, `must be a whole number from 1 to ${max}`);
  }
  return number;
}

/** Nano-units: a decimal string, or a whole number where that is exact. @throws {ProtocolError} invalid_policy */
export function parseMaxCost(value: unknown, param: string): bigint | null {
  if (value === undefined) return null;
  const parsed = safeParse(zNano, typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value);
  if (!parsed.success) throw invalid(param, 'max_cost must be an amount in nano-units such as "2500000"');
  return BigInt(parsed.data);
}

/** @throws {ProtocolError} invalid_policy */
export function parseThreshold(value: unknown, param: string): number | null {
  if (value === undefined) return null;
  if (typeof value !== 'number' || !(value > 0 && value <= 1)) {
    throw invalid(param, 'threshold must be a number above 0 and at most 1');
  }
  return value;
}

/** Whether one seat answers and nobody stands beside it when it does: what others find comes later, or never. */
export function isAlone(mode: string): boolean {
  return mode === 'single' || mode === 'audited';
}

/** Whether a rate of audits is a whole number of thousandths: an RFC 9651 decimal holds no more. */
export function isAuditRate(rate: number): boolean {
  return rate > 0 && rate <= 1 && Number(rate.toFixed(3)) === rate;
}

/** @throws {ProtocolError} invalid_policy */
export function parseAuditRate(value: unknown, param: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !isAuditRate(value)) {
    throw invalid(param, 'audit_rate must be a number above 0 and at most 1, with three decimals at most');
  }
  return value;
}

export function invalid(param: string, message: string): ProtocolError {
  return new ProtocolError('invalid_policy', message, { param });
}

export function unsupported(param: string, message: string): ProtocolError {
  return new ProtocolError('unsupported_parameter', message, { param });
}
