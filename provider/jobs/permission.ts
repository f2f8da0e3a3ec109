/** Whether a permission opens the current chunk of a job (SPEC.md §5). Pure; every check stands against one attack. */
import type { Domain } from '#protocol/eip712';
import type { ErrorCode } from '#protocol/errors';
import type { PermissionOrder } from '#protocol/messages';
import { commitmentInRound } from '#protocol/round';
import type { Recover } from '#protocol/signer';
import { digests } from '#protocol/typed';
import type { StoredChunk, StoredJob, StoredRoot } from '../store/store.ts';

/** Where the job stands. */
export interface PermissionState {
  readonly job: StoredJob;
  readonly chunks: readonly StoredChunk[];
  readonly roots: readonly StoredRoot[];
  /** Whether a claim exists or the job was closed. */
  readonly ended: boolean;
}

/** `open`: store the root, then open. `again`: opened before under the same root. */
export type PermissionCheck =
  | { readonly outcome: 'open' | 'again'; readonly index: number }
  | { readonly outcome: 'refused'; readonly code: ErrorCode };

const refused = (code: ErrorCode): PermissionCheck => ({ outcome: 'refused', code });

export function checkPermission(
  order: PermissionOrder,
  state: PermissionState,
  context: { domain: Domain; recover: Recover },
): PermissionCheck {
  const { job, chunks, roots, ended } = state;
  const { permission, slot, path } = order;
  const signedBy = context.recover(digests.permission(context.domain, permission), order.signature);
  // Anybody else's permission would open a chunk before the gateway has sealed the round.
  if (signedBy !== job.gateway) return refused('invalid_signature');
  // A permission of another round of the same gateway says nothing about this one.
  if (permission.roundId !== job.ticket.roundId) return refused('invalid_permission');
  const { index, roundRoot } = permission;
  const opened = roots[index];
  // INVARIANT: a chunk is opened under one root; a second one is how two committees would be shown one answer.
  if (opened !== undefined) {
    return opened.root === roundRoot ? { outcome: 'again', index } : refused('permission_conflict');
  }
  const chunk = chunks[index];
  // A job never has more than one sealed chunk that is not open, so this one is the current one.
  if (ended || chunk === undefined) return refused('invalid_permission');
  // A job that changes its slot would count as two members.
  if (roots[0] !== undefined && roots[0].slot !== slot) return refused('invalid_permission');
  // Without its own commitment under the root, others could still commit after seeing this opening.
  if (!commitmentInRound(permission, slot, chunk.commitment, path)) return refused('invalid_permission');
  return { outcome: 'open', index };
}
