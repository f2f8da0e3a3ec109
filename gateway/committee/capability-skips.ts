/** Candidates that cannot or may not serve a request: passed over for a reason that is in the log already (SPEC.md §8). */
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
  /** The entry of the log that says so. */
  readonly logIndex: number;
}

export interface CapabilitySkipsDeps {
  readonly store: Store;
  readonly registry: Pick<Registry, 'withoutSampler' | 'excluded'>;
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

  /** Providers that are not to be seated for this sampling; the reasons are in the log when this returns. */
  async of(modelDigest: Hash, sampling: Sampling): Promise<CandidateSkip[]> {
    const excluded = this.#deps.registry.excluded().map(({ provider, reason, logIndex }) => {
      return { provider, reason, logIndex };
    });
    if (!needsSampler(sampling)) return excluded;
    const named = new Set(excluded.map(({ provider }) => provider));
    const unfit = await this.#withoutSampler(modelDigest);
    return [...excluded, ...unfit.filter(({ provider }) => !named.has(provider))];
  }

  async #withoutSampler(modelDigest: Hash): Promise<CandidateSkip[]> {
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
