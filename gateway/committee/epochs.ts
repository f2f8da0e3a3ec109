/** Epochs: draw keys committed in the log before the first draw, the registry frozen beside them (SPEC.md §8). */
import { auditCommitment, auditSecret } from '#protocol/audit';
import { canonicalJson } from '#protocol/canonical';
import { drawKey, drawKeyPath, drawKeyTree, drawOrder, drawSeed, type Snapshot, snapshotHash } from '#protocol/draw';
import type { Clock, Rng } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import { type LogEntry, logEntryText, logLeaf, zLogEntry } from '#protocol/log';
import type { MerkleLevels } from '#protocol/merkle';
import { drawsLeft, type Epoch, epochByNumber, epochByRoot, insertEpoch, latestEpoch } from '../store/epochs-repo.ts';
import type { Handle, Store, Tx } from '../store/handle.ts';
import { countedStakeNano } from '../store/ledger-repo.ts';
import { appendLog, logRange, logSize } from '../store/log-repo.ts';
import type { Registry } from './registry.ts';

/** Keeps the epoch's secret unreadable in the database. */
export interface SecretBox {
  seal(secret: Uint8Array): string;
  open(sealed: string): Uint8Array;
}

export interface EpochDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly box: SecretBox;
  /** Draw keys per epoch. */
  readonly size: number;
  /** Most stake of one provider that counts in the draw. */
  readonly capNano: bigint;
  /** After how many of a million answers a scorer is tried, in epochs that begin from now on. */
  readonly auditPpm: number;
}

/** One epoch with its keys ready to be opened. */
export interface OpenEpoch {
  readonly epoch: number;
  readonly size: number;
  readonly snapshot: Snapshot;
  readonly snapshotHash: Hash;
  readonly entry: LogEntry;
  readonly logIndex: number;
  readonly secret: Uint8Array;
  readonly levels: MerkleLevels;
  /** As its entry in the log says. */
  readonly auditPpm: number;
}

/** One draw as the attestation opens it. */
export interface OpenedDraw {
  readonly key: Hash;
  readonly path: readonly Hash[];
  readonly order: readonly Address[];
}

/** Epochs kept with their trees, 256 KiB each at 4,096 keys: the running one and those of answers that began under it. */
const OPEN_MAX = 8;

export class EpochKeeper {
  readonly #deps: EpochDeps;
  readonly #open = new Map<number, OpenEpoch>();
  #current: Promise<OpenEpoch> | null = null;

  constructor(deps: EpochDeps) {
    this.#deps = deps;
  }

  /** The running epoch; begins one where there is none, or where the registry, the stakes or the keys have run out. */
  async current(): Promise<OpenEpoch> {
    this.#current ??= this.#resume().catch((error: unknown) => {
      this.#current = null;
      throw error;
    });
    return this.#current;
  }

  /** Makes the next request look at registry, stakes and keys again. */
  renew(): void {
    this.#current = null;
  }

  /**
   * Begins the epoch that follows `after`, whether or not the running one has keys left; running requests keep their own.
   * @returns the newest epoch, which is another one where somebody had begun it already
   */
  async begin(after: number): Promise<{ epoch: number; isNew: boolean }> {
    const begun = await this.#deps.store.withTx(async (tx) => {
      const latest = await latestEpoch(tx);
      if (latest !== null && latest.epoch !== after) return { epoch: latest.epoch, isNew: false };
      const opened = await this.#begin(tx, latest, await this.#snapshot(tx));
      return { epoch: opened.epoch, isNew: true };
    });
    this.renew();
    return begun;
  }

  /** An epoch of the past or the present, for receipts. */
  async byNumber(epoch: number): Promise<OpenEpoch | null> {
    const known = this.#open.get(epoch);
    if (known) return known;
    return this.#deps.store.read(async (handle) => {
      const row = await epochByNumber(handle, epoch);
      return row && this.#reopen(row, await entryOf(handle, row));
    });
  }

  /** One key of an epoch that is over: its draws are made, so that anybody may see all of its keys. Null for others. */
  async openedKey(number: number, index: number): Promise<{ key: Hash; path: Hash[] } | null> {
    const latest = await this.#deps.store.read(latestEpoch);
    if (latest === null || number >= latest.epoch) return null;
    const epoch = await this.byNumber(number);
    if (epoch === null || index >= epoch.size) return null;
    return { key: drawKey(epoch.secret, number, index), path: drawKeyPath(epoch.levels, index) };
  }

  /** The same by the root that the log names. */
  async openedUnder(drawRoot: Hash, index: number): Promise<{ key: Hash; path: Hash[] } | null> {
    const row = await this.#deps.store.read((handle) => epochByRoot(handle, drawRoot));
    return row && this.openedKey(row.epoch, index);
  }

  /** The secret of the audits of an epoch that is over; null for others, and where it is not what was committed to. */
  async openedAudits(commitment: Hash, number: number): Promise<Hash | null> {
    const latest = await this.#deps.store.read(latestEpoch);
    if (latest === null || number >= latest.epoch) return null;
    const epoch = await this.byNumber(number);
    if (epoch === null) return null;
    const secret = auditSecret(epoch.secret, number);
    return auditCommitment(secret) === commitment ? secret : null;
  }

  /** Opens key `index`: the order of candidates for this body, and the proof that the key was committed. */
  draw(epoch: OpenEpoch, index: number, modelDigest: Hash, bodyHash: Hash, clientNonce: string | null): OpenedDraw {
    const key = drawKey(epoch.secret, epoch.epoch, index);
    const order = drawOrder(epoch.snapshot, modelDigest, drawSeed(key, bodyHash, clientNonce));
    return { key, path: drawKeyPath(epoch.levels, index), order };
  }

  async #resume(): Promise<OpenEpoch> {
    const { store } = this.#deps;
    const known = await store.read(async (handle) => {
      const { epoch } = await this.#usable(handle);
      return epoch && this.#reopen(epoch, await entryOf(handle, epoch));
    });
    if (known) return known;
    return store.withTx(async (tx) => {
      // Looked at again in the transaction: whoever was renewed at the same time may have begun it meanwhile.
      const { latest, epoch, snapshot } = await this.#usable(tx);
      return epoch ? this.#reopen(epoch, await entryOf(tx, epoch)) : this.#begin(tx, latest, snapshot);
    });
  }

  /** The latest epoch, if it still has keys and the registry and stakes are as it froze them. */
  async #usable(handle: Handle): Promise<{ latest: Epoch | null; epoch: Epoch | null; snapshot: Snapshot }> {
    const latest = await latestEpoch(handle);
    const snapshot = await this.#snapshot(handle);
    const left = latest ? await drawsLeft(handle, latest) : 0;
    const isSame = left > 0 && latest?.snapshotHash === snapshotHash(snapshot);
    const isUsable = isSame && hasAudits(await entryOf(handle, latest));
    return { latest, epoch: isUsable ? latest : null, snapshot };
  }

  async #snapshot(handle: Handle): Promise<Snapshot> {
    const entries = [];
    for (const record of this.#deps.registry.members()) {
      const stakeNano = await countedStakeNano(handle, record.address);
      const { address, operator, region } = record;
      const modelDigests = [...record.classes.keys()].sort();
      entries.push({
        address,
        operator,
        stakeNano: stakeNano.toString(),
        modelDigests,
        region,
        numericClasses: modelDigests.map((digest) => record.classes.get(digest)!),
      });
    }
    return { capNano: this.#deps.capNano.toString(), entries };
  }

  async #begin(tx: Tx, latest: Epoch | null, snapshot: Snapshot): Promise<OpenEpoch> {
    const { clock, rng, box, size, auditPpm } = this.#deps;
    const epoch = latest === null ? 0 : latest.epoch + 1;
    if (latest !== null) await this.#openAudits(tx, latest);
    const secret = rng.bytes(32);
    const { root, levels } = drawKeyTree(secret, epoch, size);
    const entry: LogEntry = {
      type: 'epoch',
      epoch,
      drawRoot: root,
      drawSize: size,
      snapshotHash: snapshotHash(snapshot),
      auditCommitment: auditCommitment(auditSecret(secret, epoch)),
      ...(auditPpm > 0 ? { auditPpm } : {}),
      atMs: clock.nowMs(),
    };
    const logIndex = await logSize(tx);
    await appendLog(tx, [{ leafHash: logLeaf(entry), entryJson: logEntryText(entry) }]);
    await insertEpoch(tx, {
      epoch,
      startedAtMs: entry.atMs,
      drawRoot: root,
      drawSize: size,
      snapshotHash: entry.snapshotHash,
      snapshotJson: canonicalJson(snapshot),
      sealedSeed: box.seal(secret),
      logIndex,
    });
    const { snapshotHash: hash } = entry;
    return this.#remember({ epoch, size, snapshot, snapshotHash: hash, entry, logIndex, secret, levels, auditPpm });
  }

  /** Whom it had audited may be checked from now on. */
  async #openAudits(tx: Tx, past: Epoch): Promise<void> {
    const entry = await entryOf(tx, past);
    if (entry.type !== 'epoch' || entry.auditCommitment === undefined) return;
    const secret = auditSecret(this.#deps.box.open(past.sealedSeed), past.epoch);
    const opened: LogEntry = { type: 'audit', epoch: past.epoch, secret, atMs: this.#deps.clock.nowMs() };
    await appendLog(tx, [{ leafHash: logLeaf(opened), entryJson: logEntryText(opened) }]);
  }

  #reopen(row: Epoch, entry: LogEntry): OpenEpoch {
    const known = this.#open.get(row.epoch);
    if (known) return known;
    const secret = this.#deps.box.open(row.sealedSeed);
    const { root, levels } = drawKeyTree(secret, row.epoch, row.drawSize);
    // INVARIANT: a secret that does not lead to the published root would make every draw of the epoch false.
    if (root !== row.drawRoot) throw new Error('the epoch secret does not open the published root');
    return this.#remember({
      epoch: row.epoch,
      size: row.drawSize,
      snapshot: JSON.parse(row.snapshotJson) as Snapshot,
      snapshotHash: row.snapshotHash,
      entry,
      logIndex: row.logIndex,
      secret,
      levels,
      auditPpm: entry.type === 'epoch' ? (entry.auditPpm ?? 0) : 0,
    });
  }

  #remember(epoch: OpenEpoch): OpenEpoch {
    this.#open.delete(epoch.epoch);
    this.#open.set(epoch.epoch, epoch);
    const [oldest] = this.#open.keys();
    if (this.#open.size > OPEN_MAX) this.#open.delete(oldest!);
    return epoch;
  }
}

/** One from before there were audits could promise none. */
function hasAudits(entry: LogEntry): boolean {
  return entry.type === 'epoch' && entry.auditCommitment !== undefined;
}

/** The entry that announced an epoch, as the log has it: what it does not say now was not in force then. */
async function entryOf(handle: Handle, { logIndex }: Epoch): Promise<LogEntry> {
  const [leaf] = await logRange(handle, logIndex, logIndex + 1);
  return zLogEntry.parse(JSON.parse(leaf!.entryJson));
}
