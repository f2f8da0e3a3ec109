/** A gateway's data folder: its database, the mark of what was signed, and whether both belong together (SPEC.md §9.4). */
import path from 'node:path';
import type { Clock } from '#protocol/env';
import { readSignedHead, SignedHeadFile } from './attest/signed-head.ts';
import type { Log } from './log.ts';
import type { Store } from './store/handle.ts';
import { openStore, type StoreOptions } from './store/open-store.ts';
import { type HoldReason, holdReason, recordedHead, requireMark } from './store/standing.ts';

/** Why a gateway only reads; `assay restore` ends it. */
export const HOLD_TEXT: Readonly<Record<HoldReason, string>> = {
  backup: 'this database is a backup: reading only until `assay restore` has seen the newest checkpoint',
  mark_missing: 'the file signed-head is missing: reading only until `assay restore` has seen the newest checkpoint',
  older_than_signed: 'more was signed than this database holds: reading only until `assay restore` says how to go on',
};

export interface OpenedData {
  readonly store: Store;
  readonly headMark: SignedHeadFile;
  /** Why the database may not be written to; null where it may. */
  readonly hold: HoldReason | null;
}

/** Opens the database: for reading alone where it was put back from a copy and nobody has said how to go on. */
export async function openData(
  folder: string,
  clock: Clock,
  log: Log,
  disk: Pick<StoreOptions, 'pagesMax'> = {},
): Promise<OpenedData> {
  const file = path.join(folder, 'assay.sqlite');
  const mark = readSignedHead(folder);
  const store = openStore({ file, guardsNesting: false, after: clock.after, ...disk });
  const hold = await store.read((handle) => holdReason(handle, mark));
  const headMark = new SignedHeadFile(folder);
  if (hold !== null) {
    await store.close();
    log.error('restore_pending', { code: hold });
    return { store: openStore({ file, guardsNesting: false, readOnly: true }), headMark, hold };
  }
  // The file first: a database that asks for a mark which is not there would wait for a restore.
  if (mark === null) headMark.reset(await store.read(recordedHead));
  await store.withTx((tx) => requireMark(tx, clock.nowMs()));
  return { store, headMark, hold };
}
