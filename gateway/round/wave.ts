/** A wave: one committee drawn at once, its sealed rounds, its claims (SPEC.md §5). */
import { type Hash, toHex } from '#protocol/hash';
import { memberSlots, padHash, sealRound } from '#protocol/round';
import { SEATS_MAX } from '#protocol/schema';
import { digests } from '#protocol/typed';
import type { Fault } from '#protocol/verdict';
import type { JobReport } from '../committee/breakers.ts';
import type { WavePacing } from '../committee/deadlines.ts';
import { sealWork } from '../committee/pace.ts';
import type { Seat } from '../committee/seat.ts';
import { DeadlineError, within } from './deadline.ts';
import { type HoldDeps, HoldTimes } from './hold-times.ts';
import { isMembersFailure, loseMember } from './lose-member.ts';
import { type MemberDeps, MemberFault, SealedMember } from './member.ts';
import {
  type AttemptPlan,
  chunkCapacity,
  generateOrder,
  generateTicket,
  type IssuedTicket,
  type Issuer,
} from './plan.ts';
import { ProviderFailure } from './provider-failure.ts';
import { skipReason } from './skip-reason.ts';

/** What must be durable before it is signed or sent. */
export interface RoundJournal {
  jobsIssued(jobs: readonly IssuedJob[]): Promise<void>;
  roundSealed(round: { roundId: Hash; index: number; roundRoot: Hash; atMs: number }): Promise<void>;
  /** Logs why a drawn candidate was passed over; returns the entry's index in the log. */
  candidateSkipped(skip: SkippedSeat & { readonly evidenceHash: Hash; readonly atMs: number }): Promise<number>;
}

export interface IssuedJob {
  readonly requestId: string;
  readonly seat: Seat;
  readonly role: 'member' | 'scorer' | 'referee';
  /** A member beyond the seats that the client pays for. */
  readonly isExtra?: boolean;
  /** A scorer that the client pays for. */
  readonly isWitness?: boolean;
  readonly issued: IssuedTicket;
}

export interface SkippedSeat {
  readonly provider: Seat['address'];
  readonly reason: string;
}

export interface WaveLimits {
  /** From the permission before (or the order) to the next seal, and from a permission to its opening. */
  readonly roundTimeoutMs: number;
  /** Connecting and the provider's first answer. */
  readonly connectTimeoutMs: number;
  readonly claimTimeoutMs: number;
  /** Members that a quorum is given beyond its seats, where there are any: they make up for those that are lost. */
  readonly extraSeatsMax: number;
}

export interface WaveDeps extends MemberDeps, Issuer, HoldDeps {
  readonly journal: RoundJournal;
  readonly limits: WaveLimits;
  /** Receives what becomes of every job, for the providers' breakers. */
  readonly breakers: { sent(provider: Seat['address']): JobReport };
  readonly pacing: WavePacing;
}

export class Wave {
  readonly roundId: Hash;
  readonly padSeed: Hash;
  readonly members: SealedMember[] = [];
  readonly skipped: (SkippedSeat & { readonly logIndex: number })[] = [];
  readonly roots: Hash[] = [];
  readonly #deps: WaveDeps;
  readonly #plan: AttemptPlan;
  readonly #signal: AbortSignal;
  readonly #reports = new Map<Hash, JobReport>();
  /** Slots by seat; they follow from padSeed and roundId, which never change. */
  #slots: readonly number[] | null = null;
  readonly #leaving: (() => void)[] = [];
  readonly #asked: Set<Seat['address']>;
  readonly #holds: HoldTimes;
  /** Whether it has one seat, in which nobody is waited for. */
  #isAlone = false;

  /** @param asked whom the waves of the choice have asked so far */
  constructor(deps: WaveDeps, plan: AttemptPlan, signal: AbortSignal, asked = new Set<Seat['address']>()) {
    this.#deps = deps;
    this.#plan = plan;
    this.#signal = signal;
    this.#asked = asked;
    this.#holds = new HoldTimes(deps, plan);
    this.roundId = toHex(deps.rng.bytes(32));
    this.padSeed = toHex(deps.rng.bytes(32));
  }

  /** Members whose vote still counts. */
  get counted(): SealedMember[] {
    return this.members.filter((member) => member.standing === 'counted');
  }

  /**
   * Fills `n` seats in the order of the draw. A candidate that refuses or cannot be reached is skipped, logged, and the
   * next one is asked; nobody is ever replaced for being slower than others.
   * @param extra seats beyond n that may stay empty: they make up for members that are lost later, and are paid by the reserve
   * @returns how many seats were filled
   */
  async seat(candidates: readonly Seat[], n: number, extra = 0): Promise<number> {
    // Each of n seats may be replaced once: with the extra ones this stays within the request's cover (SPEC.md §11.5).
    const fresh = candidates.filter((seat) => !this.#asked.has(seat.address));
    const waiting = fresh.slice(0, Math.max(0, 2 * n + extra - this.#asked.size));
    const wanted = Math.min(n + extra, SEATS_MAX);
    this.#isAlone = wanted === 1;
    while (this.members.length < wanted && waiting.length > 0) {
      const asked = waiting.splice(0, wanted - this.members.length);
      for (const { address } of asked) this.#asked.add(address);
      const paid = this.members.filter(({ isExtra }) => !isExtra).length;
      const jobs = asked.map((seat, at) => this.#issue(seat, paid + at >= n));
      await this.#deps.journal.jobsIssued(jobs);
      const started = await Promise.all(jobs.map((job) => this.#start(job)));
      for (const member of started) if (member) this.members.push(member);
    }
    const order = new Map(candidates.map((seat, position) => [seat.address, position]));
    this.members.sort((a, b) => order.get(a.seat.address)! - order.get(b.seat.address)!);
    return this.members.length;
  }

  /**
   * Empties seats whose members were all lost before any of them sealed: nothing of an answer exists yet, so the next of the
   * draw may sit there. Each is logged like a candidate that could not be reached.
   */
  async vacate(): Promise<void> {
    for (const { seat, issued, fault } of this.members.splice(0)) {
      await this.passOver(seat, fault ?? 'timeout', issued.ticketHash);
    }
  }

  /** Logs why a drawn candidate has no seat, so that the next of the draw may take it. */
  async passOver({ address: provider }: Seat, reason: string, evidenceHash: Hash): Promise<void> {
    const { clock, journal } = this.#deps;
    const logIndex = await journal.candidateSkipped({ provider, reason, evidenceHash, atMs: clock.nowMs() });
    this.skipped.push({ provider, reason, logIndex });
  }

  #issue(seat: Seat, isExtra: boolean): IssuedJob {
    const job = {
      jobId: toHex(this.#deps.rng.bytes(32)),
      provider: seat.address,
      roundId: this.roundId,
      padHash: padHash(this.padSeed),
    };
    const issued = generateTicket(this.#plan, this.#deps.domain, job);
    return { requestId: this.#plan.requestId, seat, role: 'member', isExtra, issued };
  }

  async #start(job: IssuedJob): Promise<SealedMember | null> {
    const { clock, limits } = this.#deps;
    const member = new SealedMember(this.#deps, job.seat, job.issued, job.isExtra);
    const order = generateOrder(this.#plan, this.#deps, job.issued);
    const report = this.#deps.breakers.sent(job.seat.address);
    this.#reports.set(member.jobId, report);
    this.#holds.ordered(member);
    try {
      const deadline = clock.nowMs() + limits.connectTimeoutMs;
      await within(clock, deadline, this.#signal, () => member.start(order, this.#signal));
      this.#leaving.push(this.#deps.pacing.seated(job.seat));
      return member;
    } catch (error) {
      member.close();
      if (this.#signal.aborted) throw this.#signal.reason;
      if (!(error instanceof DeadlineError || error instanceof ProviderFailure)) throw error;
      const reason = error instanceof DeadlineError ? 'connect_timeout' : skipReason(this.#deps, job.issued, error);
      // To say no in good form, for want of a free place say, is no failure.
      if (reason.startsWith('refused:')) report.dropped();
      else report.failed();
      await this.passOver(job.seat, reason, job.issued.ticketHash);
      return null;
    }
  }

  /** Slot of each member: fixed by padSeed, which is closed until the attestation. */
  slotOf(member: SealedMember): number {
    this.#slots ??= memberSlots(this.padSeed, this.roundId, SEATS_MAX);
    return this.#slots[this.members.indexOf(member)]!;
  }

  /** One sealed chunk of every counted member that has not finished: all seals first, then one root, then the openings. */
  async round(): Promise<void> {
    const index = this.roots.length;
    const playing = this.counted.filter((member) => !member.finished);
    const sealed = new Map<number, Hash>();
    await this.#sealEach(playing, index, sealed);
    if (sealed.size === 0) return;
    // From here on a seal that comes late is outside the round: the root is what was there at the deadline.
    const { root, path } = sealRound(this.roundId, index, this.padSeed, sealed);
    const permission = { roundId: this.roundId, index, roundRoot: root };
    await this.#deps.journal.roundSealed({ ...permission, atMs: this.#deps.clock.nowMs() });
    this.roots.push(root);
    for (const member of playing) {
      const commitment = sealed.get(this.slotOf(member));
      if (commitment !== undefined) member.sealed.push(commitment);
    }
    const signature = this.#deps.signer.sign(digests.permission(this.#deps.domain, permission));
    const opening = playing.filter((member) => member.standing === 'counted');
    if (this.#isAlone) await this.#holds.cover(opening[0]!, this.#signal);
    this.#holds.permitted();
    // Sealed, permitted and yet not opened is more than slowness: its own fault, though only reputation is at stake.
    await this.#each(opening, this.#deps.limits.roundTimeoutMs, 'non_reveal', async (member, signal) => {
      const slot = this.slotOf(member);
      const permitted = member.permit({ permission, signature, slot, path: path(slot) }, signal());
      const capacity = chunkCapacity(this.#plan, index, member.tokens.length);
      await Promise.all([permitted, member.nextReveal({ capacity, logprobs: this.#plan.logprobs })]);
    });
  }

  /** Each has the time of its class; how long it took says how long the next ones may. */
  async #sealEach(playing: readonly SealedMember[], index: number, sealed: Map<number, Hash>): Promise<void> {
    const { clock, pacing } = this.#deps;
    const startedMs = clock.nowMs();
    const workOf = (member: SealedMember) => {
      const capacity = chunkCapacity(this.#plan, index, member.tokens.length);
      return sealWork(this.#plan.promptIds.length, capacity, index === 0);
    };
    const timeoutOf = (member: SealedMember) => pacing.sealTimeoutMs(member.seat, workOf(member));
    await this.#each(playing, timeoutOf, 'timeout', async (member) => {
      sealed.set(this.slotOf(member), await member.nextCommitment());
      this.#holds.sealed(member);
      pacing.sealed(member.seat, workOf(member), clock.nowMs() - startedMs, false);
    });
    for (const member of playing) {
      if (member.standing === 'late') pacing.sealed(member.seat, workOf(member), clock.nowMs() - startedMs, true);
    }
  }

  /** Collects claims; members that have not finished are told to stop first. A member without a claim does not count. */
  async claims(members: readonly SealedMember[]): Promise<void> {
    await this.#each(members, this.#deps.limits.claimTimeoutMs, 'timeout', async (member, signal) => {
      await claimOf(member, signal);
      this.#reports.get(member.jobId)?.answered();
    });
  }

  /** Collects what rejected members still sign: evidence for their dispute, which their silence does not change. */
  async claimsOfRejected(): Promise<void> {
    const { clock, limits } = this.#deps;
    const deadline = clock.nowMs() + limits.claimTimeoutMs;
    const rejected = this.members.filter((member) => member.standing === 'rejected');
    await Promise.all(
      rejected.map((member) =>
        within(clock, deadline, this.#signal, (signal) => claimOf(member, signal)).catch((error: unknown) => {
          if (!isMembersFailure(error)) throw error;
          if (error instanceof MemberFault) member.contradiction ??= error.evidence;
        }),
      ),
    );
  }

  /** Runs a step on members in parallel; who fails leaves the count with its fault, the others go on. */
  async #each(
    members: readonly SealedMember[],
    timeout: number | ((member: SealedMember) => number),
    faultWhenLate: Fault,
    step: (member: SealedMember, signal: () => AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { clock } = this.#deps;
    const nowMs = clock.nowMs();
    await Promise.all(
      members.map(async (member) => {
        const timeoutMs = typeof timeout === 'number' ? timeout : timeout(member);
        const deadline = Math.min(nowMs + timeoutMs, this.#plan.jobsEndAtMs);
        try {
          await within(clock, deadline, this.#signal, (signal) => step(member, signal));
        } catch (error) {
          if (this.#signal.aborted) throw this.#signal.reason;
          loseMember(member, error, faultWhenLate);
          this.#reports.get(member.jobId)?.failed();
        }
      }),
    );
  }

  close(): void {
    this.#holds.end();
    for (const member of this.members) member.close();
    for (const report of this.#reports.values()) report.dropped();
    for (const leave of this.#leaving.splice(0)) leave();
  }
}

async function claimOf(member: SealedMember, signal: () => AbortSignal): Promise<void> {
  if (member.claim) return;
  await member.cancel(signal);
  await member.nextClaim();
}
