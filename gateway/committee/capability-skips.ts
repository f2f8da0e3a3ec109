/** Candidates that cannot or may not serve a request: passed over for a reason that is in the log already (SPEC.md §8). */
import type { Clock } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import { needsSampler, type Sampling } from '#protocol/sampling';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Store } from '../store/handle.ts';
import type { Registry } from './registry.ts';
import type { ProviderRecord } from './seat.ts';

/** Why a provider without the shared sampler gets no request that needs it. */
export const SAMPLER_MISSING = 'capability:sampler';
/** Why a provider that gives no (or too few) log-probabilities gets no request for them. */
export const LOGPROBS_MISSING = 'capability:logprobs';

/** Reason of a quarantine by an account of evidence (spec-judge.md §7.10). */
export const EVIDENCE_QUARANTINE = 'quarantine:accumulated-evidence';

/** Why a provider that does not score gets no seat where seats score. */
export const SCORES_MISSING = 'capability:scores';

/** A candidate that a draw passes over, and where the log says why. */
export interface CandidateSkip {
  readonly provider: Address;
  readonly reason: string;
  /** The entry of the log that says so. */
  readonly logIndex: number;
}

/** What of a request not every provider can do. */
export interface Needs {
  readonly sampling: Sampling;
  readonly logprobs: number | null;
  readonly policy: Pick<Policy, 'mode'>;
  /** Whether the gateway asks for itself: then those in quarantine for accumulated evidence are asked too. */
  readonly isProbe?: boolean;
}

export interface CapabilitySkipsDeps {
  readonly store: Store;
  readonly registry: Pick<Registry, 'lacking' | 'excluded'>;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly clock: Clock;
}

interface Unfit {
  readonly provider: Address;
  readonly manifestHash: Hash;
  readonly reason: string;
}

/** One entry a manifest and reason, not one a request: what a provider says about itself holds until it says otherwise. */
export class CapabilitySkips {
  readonly #deps: CapabilitySkipsDeps;
  readonly #entries = new Map<string, { readonly manifestHash: Hash; readonly logIndex: number }>();

  constructor(deps: CapabilitySkipsDeps) {
    this.#deps = deps;
  }

  /** Providers that are not to be seated for this request; the reasons are in the log when this returns. */
  async of(modelDigest: Hash, needs: Needs): Promise<CandidateSkip[]> {
    const excluded = this.#deps.registry
      .excluded()
      .filter(({ reason }) => needs.isProbe !== true || reason !== EVIDENCE_QUARANTINE)
      .map(({ provider, reason, logIndex }) => ({ provider, reason, logIndex }));
    const named = new Set(excluded.map(({ provider }) => provider));
    const unfit = await this.#logged(this.#unfit(modelDigest, needs));
    return [...excluded, ...unfit.filter(({ provider }) => !named.has(provider))];
  }

  async #logged(unfit: readonly Unfit[]): Promise<CandidateSkip[]> {
    const { store, log, clock } = this.#deps;
    const unlogged = unfit.filter((skip) => this.#entries.get(keyOf(skip))?.manifestHash !== skip.manifestHash);
    if (unlogged.length > 0) {
      const indices = await store.withTx(async (tx) => {
        const appended: number[] = [];
        for (const { provider, manifestHash, reason } of unlogged) {
          const skip = { type: 'skip' as const, provider, reason, evidenceHash: manifestHash };
          appended.push(await log.append(tx, { ...skip, atMs: clock.nowMs() }));
        }
        return appended;
      });
      // Only what is committed may be cited.
      for (const [at, skip] of unlogged.entries()) {
        this.#entries.set(keyOf(skip), { manifestHash: skip.manifestHash, logIndex: indices[at]! });
      }
    }
    return unfit.map((skip) => {
      const { provider, reason } = skip;
      return { provider, reason, logIndex: this.#entries.get(keyOf(skip))!.logIndex };
    });
  }

  /** One reason a provider: the first. */
  #unfit(modelDigest: Hash, { sampling, logprobs, policy }: Needs): Unfit[] {
    const lacking = (reason: string, lacks: (record: ProviderRecord) => boolean): Unfit[] =>
      this.#deps.registry.lacking(modelDigest, lacks).map((record) => ({ ...record, reason }));
    const found = [
      ...(needsSampler(sampling) ? lacking(SAMPLER_MISSING, (record) => !record.hasSampler) : []),
      ...(policy.mode === 'witnessed' ? lacking(SCORES_MISSING, (record) => !record.canScore) : []),
      ...(logprobs === null ? [] : lacking(LOGPROBS_MISSING, (record) => record.logprobsMax < logprobs)),
    ];
    return found.filter(({ provider }, at) => found.findIndex((other) => other.provider === provider) === at);
  }
}

function keyOf({ provider, reason }: { readonly provider: Address; readonly reason: string }): string {
  return `${provider} ${reason}`;
}
