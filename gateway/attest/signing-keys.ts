/**
 * The keys that sign orders and attestations, one after another (SPEC.md §6.8). What began under a key ends under it: each request
 * takes the active key when it is accepted and keeps it, and a statement is signed by the key that it names, also after a crash.
 */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import type { Store } from '../store/handle.ts';
import { activateSigningKey, insertSigningKey, listSigningKeys, type SigningKey } from '../store/signing-keys-repo.ts';
import type { LogKeeper } from './log-keeper.ts';

/** Where private keys lie; files in production. */
export interface KeyVault {
  /** Makes the key of this id, or reads it where it was made before. */
  make(keyId: string): Signer;
  /** @throws {Error} where there is none */
  read(keyId: string): Signer;
}

export interface SigningKeysDeps {
  readonly store: Store;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly clock: Clock;
  /** The key that this gateway began with. */
  readonly first: Signer;
  /** Absent: this gateway keeps its first key. */
  readonly vault: KeyVault | undefined;
}

/** What the log calls the key that a gateway begins with. */
export const FIRST_KEY_ID = 'gateway-1';

export class SigningKeys {
  readonly #deps: SigningKeysDeps;
  readonly #byAddress = new Map<Address, Signer>();
  #active: Signer;

  constructor(deps: SigningKeysDeps) {
    this.#deps = deps;
    this.#active = deps.first;
    this.#byAddress.set(deps.first.address, deps.first);
  }

  /** The key that signs what begins now. */
  get active(): Signer {
    return this.#active;
  }

  /** A key of the past or the present by its address; null for one that never was this gateway's. */
  of(address: Address): Signer | null {
    return this.#byAddress.get(address) ?? null;
  }

  /**
   * Reads the history; a gateway without one begins it with its first key. Call it once the log has announced that key.
   * @throws {Error} where a key of the history cannot be read: what was begun under it could not be ended
   */
  async start(): Promise<void> {
    const { store, first, vault, clock } = this.#deps;
    const keys = await store.withTx(async (tx) => {
      const known = await listSigningKeys(tx);
      if (known.length > 0) return known;
      const atMs = clock.nowMs();
      // Entry 0 of every log is its gateway's first key.
      await insertSigningKey(tx, {
        keyId: FIRST_KEY_ID,
        address: first.address,
        state: 'active',
        logIndex: 0,
        createdAtMs: atMs,
        activatedAtMs: atMs,
      });
      return listSigningKeys(tx);
    });
    for (const { keyId, address, state } of keys) {
      const signer = keyId === FIRST_KEY_ID ? first : vault?.read(keyId);
      if (signer?.address !== address) throw new Error(`the signing key ${keyId} is not the one of the database`);
      this.#byAddress.set(address, signer);
      if (state === 'active') this.#active = signer;
    }
  }

  /** All keys in the order in which they were announced. */
  async chain(): Promise<Signer[]> {
    return (await this.list()).flatMap(({ address }) => this.of(address) ?? []);
  }

  list(): Promise<readonly SigningKey[]> {
    return this.#deps.store.read(listSigningKeys);
  }

  /** Makes the next key and announces it in the log; nothing is signed with it yet. One that is announced is given again. */
  async announce(): Promise<SigningKey> {
    const { store, log, clock, vault } = this.#deps;
    if (vault === undefined) throw new ProtocolError('invalid_request', 'This gateway cannot change its signing key.');
    const known = await this.list();
    const keyId = `gateway-${known.length + 1}`;
    const waiting = known.find(({ state }) => state === 'announced');
    if (waiting !== undefined) return waiting;
    // On disk before it is in the log: an announced key that nobody has would be a dead end.
    const signer = vault.make(keyId);
    const made = await store.withTx(async (tx) => {
      const again = (await listSigningKeys(tx)).find(({ state }) => state === 'announced');
      if (again !== undefined) return again;
      const atMs = clock.nowMs();
      const logIndex = await log.append(tx, { type: 'key', keyId, use: 'gateway', value: signer.address, atMs });
      const key: SigningKey = {
        keyId,
        address: signer.address,
        state: 'announced',
        logIndex,
        createdAtMs: atMs,
        activatedAtMs: null,
      };
      await insertSigningKey(tx, key);
      return key;
    });
    this.#byAddress.set(signer.address, signer);
    return made;
  }

  /** Lets an announced key sign what begins from now on. @throws {ProtocolError} not_found */
  async activate(keyId: string): Promise<void> {
    const { store, clock } = this.#deps;
    const known = (await this.list()).find((key) => key.keyId === keyId);
    const signer = known && this.of(known.address);
    if (!signer) throw new ProtocolError('not_found', 'There is no such signing key.');
    if (known.state === 'active') return;
    if (known.state === 'past') {
      throw new ProtocolError('invalid_request', 'A signing key of the past does not come back.', { param: 'id' });
    }
    await store.withTx((tx) => activateSigningKey(tx, keyId, clock.nowMs()));
    this.#active = signer;
  }
}
