/** The gateway's log: appending, and checkpoints that are durable before they are signed and signed once (SPEC.md §9). */
import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import { type Hash, type Hex, ZERO_HASH } from '#protocol/hash';
import { checkpointHash, type LogEntry, type LogSigner, logEntryText, logLeaf, signCheckpoint } from '#protocol/log';
import { digests } from '#protocol/typed';
import type { Store, Tx } from '../store/handle.ts';
import { logInclusion, logRoot } from '../store/log-proofs.ts';
import {
  appendLog,
  type CheckpointRow,
  type LogLeaf,
  latestCheckpoint,
  latestNote,
  logSize,
  recordCheckpoint,
  setCheckpointNote,
} from '../store/log-repo.ts';
import type { HeadMark } from './signed-head.ts';

export interface LogKeeperDeps {
  readonly store: Store;
  readonly signer: LogSigner;
  readonly domain: Domain;
  readonly clock: Clock;
  /** Is told of every checkpoint before its signature leaves. */
  readonly head?: HeadMark | undefined;
}

/** A checkpoint that is written down: no other root can ever be signed for its size. */
export interface RecordedCheckpoint {
  readonly size: number;
  readonly root: Hash;
}

/** A checkpoint with its signed note. */
export interface SignedCheckpoint extends RecordedCheckpoint {
  readonly note: string;
}

/** An entry as the store takes it. */
export function leafOf(entry: LogEntry): LogLeaf {
  return { leafHash: logLeaf(entry), entryJson: logEntryText(entry) };
}

export class LogKeeper {
  readonly #deps: LogKeeperDeps;
  #latest: SignedCheckpoint | null = null;
  /** The largest checkpoint that was asked for and is durable. */
  #largest: RecordedCheckpoint | null = null;
  #signing: Promise<SignedCheckpoint> | null = null;

  constructor(deps: LogKeeperDeps) {
    this.#deps = deps;
  }

  get keys(): Pick<LogSigner, 'origin' | 'ed25519' | 'address'> {
    const { origin, ed25519, address } = this.#deps.signer;
    return { origin, ed25519, address };
  }

  /** Announces the signing keys where the log is new, and signs what a crash left unsigned. */
  async start(): Promise<void> {
    const { store, signer, clock } = this.#deps;
    await store.withTx(async (tx) => {
      if ((await logSize(tx)) > 0) return;
      const atMs = clock.nowMs();
      await this.append(tx, { type: 'key', keyId: 'gateway-1', use: 'gateway', value: signer.address, atMs });
      await this.append(tx, { type: 'key', keyId: 'log-1', use: 'log', value: signer.ed25519, atMs });
    });
    const latest = await store.read(latestCheckpoint);
    if (latest === null) await this.#sign();
    else this.#latest = await this.#finish(latest);
  }

  /** Takes what was signed before, and signs nothing: for a database that waits to be restored. */
  async startHeld(): Promise<void> {
    const latest = await this.#deps.store.read(latestNote);
    if (latest) this.#latest = { size: latest.size, root: latest.root, note: latest.note };
  }

  /** Appends inside the caller's transaction. @returns the entry's index */
  async append(tx: Tx, entry: LogEntry): Promise<number> {
    return appendLog(tx, [leafOf(entry)]);
  }

  /** Hash of the newest signed checkpoint, as tickets carry it. */
  latestHash(): Hash {
    return this.#latest ? checkpointHash(this.#deps.signer.origin, this.#latest) : ZERO_HASH;
  }

  get latest(): SignedCheckpoint | null {
    return this.#latest;
  }

  /** Records a checkpoint of the log as this transaction leaves it; sign it once the transaction is durable. */
  async record(tx: Tx): Promise<RecordedCheckpoint> {
    const size = await logSize(tx);
    const root = await logRoot(tx, size);
    await recordCheckpoint(tx, { size, root, atMs: this.#deps.clock.nowMs() });
    return { size, root };
  }

  /** Signs a durable checkpoint. Its note is stored with what is stored next: signing it again gives the same bytes. */
  sign(recorded: RecordedCheckpoint): SignedCheckpoint {
    const note = signCheckpoint(this.#deps.domain, this.#deps.signer, recorded);
    const signed = { ...recorded, note };
    this.#deps.head?.signed(recorded);
    if (!this.#latest || this.#latest.size < signed.size) this.#latest = signed;
    return signed;
  }

  /** The signature over a durable checkpoint that contracts read (spec-chain.md C5): the same as in its note. */
  chainSignature(recorded: RecordedCheckpoint): Hex {
    const { signer, domain, head } = this.#deps;
    head?.signed(recorded);
    return signer.signDigest(digests.checkpoint(domain, { origin: signer.origin, ...recorded }));
  }

  /**
   * Signs a durable checkpoint, or a larger durable one: answers that became durable together share one signature, over the
   * largest of theirs.
   */
  async signShared(recorded: RecordedCheckpoint): Promise<SignedCheckpoint> {
    if (this.#largest === null || this.#largest.size < recorded.size) this.#largest = recorded;
    // One turn of the microtask queue: whoever was told of the same flush asks before it ends.
    await Promise.resolve();
    const signed = this.#latest;
    if (signed && signed.size >= recorded.size) return signed;
    return this.sign(this.#largest);
  }

  /** A signed checkpoint that covers the entry; requests that wait at the same time share one. */
  async covering(logIndex: number): Promise<SignedCheckpoint> {
    for (;;) {
      if (this.#latest && this.#latest.size > logIndex) return this.#latest;
      this.#signing ??= this.#sign().finally(() => {
        this.#signing = null;
      });
      await this.#signing;
    }
  }

  /** Audit path of an entry under a checkpoint. */
  async inclusion(logIndex: number, size: number): Promise<Hash[]> {
    // A checkpoint's size is durable before anybody asks for it.
    return [...(await this.#deps.store.peek((handle) => logInclusion(handle, logIndex, size)))];
  }

  async #sign(): Promise<SignedCheckpoint> {
    const recorded = await this.#deps.store.withTx((tx) => this.record(tx));
    return this.#finish({ ...recorded, note: null });
  }

  /** Signing is deterministic: a second signature over the same recorded checkpoint is the same bytes. */
  async #finish(row: Pick<CheckpointRow, 'size' | 'root' | 'note'>): Promise<SignedCheckpoint> {
    const { size, root } = row;
    if (row.note !== null) return { size, root, note: row.note };
    const signed = this.sign({ size, root });
    await this.#deps.store.withTx((tx) => setCheckpointNote(tx, size, signed.note));
    return signed;
  }
}
