/** Who sits for one choice: its waves, one after the other, and who is left for scoring (SPEC.md §6.5, §8). */
import type { Address } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import type { CandidateSkip } from '../committee/capability-skips.ts';
import { unfitBefore } from '../committee/passed-over.ts';
import type { Seat } from '../committee/seat.ts';
import { unavailable } from './attempt-errors.ts';
import { generatingSeats } from './chunk-plan.ts';
import type { FreshPool } from './escalate.ts';
import { extraSeats } from './extra-seats.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { Wave, type WaveDeps } from './wave.ts';

export interface SeatingInput {
  readonly plan: AttemptPlan;
  readonly policy: Policy;
  /** Candidates in the order of the draw, one per operator. */
  readonly candidates: readonly Seat[];
  /** Who of all providers cannot serve this request by its own manifest. */
  readonly unfit: readonly CandidateSkip[];
  readonly referee: Seat | null;
  readonly canScore: (seat: Seat) => boolean;
  /** Waves that the attestation has room for, at least 1. */
  readonly wavesMax: number;
  readonly signal: AbortSignal;
}

export class Seating {
  /** Members of the last one alone may stand behind an answer. */
  readonly waves: Wave[] = [];
  readonly #deps: WaveDeps;
  readonly #input: SeatingInput;
  /** Whom any wave has asked: together they stay within the request's cover. */
  readonly #seated = new Set<Address>();
  readonly #scoring = new Set<Address>();

  constructor(deps: WaveDeps, input: SeatingInput) {
    this.#deps = deps;
    this.#input = input;
    this.#addWave();
  }

  /** The one that plays. */
  get wave(): Wave {
    return this.waves.at(-1)!;
  }

  /** Of all waves, in the order of the draw. */
  get members(): SealedMember[] {
    return this.waves.flatMap((wave) => wave.members);
  }

  /** Candidates that can serve this request. */
  get fit(): readonly Seat[] {
    const unfit = new Set(this.#input.unfit.map(({ provider }) => provider));
    return this.#input.candidates.filter((seat) => !unfit.has(seat.address));
  }

  /**
   * Seats the present wave and seals its first round; who lose all seats before anybody sealed make room for the next of the
   * draw.
   * @throws {ProtocolError} committee_unavailable
   */
  async begin(): Promise<void> {
    const { wave, fit } = this;
    const seats = generatingSeats(this.#input.policy);
    for (;;) {
      const filled = await wave.seat(fit, seats, this.#extra);
      if (filled < seats) throw unavailable(filled, seats, fit.length);
      await wave.round();
      if (wave.roots.length > 0) break;
      await wave.vacate();
      // Whoever sat in now would be late before it has begun.
      if (!this.#hasTime) throw unavailable(0, seats, fit.length);
    }
    this.tellPassedOver();
  }

  /** Whether a wave whose members were all lost after they had sealed can be followed by another. */
  get canReplace(): boolean {
    const { policy, wavesMax } = this.#input;
    if (this.waves.length >= wavesMax || !this.#hasTime) return false;
    // Witnesses are drawn after who generates: whoever sat in now would come after them.
    if (policy.mode === 'witnessed' && this.#scoring.size > 0) return false;
    const seats = generatingSeats(policy);
    const fresh = this.fit.filter(({ address }) => !this.#seated.has(address)).length;
    return Math.min(fresh, 2 * seats + this.#extra - this.#seated.size) >= seats;
  }

  /**
   * Seats the next of the draw in a wave of their own, with its own roundId: what was sealed and lost stays where it is.
   * @throws {ProtocolError} committee_unavailable
   */
  async replace(): Promise<void> {
    // Who has stopped at a near-tie can only stand behind those that it parted from.
    for (const member of this.wave.members) if (member.standing === 'equivalent') member.standing = 'witness';
    this.#addWave();
    await this.begin();
  }

  /** @param again scorers that were asked before and may be asked once more, first */
  pool(again: readonly Seat[] = []): FreshPool {
    const { canScore, referee } = this.#input;
    const seated = new Set(this.members.map((member) => member.seat.address));
    const skipped = new Set(this.waves.flatMap((wave) => wave.skipped.map((skip) => skip.provider)));
    const fresh = this.fit.filter(
      ({ address }) => !seated.has(address) && !skipped.has(address) && !this.#scoring.has(address),
    );
    const queue = [
      ...again.filter((seat) => !seated.has(seat.address) && seat.address !== referee?.address),
      ...fresh.filter(canScore),
    ];
    return {
      referee,
      nextScorer: () => {
        const seat = queue.shift() ?? null;
        if (seat) this.#scoring.add(seat.address);
        return seat;
      },
    };
  }

  /** Without a reason for everybody who was drawn before the last seat, the committee is a false draw. @param scorers seated as witnesses */
  tellPassedOver(scorers: readonly Seat[] = []): void {
    const { candidates, unfit } = this.#input;
    const told = this.waves.flatMap((wave) => wave.skipped);
    const seated = [...this.members.map(({ seat }) => seat), ...scorers];
    this.wave.skipped.push(...unfitBefore(candidates, unfit, seated, told));
  }

  close(): void {
    for (const wave of this.waves) wave.close();
  }

  /** Whether generating jobs of the request may still run. */
  get #hasTime(): boolean {
    return this.#deps.clock.nowMs() < this.#input.plan.jobsEndAtMs;
  }

  get #extra(): number {
    return extraSeats(this.#input.policy, this.#deps.limits.extraSeatsMax);
  }

  #addWave(): void {
    this.waves.push(new Wave(this.#deps, this.#input.plan, this.#input.signal, this.#seated));
  }
}
