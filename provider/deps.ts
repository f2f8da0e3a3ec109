/** What the provider's app is built from; only main.ts and tests put the real or the simulated parts together. */
import type { Domain } from '#protocol/eip712';
import type { Clock, Rng } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import type { Recover, Signer } from '#protocol/signer';
import type { Traces } from '#protocol/trace-context';
import type { Engine } from './engine/engine.ts';
import type { Log } from './log.ts';
import type { ProviderStore } from './store/store.ts';

/** A model as this provider claims to serve it. */
export interface ServedModel {
  readonly id: string;
  readonly engine: Engine;
}

/** What the manifest says beyond what engines and signer know. */
export interface ManifestFacts {
  readonly operator: string;
  readonly role: 'member' | 'referee';
  readonly region: string;
}

/** Bounds of what one provider takes on. */
export interface ProviderLimits {
  /** Largest request body in bytes. */
  readonly bodyBytesMax: number;
  /** Jobs that use the engine at one time. */
  readonly runningMax: number;
  /** Jobs that wait for the engine. */
  readonly waitingMax: number;
  /** Jobs that are kept in memory, those waiting for a permission included. */
  readonly openMax: number;
  /** How long a sealed chunk waits for its permission before the stream ends, in milliseconds. */
  readonly permissionTimeoutMs: number;
  /** Longest retention of evidence that a ticket may ask for, from its expiry on, in milliseconds. */
  readonly retentionMaxMs: number;
}

export const DEFAULT_LIMITS: ProviderLimits = {
  // 2^20 token ids of at most 10 digits and a comma are 11.5 MB.
  bodyBytesMax: 16 * 1024 * 1024,
  // As many as share a run of the model: the seventeenth would make two runs of one.
  runningMax: 16,
  waitingMax: 64,
  // 256 transcripts of 4,096 tokens at about 250 bytes of evidence are 256 MB.
  openMax: 256,
  // A round closes within the gateway's request deadline, minutes at most.
  permissionTimeoutMs: 5 * 60 * 1000,
  retentionMaxMs: 90 * 24 * 60 * 60 * 1000,
};

export interface ProviderDeps {
  /** By the digest that the manifest claims; at least one. */
  readonly models: ReadonlyMap<Hash, ServedModel>;
  readonly manifest: ManifestFacts;
  readonly signer: Signer;
  readonly recover: Recover;
  readonly domain: Domain;
  /** Gateways whose tickets are taken; a ticket of anybody else is refused. */
  readonly gatewayAddresses: ReadonlySet<Address>;
  readonly store: ProviderStore;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly limits: ProviderLimits;
  /** Where spans go; without, none are recorded. */
  readonly traces?: Traces;
}
