/** The journal of one choice of a request on the store: jobs, roots, skips and revealed work, each durable before it takes effect. */
import { canonicalJson } from '#protocol/canonical';
import { after, type Clock } from '#protocol/env';
import { ticketToWire } from '#protocol/messages';
import { TICKET_KINDS } from '#protocol/typed';
import type { LogKeeper } from '../attest/log-keeper.ts';
import { type CostShape, generatingJobMaxNano, scoringJobMaxNano } from '../ledger/price.ts';
import type { Store } from '../store/handle.ts';
import { type JobStep, type NewJob, recordJobs, recordRound, recordSteps } from '../store/record-work.ts';
import type { SealedMember } from './member.ts';
import type { TakenScore } from './scoring.ts';
import type { IssuedJob, RoundJournal, Wave } from './wave.ts';

/** How long what was revealed may wait for its request's end, in milliseconds: longer than a claim takes that follows its reveal. */
const BEHIND_MS = 50;

export interface JournalDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: LogKeeper;
  readonly requestId: string;
  /** Index of the choice that this journal is of. */
  readonly choice: number;
  readonly shape: CostShape;
}

/** What of a member has been written down. */
interface Written {
  readonly sealed: number;
  readonly tokens: number;
}

export class StoreJournal implements RoundJournal {
  readonly #deps: JournalDeps;
  readonly #written = new Map<string, Written>();
  #seats = 0;
  readonly #behind = new Set<Wave>();
  #cancelBehind: (() => void) | null = null;

  constructor(deps: JournalDeps) {
    this.#deps = deps;
  }

  async jobsIssued(jobs: readonly IssuedJob[]): Promise<void> {
    const { choice, shape } = this.#deps;
    const rows = jobs.map(({ seat, role, isExtra, isWitness, issued: { ticket } }) => ({
      jobId: ticket.jobId,
      roundId: ticket.roundId,
      choice,
      // The client pays wave 0; extra seats are the operator's wish.
      wave: (role === 'member' && !isExtra) || isWitness ? 0 : 1,
      provider: seat.address,
      role,
      seat: this.#seats++,
      slot: 0,
      ticketJson: canonicalJson(ticketToWire(ticket)),
      ticketSignature: null,
      inputTokens: shape.inputTokens,
      maxNano: ticket.kind === TICKET_KINDS.generate ? generatingJobMaxNano(shape) : scoringJobMaxNano(shape),
    }));
    await this.recordRows(rows);
  }

  /** Jobs of a running request; work after its end has another journal. */
  protected async recordRows(rows: readonly NewJob[]): Promise<void> {
    const { store, clock, requestId } = this.#deps;
    await store.withTx((tx) => recordJobs(tx, requestId, rows, clock.nowMs()));
  }

  async roundSealed(round: Parameters<RoundJournal['roundSealed']>[0]): Promise<void> {
    const { store, requestId } = this.#deps;
    const { roundId, index, roundRoot, atMs } = round;
    await store.withTx((tx) => recordRound(tx, { roundId, roundIndex: index, requestId, roundRoot, atMs }));
  }

  async candidateSkipped(skip: Parameters<RoundJournal['candidateSkipped']>[0]): Promise<number> {
    const { provider, reason, evidenceHash, atMs } = skip;
    return this.#deps.store.withTx((tx) =>
      this.#deps.log.append(tx, { type: 'skip', provider, reason, evidenceHash, atMs }),
    );
  }

  /** Writes down what members have sealed and revealed since the last call, durably: after a crash it is still paid. */
  async progress(wave: Wave): Promise<void> {
    const steps = wave.members.flatMap((member) => this.#progressOf(member));
    const reached = wave.members.map((member) => [member.jobId, writtenOf(member)] as const);
    if (steps.length > 0) await this.#deps.store.withTx((tx) => recordSteps(tx, steps));
    // What could not be written down now is written with the request's end.
    for (const [jobId, written] of reached) this.#written.set(jobId, written);
  }

  /**
   * The same where nothing of it leaves the gateway before the request's end: written with that end, or by itself where the end is
   * not near.
   */
  progressBehind(wave: Wave): void {
    this.#behind.add(wave);
    this.#cancelBehind ??= after(this.#deps.clock, BEHIND_MS, () => {
      this.#cancelBehind = null;
      // What cannot be written now is written with the end.
      for (const each of this.#behind) void this.progress(each).catch(() => undefined);
      this.#behind.clear();
    });
  }

  #progressOf(member: SealedMember): JobStep[] {
    const { jobId } = member;
    const before = this.#written.get(jobId) ?? { sealed: 0, tokens: 0 };
    const now = writtenOf(member);
    const steps: JobStep[] = [];
    if (now.sealed > before.sealed) {
      const sealed = member.commitments
        .slice(0, now.sealed)
        .map(({ commitment, signature }) => ({ commitment, signature }));
      steps.push({ kind: 'committed', jobId, commitmentsJson: canonicalJson(sealed) });
    }
    if (now.tokens > before.tokens) steps.push({ kind: 'revealed', jobId, outputTokens: now.tokens });
    return steps;
  }

  /** The last steps of every job, for the transaction that ends the request. */
  lastSteps(seated: readonly SealedMember[], scores: readonly TakenScore[]): JobStep[] {
    // INVARIANT: nothing is written by itself after the end. What is on its way was asked for before, and runs before.
    this.#cancelBehind?.();
    this.#cancelBehind = null;
    const atMs = this.#deps.clock.nowMs();
    const members = seated.flatMap((member): JobStep[] => [...this.#progressOf(member), ...lastStepOf(member, atMs)]);
    const taken = scores.map(
      (score): JobStep => ({
        kind: 'scored',
        jobId: score.reply.score.jobId,
        claimJson: canonicalJson({ score: score.reply.score, signature: score.reply.signature }),
        scoredTokens: score.tokens.length,
        atMs,
      }),
    );
    return [...members, ...taken];
  }
}

function writtenOf({ sealed, tokens }: SealedMember): Written {
  return { sealed: sealed.length, tokens: tokens.length };
}

function lastStepOf(member: SealedMember, atMs: number): JobStep[] {
  const { jobId, claim, tokens, fault } = member;
  if (claim) {
    const claimJson = canonicalJson({ claim: claim.value, signature: claim.signature });
    return [{ kind: 'claimed', jobId, claimJson, outputTokens: tokens.length, atMs }];
  }
  if (member.standing === 'late' || member.standing === 'failed') {
    return [{ kind: member.standing, jobId, fault, atMs }];
  }
  return [];
}
