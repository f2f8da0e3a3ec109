/** IEEE 754 half precision to single, exactly. */

/** All 65,536 values; 256 KiB, made on first use. */
let table: Float32Array | undefined;

/** Converts half-precision bit patterns. */
export function halfToFloat(bits: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, pattern) => valueOfHalf(pattern));
  const values = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index++) values[index] = table[bits[index]!]!;
  return values;
}

/** Sign, 5 bits of exponent with bias 15, 10 bits of fraction (IEEE 754-2019 section 3.4). */
function valueOfHalf(pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >> 10) & 31;
  const fraction = pattern & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
