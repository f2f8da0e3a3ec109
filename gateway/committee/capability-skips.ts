/** Candidates that cannot serve a request by their own manifests: passed over for a reason in the log (SPEC.md §8). */
import type { Clock } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import { needsSampler, type Sampling } from '#protocol/sampling';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Store } from '../store/handle.ts';
import type { Registry } from './registry.ts';

/** Why a provider without the shared sampler gets no request that needs it. */
export const SAMPLER_MISSING = 'capability:sampler';

/** A candidate that a draw passes over, and where the log says why. */
export interface CandidateSkip {
  readonly provider: Address;
  readonly reason: string;
  /** The entry of the log that says so; its evidence is the hash of the manifest that the provider signed. */
  readonly logIndex: number;
}

export interface CapabilitySkipsDeps {
  readonly store: Store;
  readonly registry: Pick<Registry, 'withoutSampler'>;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly clock: Clock;
}

/** One entry a manifest, not one a request: what a provider says about itself holds until it says something else. */
export class CapabilitySkips {
  readonly #deps: CapabilitySkipsDeps;
  readonly #logged = new Map<Address, { readonly manifestHash: Hash; readonly logIndex: number }>();

  constructor(deps: CapabilitySkipsDeps) {
    this.#deps = deps;
  }

  /** Providers of a model that cannot serve this sampling; the reasons are in the log when this returns. */
  async of(modelDigest: Hash, sampling: Sampling): Promise<CandidateSkip[]> {
    if (!needsSampler(sampling)) return [];
    const { store, registry, log, clock } = this.#deps;
    const unfit = registry.withoutSampler(modelDigest);
    const unlogged = unfit.filter(
      ({ provider, manifestHash }) => this.#logged.get(provider)?.manifestHash !== manifestHash,
    );
    if (unlogged.length > 0) {
      const indices = await store.withTx(async (tx) => {
        const appended: number[] = [];
        for (const { provider, manifestHash } of unlogged) {
          const skip = { type: 'skip' as const, provider, reason: SAMPLER_MISSING, evidenceHash: manifestHash };
          appended.push(await log.append(tx, { ...skip, atMs: clock.nowMs() }));
        }
        return appended;
      });
      // Only what is committed may be cited.
      for (const [at, { provider, manifestHash }] of unlogged.entries()) {
        this.#logged.set(provider, { manifestHash, logIndex: indices[at]! });
      }
    }
    return unfit.map(({ provider }) => {
      return { provider, reason: SAMPLER_MISSING, logIndex: this.#logged.get(provider)!.logIndex };
    });
  }
}
