/** Disputes against their jobs, their signed moves and the log (SPEC.md §7.7, §11.8). */
import { ANSWER_KIND, ANSWER_SEQUENCE } from '#protocol/dispute-answer';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { digests } from '#protocol/typed';
import type { WholeDatabase } from '../store/whole-database.ts';
import type { CheckedLog, FsckKeys } from './check-log.ts';
import { type Damage, damage } from './damage.ts';

type Dispute = WholeDatabase['disputes'][number];
type Move = WholeDatabase['disputeMoves'][number];

/** Place of each kind of move, as it is signed. */
const SEQUENCE: Readonly<Record<string, number>> = {
  opened: 0,
  evidence: 1,
  ruled: 2,
  settled: 3,
  [ANSWER_KIND]: ANSWER_SEQUENCE,
};

export function checkDisputes(rows: WholeDatabase, log: CheckedLog, keys: FsckKeys): Damage[] {
  const jobs = new Map(rows.jobs.map((job) => [job.jobId, job]));
  const moves = new Map<string, Move[]>();
  for (const move of rows.disputeMoves) moves.set(move.disputeId, [...(moves.get(move.disputeId) ?? []), move]);
  const logged = new Set(log.entries.flatMap((entry) => (entry?.type === 'dispute' ? [entry.moveHash] : [])));
  const found = rows.disputes.flatMap((dispute) => {
    const job = jobs.get(dispute.jobId);
    const own = moves.get(dispute.disputeId) ?? [];
    const isOfJob = job?.requestId === dispute.requestId && job.provider === dispute.provider;
    return [
      ...(isOfJob ? [] : [damage('dispute_wrong', dispute.disputeId, `job ${dispute.jobId}`)]),
      ...checkState(dispute, own),
      ...own.flatMap((move) => checkMove(move, logged, signersOf(move, dispute, log), keys)),
    ];
  });
  return [...found, ...checkOrphans(rows, log, keys)];
}

/** The last move is what the state says, moves have no gaps, and none comes before its turn. */
function checkState({ disputeId, state, ruling }: Dispute, moves: readonly Move[]): Damage[] {
  // The accused may answer a ruling until it is final: that changes no state by itself.
  const kinds = moves.map(({ kind }) => kind).filter((kind) => kind !== ANSWER_KIND);
  const inOrder = kinds.every((kind, i) => (SEQUENCE[kind] ?? -1) >= (i === 0 ? 0 : SEQUENCE[kinds[i - 1]!]!));
  const hasNoGap = moves.every(({ moveIndex }, i) => moveIndex === i);
  if (kinds[0] !== 'opened' || kinds.at(-1) !== state || !inOrder || !hasNoGap) {
    return [damage('dispute_wrong', disputeId, `${state} after moves ${kinds.join(', ') || 'none'}`)];
  }
  const ruled = moves.filter(({ kind }) => kind === 'ruled').at(-1);
  return ruled && rulingOf(ruled) !== ruling ? [damage('dispute_wrong', disputeId, `ruling ${ruling}`)] : [];
}

function rulingOf({ moveJson }: Move): unknown {
  try {
    return (JSON.parse(moveJson) as { ruling?: unknown }).ruling;
  } catch {
    return null;
  }
}

function digestOf({ disputeId, kind, moveJson, atMs }: Move, { domain }: FsckKeys): Uint8Array {
  const bodyHash = toHex(sha256(utf8(moveJson)));
  const sequence = SEQUENCE[kind] ?? 0;
  return digests.disputeMove(domain, { disputeId: disputeId as Hash, sequence, kind, bodyHash, atMs });
}

function signersOf({ kind }: Move, { provider }: Dispute, { gateways }: CheckedLog): ReadonlySet<string> {
  return kind === ANSWER_KIND ? new Set([provider]) : gateways;
}

function checkMove(move: Move, logged: ReadonlySet<string>, signers: ReadonlySet<string>, keys: FsckKeys): Damage[] {
  const digest = digestOf(move, keys);
  const id = `${move.disputeId}/${move.moveIndex}`;
  if (!logged.has(toHex(digest))) return [damage('dispute_move_wrong', id, 'not in the log')];
  const signer = move.signature === null ? null : keys.recover(digest, move.signature as Hash);
  return signer !== null && signers.has(signer) ? [] : [damage('dispute_move_wrong', id, 'signature')];
}

/** Entries of the log whose move the database has lost. */
function checkOrphans(rows: WholeDatabase, log: CheckedLog, keys: FsckKeys): Damage[] {
  const known = new Set(rows.disputeMoves.map((move) => toHex(digestOf(move, keys))));
  const disputes = new Set(rows.disputes.map(({ disputeId }) => disputeId));
  return log.entries.flatMap((entry, index) => {
    const isLost =
      (entry?.type === 'dispute' && !known.has(entry.moveHash)) ||
      ((entry?.type === 'overturned' || entry?.type === 'reinstated') && !disputes.has(entry.disputeId));
    return isLost ? [damage('log_orphan', index, `dispute ${entry.disputeId}`)] : [];
  });
}
