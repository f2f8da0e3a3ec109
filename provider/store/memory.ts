/** The store without a disk, for simulations; the same contract as SQLite's (test/unit/provider-store.test.ts). */
import type { Hash } from '#protocol/hash';
import type { SuccessionOrder } from '#protocol/succession';
import type { TwoRoots } from '#protocol/two-roots';
import type { Claim } from '#protocol/typed';
import {
  keepUntilMs,
  type ProviderStore,
  type StoredChunk,
  type StoredJob,
  type StoredRoot,
  type StoredScore,
} from './store.ts';

interface Entry {
  readonly job: StoredJob;
  readonly chunks: StoredChunk[];
  readonly roots: StoredRoot[];
  closed: boolean;
  claim?: Claim;
  score?: StoredScore;
}

/** A store that lives as long as the object; handing it to a second app simulates a restart. */
export function createMemoryStore(): ProviderStore {
  const entries = new Map<Hash, Entry>();
  const twoRoots = new Map<string, TwoRoots>();
  const successions: SuccessionOrder[] = [];
  const entryOf = (jobId: Hash): Entry => {
    const entry = entries.get(jobId);
    if (entry === undefined) throw new Error('job is not stored');
    return entry;
  };
  return {
    addJob(job) {
      if (entries.has(job.ticket.jobId)) return false;
      entries.set(job.ticket.jobId, { job, chunks: [], roots: [], closed: false });
      return true;
    },
    job: (jobId) => entries.get(jobId)?.job,
    closeJob(jobId) {
      entryOf(jobId).closed = true;
    },
    isClosed: (jobId) => entries.get(jobId)?.closed ?? false,
    addChunk(chunk) {
      const { chunks } = entryOf(chunk.opening.jobId);
      if (chunks.length !== chunk.opening.index) throw new Error('chunk is not the next one');
      chunks.push(chunk);
    },
    chunks: (jobId) => [...(entries.get(jobId)?.chunks ?? [])],
    openingOf(commitment) {
      const sealed = [...entries.values()].flatMap(({ chunks }) => chunks);
      return sealed.find((chunk) => chunk.commitment === commitment)?.opening;
    },
    addRoot(jobId, root) {
      const { roots } = entryOf(jobId);
      if (roots.length !== root.index) throw new Error('root is not the next one');
      roots.push(root);
    },
    roots: (jobId) => [...(entries.get(jobId)?.roots ?? [])],
    addClaim(claim) {
      const entry = entryOf(claim.jobId);
      if (entry.claim !== undefined) throw new Error('job has a claim');
      entry.claim = claim;
    },
    claim: (jobId) => entries.get(jobId)?.claim,
    addScore(score) {
      const entry = entryOf(score.score.jobId);
      if (entry.score !== undefined) throw new Error('job has a score');
      entry.score = score;
    },
    score: (jobId) => entries.get(jobId)?.score,
    addTwoRoots(evidence) {
      const key = `${evidence.roundId}:${evidence.index}`;
      if (!twoRoots.has(key)) twoRoots.set(key, evidence);
    },
    twoRoots: (limit) => [...twoRoots.values()].slice(0, limit),
    addSuccession(order) {
      if (!successions.some(({ succession }) => succession.next === order.succession.next)) successions.push(order);
    },
    successions: () => [...successions],
    prune(nowMs, skewMs, keepOpenings) {
      let count = 0;
      for (const [jobId, entry] of entries) {
        if (keepUntilMs(entry.job.ticket, skewMs) >= nowMs) continue;
        if (keepOpenings && entry.chunks.length > 0) {
          if (entry.closed) continue;
          const bare = { tokens: [], evidence: [], shortEvidence: [], logprobs: null };
          entry.chunks.splice(0, Infinity, ...entry.chunks.map((chunk) => ({ ...chunk, ...bare })));
          entry.closed = true;
        } else entries.delete(jobId);
        count++;
      }
      return count;
    },
    checkWritable() {},
    close() {},
  };
}
