/** Randomness that a seed decides: SHA-256 in counter mode, with named branches that do not disturb each other. */
import { createHash } from 'node:crypto';
import type { Rng } from '#protocol/env';

export class SeededRng implements Rng {
  readonly #name: string;
  #block: Uint8Array = new Uint8Array(0);
  #used = 0;
  #count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Another stream: drawing more from one branch leaves all others as they were. */
  branch(name: string): SeededRng {
    return new SeededRng(`${this.#name}/${name}`);
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at++) {
      if (this.#used === this.#block.length) {
        this.#block = createHash('sha256')
          .update(`${this.#name}#${this.#count++}`)
          .digest();
        this.#used = 0;
      }
      out[at] = this.#block[this.#used++]!;
    }
    return out;
  }

  /** 0 up to, not including, 1. */
  unit(): number {
    return new DataView(this.bytes(4).buffer).getUint32(0) / 2 ** 32;
  }

  /** An integer, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.unit() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.between(0, values.length - 1)]!;
  }
}
