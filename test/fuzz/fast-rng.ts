/** Fast randomness from a seed (sfc32, Chris Doty-Humphrey's PractRand generator): a million inputs need more than SHA-256 gives. */
import { createHash } from 'node:crypto';

export class FastRng {
  #a: number;
  #b: number;
  #c: number;
  #count: number;

  constructor(name: string) {
    const seed = createHash('sha256').update(name).digest();
    this.#a = seed.readInt32LE(0);
    this.#b = seed.readInt32LE(4);
    this.#c = seed.readInt32LE(8);
    this.#count = 1;
    // The first values still show the seed.
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** An integer from 0 up to, not including, `end`; 0 where `end` is 0. */
  below(end: number): number {
    return Math.floor((this.u32() / 2 ** 32) * end);
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 2 ** 32;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}
