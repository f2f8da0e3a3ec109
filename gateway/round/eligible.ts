/** Who can be seated for a request at all, whatever is drawn: by the functions that draw and seat (SPEC.md §8). Pure. */
import { isEntryAdmitted, type Snapshot, type SnapshotEntry } from '#protocol/draw';
import type { Hash } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import type { CandidateSkip } from '../committee/capability-skips.ts';
import type { Registry } from '../committee/registry.ts';

/** Entries that serve the model and that the policy admits. */
export function admittedEntries({ entries }: Snapshot, digest: Hash, { filter }: Policy): SnapshotEntry[] {
  return entries.filter((entry) => entry.modelDigests.includes(digest) && isEntryAdmitted(entry, digest, filter));
}

/** Of these, without whom cannot serve the request and who has left since the epoch began. */
export function ableEntries(
  registry: Pick<Registry, 'seatOf'>,
  admitted: readonly SnapshotEntry[],
  digest: Hash,
  unable: readonly CandidateSkip[],
): SnapshotEntry[] {
  const out = new Set(unable.map(({ provider }) => provider));
  return admitted.filter(({ address }) => !out.has(address) && registry.seatOf(address, digest) !== null);
}

/** Operators without which a policy cannot be served: those of its seats, and one to audit an answer that may be audited. */
export function operatorsNeeded({ mode, n }: Pick<Policy, 'mode' | 'n'>): number {
  return mode === 'audited' ? n + 1 : n;
}

/** The most seats that a committee of these can have: one an operator. */
export function operatorsOf(entries: readonly SnapshotEntry[]): number {
  return new Set(entries.map(({ operator }) => operator)).size;
}
