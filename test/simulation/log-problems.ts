/** The log: its tree hashes its leaves, its leaves hash its entries, and nothing that a crash left was ever taken back. */
import { logLeaf, zLogEntry } from '#protocol/log';
import { logRoot } from '../../gateway/store/log-proofs.ts';
import { logRange, logSize } from '../../gateway/store/log-repo.ts';
import { type Remains, remainsOf, rootOf } from './gateway-host.ts';
import type { Run } from './simulation.ts';

/** Every violation, in words. */
export async function logProblems({ store, remains, witness }: Run): Promise<string[]> {
  const problems: string[] = [];
  const last = await remainsOf(store);
  for (const { size, root, note } of last.checkpoints) {
    if (rootOf(last.leaves, size) !== root) problems.push(`log: the checkpoint of size ${size} is of other leaves`);
    if (note === null) problems.push(`log: the checkpoint of size ${size} is not signed`);
    witness.note(`checkpoint row of size ${size}`, root);
  }
  for (const [crash, before] of remains.entries()) problems.push(...takenBack(before, last, crash));
  await store.read(async (handle) => {
    const size = await logSize(handle);
    if (rootOf(last.leaves, size) !== (await logRoot(handle, size))) {
      problems.push('log: the log does not hash to its root');
    }
    for (const { logIndex, leafHash, entryJson } of await logRange(handle, 0, size)) {
      const entry = zLogEntry.safeParse(JSON.parse(entryJson));
      if (!entry.success || logLeaf(entry.data) !== leafHash) problems.push(`log: entry ${logIndex} is not its leaf`);
    }
  });
  return problems;
}

function takenBack(before: Remains, after: Remains, crash: number): string[] {
  const problems: string[] = [];
  if (before.leaves.some((leaf, i) => after.leaves[i] !== leaf)) {
    problems.push(`log: leaves from before crash ${crash} are gone`);
  }
  for (const { size, root, note } of before.checkpoints) {
    const now = after.checkpoints.find((checkpoint) => checkpoint.size === size);
    if (now?.root !== root || (note !== null && now.note !== note)) {
      problems.push(`log: the checkpoint of size ${size} changed after crash ${crash}`);
    }
  }
  return problems;
}
