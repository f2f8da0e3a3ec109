/** The witnesses of one answer: they score what its generator has opened before any of it is released (spec-judge.md §7.12). */
import type { Address } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import { REJECTIONS_NEEDED, type Vote } from '#protocol/voices';
import { decideWitnessed, type WitnessDecision } from '#protocol/witnessed';
import type { Seat } from '../committee/seat.ts';
import { inconclusive } from './attempt-errors.ts';
import type { FreshPool } from './escalate.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { orderScore, type ScoreTarget, type ScoringDeps, type TakenScore, targetOf } from './scoring.ts';
import type { Wave } from './wave.ts';

export interface PanelInput {
  readonly plan: AttemptPlan;
  /** `n` counts the generator's seat. */
  readonly policy: Policy;
  /** The generator's: whom the draw gave to the panel and who has no voice is told there. */
  readonly wave: Pick<Wave, 'passOver'>;
  /** Who can still be asked, in the order of the draw: witnesses, and members beyond them. Read once. */
  readonly pool: () => FreshPool;
  /** Receives every score that is taken, in the order of asking. */
  readonly scores: TakenScore[];
  readonly signal: AbortSignal;
}

export interface PanelAgreement {
  readonly needed: number;
  readonly standing: number;
  readonly of: number;
}

/** A part of the transcript that witnesses were asked about. */
export interface JudgedPass {
  /** Up to its end. */
  readonly tokens: number;
  /** When its orders left. */
  readonly atMs: number;
}

type PanelDecision = Extract<WitnessDecision, { step: 'serve' | 'inconclusive' }>;

type Cast = { readonly seat: Seat; readonly vote: Vote };

export class WitnessPanel {
  readonly #deps: ScoringDeps;
  readonly #input: PanelInput;
  /** Who scores the next part again: those that the draw seated and nobody has overruled. */
  #seated: Seat[] = [];
  #pool: FreshPool | null = null;
  #last: PanelDecision | null = null;
  #passes: JudgedPass[] = [];

  constructor(deps: ScoringDeps, input: PanelInput) {
    this.#deps = deps;
    this.#input = input;
  }

  /** What they came to last: at the end, about the whole. Null where too few stand behind it. */
  get agreement(): PanelAgreement | null {
    if (this.#last?.step !== 'serve') return null;
    const { needed, standing, of } = this.#last;
    return { needed, standing, of };
  }

  /** What it was asked about the transcript that it looked at last, first to last. */
  get passes(): readonly JudgedPass[] {
    return this.#passes;
  }

  /**
   * Asks until it is decided whether what the generator has opened may be released.
   * @throws {ProtocolError} inconclusive, where it was not decided and the policy asks for an error then
   */
  async judge(member: SealedMember): Promise<'allowed' | 'rejected'> {
    const { release, onInconclusive } = this.#input.policy;
    // What is streamed before anybody has judged it is judged once, at its end.
    if (release === 'eager' && !member.finished) return 'allowed';
    const [tokens, atMs] = [member.tokens.length, this.#deps.clock.nowMs()];
    // Who takes a lost generator's place begins anew.
    this.#passes = [...this.#passes.filter((pass) => pass.tokens < tokens), { tokens, atMs }];
    this.#last = await this.#decide(targetOf(member));
    if (this.#last.step === 'serve') return 'allowed';
    if (this.#last.isRejected) return 'rejected';
    if (onInconclusive === 'error') throw inconclusive();
    return 'allowed';
  }

  async #decide(target: ScoreTarget): Promise<PanelDecision> {
    const { n, agree } = this.#input.policy;
    this.#pool ??= this.#input.pool();
    const pool = this.#pool;
    const cast: Cast[] = [];
    let [referee, moreReferee]: [Vote | null, boolean] = [null, pool.referee !== null];
    // Each of n - 1 witnesses may be replaced once, and two more asked: what the request's cover pays for.
    let [ordersLeft, moreScorers] = [2 * (n - 1) + REJECTIONS_NEEDED, true];
    for (;;) {
      const votes = cast.map(({ vote }) => vote);
      const decision = decideWitnessed({ n, agree, votes, referee, moreScorers, moreReferee });
      if (decision.step === 'serve' || decision.step === 'inconclusive') {
        this.#seat(cast, decision);
        return decision;
      }
      if (decision.step === 'ask_referee') {
        moreReferee = false;
        referee = await this.#askReferee(pool.referee!, target);
        continue;
      }
      const wanted = cast.length < n - 1 ? n - 1 - cast.length : REJECTIONS_NEEDED - (cast.length - (n - 1));
      const seats = this.#next(pool, cast, Math.min(wanted, ordersLeft));
      // Whoever could still be asked must not be missing from what is served.
      if (wanted > 0 && ordersLeft === 0 && cast.length < n - 1) return { step: 'inconclusive', isRejected: false };
      ordersLeft -= seats.length;
      moreScorers = seats.length > 0 && ordersLeft > 0;
      cast.push(...(await this.#ask(seats, target, n - 1 - cast.length)));
    }
  }

  /** Those that scored the part before, then the next of the draw. */
  #next(pool: FreshPool, cast: readonly Cast[], count: number): Seat[] {
    const known = this.#seated.filter((seat) => !cast.some((voice) => voice.seat === seat)).slice(0, count);
    const seats = [...known];
    while (seats.length < count) {
      const next = pool.nextScorer();
      if (next === null) break;
      seats.push(next);
    }
    return seats;
  }

  /** @param witnesses how many of the seats are still the policy's, which the client pays for */
  async #ask(seats: readonly Seat[], target: ScoreTarget, witnesses: number): Promise<Cast[]> {
    const { plan, signal, scores, wave } = this.#input;
    const taken = await Promise.all(
      seats.map((seat, at) =>
        orderScore(this.#deps, plan, { seat, role: 'member', isWitness: at < witnesses }, target, signal),
      ),
    );
    const cast: Cast[] = [];
    for (const [at, result] of taken.entries()) {
      if ('failed' in result) {
        this.#seated = this.#seated.filter((seat) => seat !== result.scorer);
        await wave.passOver(result.scorer, result.failed, result.ticketHash);
      } else {
        scores.push(result);
        cast.push({ seat: seats[at]!, vote: result.judgement.vote });
      }
    }
    return cast;
  }

  async #askReferee(seat: Seat, target: ScoreTarget): Promise<Vote | null> {
    const { plan, signal, scores } = this.#input;
    const result = await orderScore(this.#deps, plan, { seat, role: 'referee' }, target, signal);
    if ('failed' in result) return null;
    scores.push(result);
    return result.judgement.vote;
  }

  /** Who rejected what stands is not asked again; of the others the first keep their seats. */
  #seat(cast: readonly Cast[], { step }: PanelDecision): void {
    if (step !== 'serve') return;
    this.#seated = cast.filter(({ vote }) => vote !== 'reject').map(({ seat }) => seat);
  }
}

/** The panel of an attempt; null where the policy has none. */
export function panelOf(deps: ScoringDeps, input: PanelInput): WitnessPanel | null {
  return input.policy.mode === 'witnessed' ? new WitnessPanel(deps, input) : null;
}

/**
 * The scores that a statement names: those of the whole transcript, those against any part of it, and the last of everybody
 * else who was asked. A witness that accepted a part and then the whole is named once; one that accepted a part and was lost
 * after it has no seat, and the log says why.
 * @param passedOver drawn candidates without a seat
 */
export function attestedScores(scores: readonly TakenScore[], passedOver: ReadonlySet<Address>): TakenScore[] {
  const isLast = ({ scorer }: TakenScore, at: number) =>
    !scores.slice(at + 1).some((later) => later.scorer.address === scorer.address);
  return scores.filter(
    (score, at) => score.judgement.vote === 'reject' || (isLast(score, at) && !passedOver.has(score.scorer.address)),
  );
}
