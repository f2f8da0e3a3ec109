/**
 * What a provider must remember so that a crash never makes it sign two different things (SPEC.md §6).
 * Every write is durable when the call returns; callers sign and emit only after that.
 */
import type { ShortEvidence, TokenEvidence } from '#protocol/evidence';
import type { Address, Hash, Hex } from '#protocol/hash';
import type { TokenLogprobs } from '#protocol/logprobs';
import type { SuccessionOrder } from '#protocol/succession';
import type { TwoRoots } from '#protocol/two-roots';
import type { Claim, FinishKind, Opening, Score, Ticket } from '#protocol/typed';

/** One accepted ticket. */
export interface StoredJob {
  readonly ticket: Ticket;
  readonly ticketHash: Hash;
  /** The gateway whose signature the ticket carries; only its permissions open anything. */
  readonly gateway: Address;
}

/** One sealed chunk: all that its commitment covers. */
export interface StoredChunk {
  readonly opening: Opening;
  readonly commitment: Hash;
  readonly tokens: readonly number[];
  readonly evidence: readonly TokenEvidence[];
  readonly shortEvidence: readonly ShortEvidence[];
  /** Where they were ordered, with the random part of the opening's salt. */
  readonly logprobs: { readonly salt: Hash; readonly tokens: readonly TokenLogprobs[] } | null;
  /** How generation ended; present exactly on the last chunk. */
  readonly finish: FinishKind | null;
}

/** The permission under which one chunk was opened. */
export interface StoredRoot {
  readonly index: number;
  readonly root: Hash;
  readonly slot: number;
  /** The gateway's signature: with a second one for the same round it proves `two_roots`. */
  readonly signature: Hex;
}

export interface StoredScore {
  readonly score: Score;
  readonly evidence: readonly TokenEvidence[];
}

export interface ProviderStore {
  /** Records a job; false (and no change) when the jobId was used before. */
  addJob(job: StoredJob): boolean;
  job(jobId: Hash): StoredJob | undefined;
  /** Marks a job that ended without a claim: it is never resumed. */
  closeJob(jobId: Hash): void;
  isClosed(jobId: Hash): boolean;
  /** @throws {Error} when the job has a chunk of this index: a second one would be an equivocation */
  addChunk(chunk: StoredChunk): void;
  /** In order of their index. */
  chunks(jobId: Hash): StoredChunk[];
  /** The opening that hashes to a commitment of ours; it may have been sealed long ago. */
  openingOf(commitment: Hash): Opening | undefined;
  /** @throws {Error} when this index was opened before */
  addRoot(jobId: Hash, root: StoredRoot): void;
  /** In order of their index. */
  roots(jobId: Hash): StoredRoot[];
  /** @throws {Error} when the job has a claim: a second one would be an equivocation */
  addClaim(claim: Claim): void;
  claim(jobId: Hash): Claim | undefined;
  /** @throws {Error} when the job has a score */
  addScore(score: StoredScore): void;
  score(jobId: Hash): StoredScore | undefined;
  /** Keeps the first contradiction of a round; later ones of the same round add nothing. */
  addTwoRoots(evidence: TwoRoots): void;
  /** At most `limit`, in a fixed order. */
  twoRoots(limit: number): TwoRoots[];
  /** Remembers a gateway's next signing key; the first word about a key stands. */
  addSuccession(order: SuccessionOrder): void;
  /** In the order in which they came. */
  successions(): SuccessionOrder[];
  /**
   * Forgets jobs whose retention is over and whose ticket could not be accepted again.
   * @param skewMs how long after its expiry a ticket is still accepted
   * @param keepOpenings keeps their openings, without tokens and evidence: a contract may ask for them as long as the key
   * that sealed them answers (spec-chain.md C6)
   * @returns how many jobs were forgotten
   */
  prune(nowMs: number, skewMs: number, keepOpenings: boolean): number;
  /** @throws {Error} when the store cannot be written */
  checkWritable(): void;
  close(): void;
}

/** From when on a job may be forgotten: after its evidence is due and after its ticket is surely refused. */
export function keepUntilMs(ticket: Ticket, skewMs: number): number {
  return Math.max(ticket.retainUntilMs, ticket.expiresAtMs + skewMs);
}
