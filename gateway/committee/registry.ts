/** The registry of providers: who they say they are, under their own signature (SPEC.md §6, §8). */
import { canonicalJson } from '#protocol/canonical';
import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import { MANIFEST_AHEAD_MAX_MS, manifestDigest, manifestHash } from '#protocol/manifest';
import type { ManifestReply } from '#protocol/messages';
import type { Recover } from '#protocol/signer';
import { within } from '../round/deadline.ts';
import type { ProviderClient } from '../round/provider-client.ts';
import { dropExclusion, type Exclusion, exclusionOf, listExclusions, REMOVED } from '../store/admissions-repo.ts';
import type { Store } from '../store/handle.ts';
import { listProviders, type ProviderRow, providerByAddress, rejoin, upsertProvider } from '../store/providers-repo.ts';
import type { Breakers } from './breakers.ts';
import type { ProviderRecord, Seat } from './seat.ts';

export interface RegistryDeps {
  readonly client: ProviderClient;
  readonly store: Store;
  readonly clock: Clock;
  readonly domain: Domain;
  readonly recover: Recover;
  readonly manifestTimeoutMs: number;
}

/** Why a provider could not be admitted. */
export type AdmissionProblem =
  | 'unreachable'
  | 'bad_signature'
  | 'wrong_role'
  | 'wrong_address'
  | 'wrong_clock'
  | 'removed';

/** Whether the provider itself signed this manifest. */
export function manifestIsSigned(domain: Domain, recover: Recover, reply: ManifestReply): boolean {
  return recover(manifestDigest(domain, reply.manifest), reply.signature) === reply.manifest.address;
}

/** Providers in memory, as the database has them; the draw reads only this. */
export class Registry {
  readonly #deps: RegistryDeps;
  readonly #records = new Map<Address, ProviderRecord & { readonly status: ProviderRow['status'] }>();
  #excluded: ReadonlyMap<Address, Exclusion> = new Map();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  /**
   * Asks the provider at `url` for its manifest and admits it.
   * @param order.again whether one that an operator has removed is taken back
   * @param order.expected the only address to admit
   * @returns the address and whether it was never seen before, or why not
   */
  async admit(
    url: string,
    role: 'member' | 'referee',
    signal: AbortSignal,
    order: { readonly again?: boolean; readonly expected?: Address } = {},
  ): Promise<{ address: Address; isNew: boolean } | { problem: AdmissionProblem }> {
    const { client, clock, store, domain, recover } = this.#deps;
    const deadline = clock.nowMs() + this.#deps.manifestTimeoutMs;
    const reply = await within(clock, deadline, signal, (inner) => client.manifest(url, inner())).catch(() => null);
    if (!reply) return { problem: 'unreachable' };
    if (!manifestIsSigned(domain, recover, reply)) return { problem: 'bad_signature' };
    const { manifest } = reply;
    // Such a provider would refuse every ticket, as long out of date.
    if (manifest.issuedAtMs > clock.nowMs() + MANIFEST_AHEAD_MAX_MS) return { problem: 'wrong_clock' };
    if (manifest.role !== role) return { problem: 'wrong_role' };
    if (order.expected !== undefined && manifest.address !== order.expected) return { problem: 'wrong_address' };
    const outcome = await store.withTx(async (tx) => {
      const isNew = (await providerByAddress(tx, manifest.address)) === null;
      const exclusion = await exclusionOf(tx, manifest.address);
      if (exclusion?.reason === REMOVED && order.again !== true) return null;
      if (exclusion?.reason === REMOVED) await dropExclusion(tx, manifest.address);
      await upsertProvider(tx, {
        address: manifest.address,
        operator: manifest.operator,
        url,
        role: manifest.role,
        modelsJson: canonicalJson(manifest.models),
        region: manifest.region,
        numericClass: manifest.models[0]!.numericClass,
        status: 'active',
        manifestJson: canonicalJson(reply),
        updatedAtMs: clock.nowMs(),
      });
      await rejoin(tx, manifest.address);
      return { isNew };
    });
    if (outcome === null) return { problem: 'removed' };
    await this.load();
    return { address: manifest.address, ...outcome };
  }

  /** Asks providers whose breakers are due for their manifests: who is still gone need not cost a request to find out. */
  async probe(breakers: Pick<Breakers, 'due' | 'sent'>, signal: AbortSignal): Promise<void> {
    const { client, clock, manifestTimeoutMs } = this.#deps;
    await Promise.all(
      breakers.due().map(async (address) => {
        const record = this.#records.get(address);
        if (!record) return;
        const report = breakers.sent(address);
        const deadline = clock.nowMs() + manifestTimeoutMs;
        const reply = within(clock, deadline, signal, (inner) => client.manifest(record.url, inner()));
        const isThere = await reply.then(({ manifest }) => manifest.address === address).catch(() => false);
        if (isThere) report.answered();
        else if (signal.aborted) report.dropped();
        else report.failed();
      }),
    );
  }

  /** Re-reads the database. */
  async load(): Promise<void> {
    const [rows, exclusions] = await this.#deps.store.read(async (handle) => [
      await listProviders(handle),
      await listExclusions(handle),
    ]);
    this.#excluded = new Map(exclusions.map((exclusion) => [exclusion.provider, exclusion]));
    this.#records.clear();
    for (const row of rows) {
      const { manifest } = JSON.parse(row.manifestJson) as ManifestReply;
      this.#records.set(row.address, {
        address: row.address,
        operator: row.operator,
        url: row.url,
        role: row.role,
        region: row.region,
        status: row.status,
        classes: new Map(manifest.models.map((model) => [model.digest, model.numericClass])),
        canScore: manifest.capabilities.scores,
        hasSampler: manifest.capabilities.sampler !== null,
        logprobsMax: manifest.capabilities.logprobs ?? -1,
        concurrency: manifest.concurrency,
        manifestHash: manifestHash(manifest),
      });
    }
  }

  /** Members that are drawn, by ascending address; those in quarantine too, whom every draw then passes over. */
  members(): ProviderRecord[] {
    return [...this.#records.values()]
      .filter((record) => record.role === 'member' && record.status !== 'left')
      .sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  /** Members of an operator that serve the model, also those in quarantine. */
  machinesOf(operator: string, modelDigest: Hash): Address[] {
    return this.members()
      .filter((record) => record.operator === operator && record.classes.has(modelDigest))
      .map(({ address }) => address);
  }

  /** Digests of the models that a provider serves. */
  modelsOf(address: Address): Hash[] {
    return [...(this.#records.get(address)?.classes.keys() ?? [])];
  }

  /** The seat of a drawn provider, also of one to be passed over; null where it does not serve the model (any more). */
  seatOf(address: Address, modelDigest: Hash): Seat | null {
    const record = this.#records.get(address);
    const numericClass = record?.classes.get(modelDigest);
    if (!record || numericClass === undefined) return null;
    if (record.status === 'left' && !this.#excluded.has(address)) return null;
    return { address, operator: record.operator, url: record.url, numericClass };
  }

  /** The referee for a model, or null. */
  referee(modelDigest: Hash): Seat | null {
    const found = [...this.#records.values()].find(
      (record) => record.role === 'referee' && record.status === 'active' && record.classes.has(modelDigest),
    );
    return found ? this.seatOf(found.address, modelDigest) : null;
  }

  /** Who is not to be seated by the operator's word, with the log entries that say so. */
  excluded(): readonly Exclusion[] {
    return [...this.#excluded.values()];
  }

  /** Hash of the manifest that the provider signed last; null for one that is unknown. */
  manifestHashOf(address: Address): Hash | null {
    return this.#records.get(address)?.manifestHash ?? null;
  }

  canScore(address: Address): boolean {
    return this.#records.get(address)?.canScore ?? false;
  }

  /** Members that serve a model but lack something, with the hashes of the manifests that say so. */
  lacking(modelDigest: Hash, lacks: (record: ProviderRecord) => boolean): { provider: Address; manifestHash: Hash }[] {
    return this.members()
      .filter((record) => record.classes.has(modelDigest) && lacks(record))
      .map(({ address, manifestHash: hash }) => ({ provider: address, manifestHash: hash }));
  }

  /** Jobs that the members of a class take at one time. */
  placesOf(modelDigest: Hash, numericClass: string): number {
    return this.members()
      .filter((record) => record.classes.get(modelDigest) === numericClass)
      .reduce((sum, record) => sum + record.concurrency, 0);
  }

  /** Jobs that a provider takes at one time, by its own word; 0 where it is unknown. */
  concurrencyOf(address: Address): number {
    return this.#records.get(address)?.concurrency ?? 0;
  }

  /** All keys of an operator, also of those that have left. */
  ofOperator(operator: string): Address[] {
    return [...this.#records.values()].filter((record) => record.operator === operator).map(({ address }) => address);
  }

  operatorOf(address: Address): string | null {
    return this.#records.get(address)?.operator ?? null;
  }
}
