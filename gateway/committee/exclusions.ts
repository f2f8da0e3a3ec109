/**
 * Quarantine and removal of providers: the reason stands in the public log before any draw passes the provider over for it
 * (DESIGN §4.3, SPEC.md §6.5).
 */
import type { Clock } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import type { LogKeeper } from '../attest/log-keeper.ts';
import {
  dropAdmission,
  dropExclusion,
  type Exclusion,
  exclusionOf,
  putExclusion,
  REMOVED,
} from '../store/admissions-repo.ts';
import type { Store, Tx } from '../store/handle.ts';
import { providerByAddress, setProviderStatus } from '../store/providers-repo.ts';
import type { Registry } from './registry.ts';

export const QUARANTINE = 'quarantine:';

export interface ExclusionDeps {
  readonly store: Store;
  readonly registry: Pick<Registry, 'load' | 'manifestHashOf'>;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly clock: Clock;
}

/** What came of an order: `known`: it had been carried out before. */
export type Excluded =
  | { readonly outcome: 'done' | 'known'; readonly logIndex: number }
  | { readonly outcome: 'unknown_provider' };

export class Exclusions {
  readonly #deps: ExclusionDeps;

  constructor(deps: ExclusionDeps) {
    this.#deps = deps;
  }

  /**
   * Puts a provider into quarantine. It stays in the registry's snapshots, so that every draw shows that it was passed over and why.
   * @param reason public: a word such as `operator-request`, never free text about people
   * @param evidenceHash hash of what it rests on, such as a dispute's id; of the provider's manifest when null
   */
  async quarantine(provider: Address, reason: string, evidenceHash: Hash | null): Promise<Excluded> {
    return this.#exclude(provider, `${QUARANTINE}${reason}`, 'quarantined', evidenceHash, async () => {});
  }

  /** The same inside the caller's transaction; what the registry knows is to be read anew once that is durable. */
  async quarantineIn(tx: Tx, provider: Address, reason: string, evidenceHash: Hash): Promise<Excluded> {
    const order = { provider, reason: `${QUARANTINE}${reason}`, status: 'quarantined' as const, evidenceHash };
    return this.#excludeIn(tx, order, async () => {});
  }

  /** Removes a provider until an operator admits it again; what it earned and staked stays its own. */
  async remove(provider: Address): Promise<Excluded> {
    return this.#exclude(provider, REMOVED, 'left', null, (tx, url) => dropAdmission(tx, url));
  }

  /** Lifts a quarantine: `lifted:<reason>` in the log ends what the entry before it began. */
  async lift(provider: Address, reason: string): Promise<Excluded> {
    const { store, log, clock, registry } = this.#deps;
    const atMs = clock.nowMs();
    const evidenceHash = registry.manifestHashOf(provider);
    const lifted = await store.withTx(async (tx): Promise<Excluded> => {
      const exclusion = await exclusionOf(tx, provider);
      if (evidenceHash === null) return { outcome: 'unknown_provider' };
      if (!exclusion?.reason.startsWith(QUARANTINE)) return { outcome: 'known', logIndex: exclusion?.logIndex ?? -1 };
      const logIndex = await log.append(tx, {
        type: 'skip',
        provider,
        reason: `lifted:${reason}`,
        evidenceHash,
        atMs,
      });
      await dropExclusion(tx, provider);
      await setProviderStatus(tx, provider, 'active', atMs);
      return { outcome: 'done', logIndex };
    });
    if (lifted.outcome === 'done') await registry.load();
    return lifted;
  }

  async #exclude(
    provider: Address,
    reason: string,
    status: 'quarantined' | 'left',
    evidence: Hash | null,
    also: (tx: Tx, url: string) => Promise<void>,
  ): Promise<Excluded> {
    const { store, registry } = this.#deps;
    const evidenceHash = evidence ?? registry.manifestHashOf(provider);
    if (evidenceHash === null) return { outcome: 'unknown_provider' };
    const order = { provider, reason, status, evidenceHash };
    const done = await store.withTx((tx) => this.#excludeIn(tx, order, also));
    // Only now: what the registry knows, draws act on, and they may cite only what is durable.
    if (done.outcome === 'done') await registry.load();
    return done;
  }

  async #excludeIn(tx: Tx, order: Order, also: (tx: Tx, url: string) => Promise<void>): Promise<Excluded> {
    const { log, clock } = this.#deps;
    const { provider, reason, status, evidenceHash } = order;
    const atMs = clock.nowMs();
    const row = await providerByAddress(tx, provider);
    if (row === null) return { outcome: 'unknown_provider' };
    const known = await exclusionOf(tx, provider);
    if (known !== null && isSame(known, reason)) return { outcome: 'known', logIndex: known.logIndex };
    const logIndex = await log.append(tx, { type: 'skip', provider, reason, evidenceHash, atMs });
    await putExclusion(tx, { provider, reason, logIndex, atMs });
    await setProviderStatus(tx, provider, status, atMs);
    await also(tx, row.url);
    return { outcome: 'done', logIndex };
  }
}

interface Order {
  readonly provider: Address;
  readonly reason: string;
  readonly status: 'quarantined' | 'left';
  readonly evidenceHash: Hash;
}

/** A second quarantine keeps the first one's entry; a removed provider is not put into quarantine. */
function isSame(known: Exclusion, reason: string): boolean {
  return known.reason === REMOVED || (known.reason.startsWith(QUARANTINE) && reason.startsWith(QUARANTINE));
}
