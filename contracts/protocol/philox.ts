/**
 * Philox4x32-10 and the Gumbel noise that it gives to sampling (SPEC.md, "Sampling").
 * Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11), and the Random123 library's test values.
 */

/** PHILOX_M4x32_0 = 0xD2511F53 and PHILOX_M4x32_1 = 0xCD9E8D57 in halves, so that products stay below 2^53. */
const M0_HIGH = 0xd251;
const M0_LOW = 0x1f53;
const M0 = 0xd2511f53;
const M1_HIGH = 0xcd9e;
const M1_LOW = 0x8d57;
const M1 = 0xcd9e8d57;
/** Key increments (Weyl sequence): golden ratio and sqrt(3) - 1, in 32 bits. */
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const ROUNDS = 10;
const TWO_32 = 2 ** 32;
/** The same for code that makes its own. */
export const PHILOX = { rounds: ROUNDS, factors: [M0, M1], keySteps: [W0, W1] } as const;

/** Upper 32 bits of the product of two uint32, the first given in halves. */
function highProduct(aHigh: number, aLow: number, b: number): number {
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (cross >>> 16)) >>> 0;
}

/**
 * One block of Philox4x32-10: writes four uint32 words to `out`.
 * @param key0 low word of the key; every argument is a uint32.
 */
export function philox4x32(
  out: Uint32Array,
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
): void {
  let c0 = counter0;
  let c1 = counter1;
  let c2 = counter2;
  let c3 = counter3;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highProduct(M0_HIGH, M0_LOW, c0);
    const high1 = highProduct(M1_HIGH, M1_LOW, c2);
    const low0 = Math.imul(M0, c0);
    const low1 = Math.imul(M1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Low word of a seed; a signed seed counts as its two's complement. */
export function seedLow(seed: bigint): number {
  return Number(BigInt.asUintN(32, seed));
}

/** High word of a seed; a signed seed counts as its two's complement. */
export function seedHigh(seed: bigint): number {
  return Number(BigInt.asUintN(32, seed >> 32n));
}

/** Gumbel noise -ln(-ln u) of a uint32 word, u = (word + 0.5) / 2^32, in float64; between -3.13 and 22.88. */
export function gumbelOfWord(word: number): number {
  return -Math.log(-Math.log((word + 0.5) / TWO_32));
}

/**
 * Gumbel noise of one token at one position, the same for everybody who knows the seed.
 * @param position 0-based index of the output token, uint32.
 * @param id token id, uint32.
 */
export function gumbelNoise(seed: bigint, position: number, id: number): number {
  const block = new Uint32Array(4);
  philox4x32(block, position >>> 0, id >>> 2, 0, 0, seedLow(seed), seedHigh(seed));
  return gumbelOfWord(block[id & 3]!);
}
