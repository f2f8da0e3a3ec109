/** A provider as the committee sees it. */
import type { Address, Hash } from '#protocol/hash';

export interface ProviderRecord {
  readonly address: Address;
  readonly operator: string;
  readonly url: string;
  readonly role: 'member' | 'referee';
  readonly region: string;
  /** Numeric class per model digest. */
  readonly classes: ReadonlyMap<Hash, string>;
  readonly canScore: boolean;
  /** Whether it runs the shared sampler: without, it serves plain argmax only. */
  readonly hasSampler: boolean;
  /** Most alternatives with log-probabilities that it gives; -1 where it gives no log-probabilities. */
  readonly logprobsMax: number;
  /** Jobs that it takes at one time, by its own word. */
  readonly concurrency: number;
  readonly manifestHash: Hash;
}

/** One seat of one committee. */
export interface Seat {
  readonly address: Address;
  readonly operator: string;
  readonly url: string;
  readonly numericClass: string;
}
