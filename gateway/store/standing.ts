/** Whether a database may go on signing, or was put back from a copy and has to wait for `assay restore` (SPEC.md §9.4). */
import type { Hash } from '#protocol/hash';
import { ZERO_HASH } from '#protocol/hash';
import { closeEpoch, latestEpoch } from './epochs-repo.ts';
import type { Handle, Tx } from './handle.ts';
import { logRoot } from './log-proofs.ts';
import { latestCheckpoint, logSize } from './log-repo.ts';
import { dropSetting, putSetting, settingJson } from './settings-repo.ts';

/** Stands in every copy that `assay backup` makes. */
export const BACKUP_SETTING = 'store.backup';
/** Stands in every database whose signed head is kept in a file beside it. */
const MARKED_SETTING = 'store.head-marked';
/** The log's origin where a restore has begun a new one. */
const ORIGIN_SETTING = 'log.origin';

/** Why a database waits. */
export type HoldReason =
  /** It is a copy that `assay backup` made. */
  | 'backup'
  /** The file beside it is gone: the database was moved here alone. */
  | 'mark_missing'
  /** More was signed than this log holds, or something else. */
  | 'older_than_signed';

interface Head {
  readonly size: number;
  readonly root: Hash;
}

/** @param mark what the file beside the database says @returns null where the gateway may go on */
export async function holdReason(handle: Handle, mark: Head | 'damaged' | null): Promise<HoldReason | null> {
  if ((await settingJson(handle, BACKUP_SETTING)) !== null) return 'backup';
  const isMarked = (await settingJson(handle, MARKED_SETTING)) !== null;
  if (mark === 'damaged') return 'mark_missing';
  // A database of before there were marks has none, and is taken as it is, once.
  if (mark === null) return isMarked ? 'mark_missing' : null;
  if (mark.size === 0) return null;
  if (mark.size > (await logSize(handle))) return 'older_than_signed';
  return (await logRoot(handle, mark.size)) === mark.root ? null : 'older_than_signed';
}

/** The newest recorded checkpoint: it may be signed, so the mark begins with it. */
export async function recordedHead(handle: Handle): Promise<Head> {
  const latest = await latestCheckpoint(handle);
  return latest === null ? { size: 0, root: ZERO_HASH } : { size: latest.size, root: latest.root };
}

/** From now on the file beside the database must be there. */
export async function requireMark(tx: Tx, nowMs: number): Promise<void> {
  if ((await settingJson(tx, MARKED_SETTING)) === null) await putSetting(tx, MARKED_SETTING, 'true', nowMs);
}

/**
 * Lets a restored database go on. Draw keys that the lost days may have opened are used no more, and the mark is wanted again.
 */
export async function endHold(tx: Tx, nowMs: number): Promise<void> {
  await dropSetting(tx, BACKUP_SETTING);
  await requireMark(tx, nowMs);
  const epoch = await latestEpoch(tx);
  if (epoch !== null) await closeEpoch(tx, epoch);
}

/** The origin that a restore began, or null where the configuration's holds. */
export async function storedOrigin(handle: Handle): Promise<string | null> {
  const text = await settingJson(handle, ORIGIN_SETTING);
  return text === null ? null : (JSON.parse(text) as string);
}

export async function storeOrigin(tx: Tx, origin: string, nowMs: number): Promise<void> {
  await putSetting(tx, ORIGIN_SETTING, JSON.stringify(origin), nowMs);
}
