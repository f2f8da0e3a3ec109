/** How a database that was put back from a copy goes on: at the newest checkpoint, or as a log of another name (SPEC.md §9.4). */
import { leafOf } from './attest/log-keeper.ts';
import type { SignedHead } from './attest/signed-head.ts';
import { forgetReceipts } from './store/attestations-repo.ts';
import type { Handle, Tx } from './store/handle.ts';
import { logRoot } from './store/log-proofs.ts';
import { appendLog, latestNote, logSize } from './store/log-repo.ts';
import { endHold, recordedHead, storedOrigin, storeOrigin } from './store/standing.ts';

/** What a checkpoint that was shown says about a database. */
export type Reading =
  /** The log holds everything that was published, and maybe more. */
  | 'consistent'
  /** Entries that were published are not in this database. */
  | 'behind'
  /** What was published is not a prefix of this log: another log, or a changed one. */
  | 'contradicted';

/** Compares the log with the newest published checkpoint. */
export async function readAgainst(handle: Handle, published: SignedHead): Promise<Reading> {
  if (published.size > (await logSize(handle))) return 'behind';
  if (published.size === 0) return 'contradicted';
  return (await logRoot(handle, published.size)) === published.root ? 'consistent' : 'contradicted';
}

/** The name that the database signs its log under, as far as it knows. */
export async function originOf(handle: Handle): Promise<string | null> {
  const note = (await latestNote(handle))?.note ?? null;
  return (await storedOrigin(handle)) ?? (note === null ? null : note.slice(0, note.indexOf('\n')));
}

/** Goes on with the same log. @returns the mark to keep beside the database */
export async function goOn(tx: Tx, published: SignedHead, nowMs: number): Promise<SignedHead> {
  await endHold(tx, nowMs);
  const recorded = await recordedHead(tx);
  return recorded.size > published.size ? recorded : published;
}

/**
 * Goes on as another log: the entries that are left stay in their places, and the first that is new says which log it was and
 * how far that had come. @returns the mark to keep beside the database
 */
export async function beginOrigin(
  tx: Tx,
  names: { readonly origin: string; readonly previous: string },
  published: SignedHead,
  nowMs: number,
): Promise<SignedHead> {
  await endHold(tx, nowMs);
  await storeOrigin(tx, names.origin, nowMs);
  await forgetReceipts(tx);
  const { size: previousSize, root: previousRoot } = published;
  await appendLog(tx, [leafOf({ type: 'origin', ...names, previousSize, previousRoot, atMs: nowMs })]);
  const size = await logSize(tx);
  return { size, root: await logRoot(tx, size) };
}
