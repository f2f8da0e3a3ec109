/** One attempt from the first seat to the verdict: rounds, comparison, escalation, release (DESIGN §4-7). */

import type { Contradiction } from '#protocol/contradiction';
import { ProtocolError } from '#protocol/errors';
import type { Policy } from '#protocol/policy';
import type { Fault, Verdict } from '#protocol/verdict';
import type { CandidateSkip } from '../committee/capability-skips.ts';
import { unfitBefore } from '../committee/passed-over.ts';
import type { Seat } from '../committee/seat.ts';
import type { ShapeRules } from '../judge/shape.ts';
import { inconclusive, unavailable } from './attempt-errors.ts';
import { generatingSeats } from './chunk-plan.ts';
import { type Cluster, clustersOf, groupsOf, impliedFinish, memberShapeProblem, membersOf, sizeOf } from './compare.ts';
import { ballotsOn, type FreshPool, settleSplit } from './escalate.ts';
import { extraSeats } from './extra-seats.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { Release, type ReleasedPart, type ServedLogprobs } from './release.ts';
import { type ScoringDeps, type TakenScore, targetOf } from './scoring.ts';
import { breakTie, confirmEquivalents } from './tie-break.ts';
import { Wave, type WaveDeps } from './wave.ts';
import { attestedScores, panelOf, type WitnessPanel } from './witness-panel.ts';

/** A member that is held to have broken a rule, for the dispute that follows. */
export interface Accusation {
  readonly member: SealedMember;
  readonly fault: Fault;
  readonly reason: string;
  readonly contradiction: Contradiction | null;
}

export interface AttemptInput {
  readonly plan: AttemptPlan;
  readonly policy: Policy;
  /** Candidates in the order of the draw, one per operator. */
  readonly candidates: readonly Seat[];
  /** Who of all providers cannot serve this request by its own manifest. */
  readonly unfit: readonly CandidateSkip[];
  readonly referee: Seat | null;
  readonly canScore: (seat: Seat) => boolean;
  readonly rules: ShapeRules;
  readonly signal: AbortSignal;
}

export interface AttemptDeps extends WaveDeps, Omit<ScoringDeps, 'journal'> {
  /** Makes what members have sealed and revealed durable before any of it is released. */
  progress(wave: Wave): Promise<void>;
}

/** How an attempt ended with an answer. */
export interface AttemptResult {
  readonly served: SealedMember;
  readonly verdict: Verdict;
  readonly agreement: { readonly needed: number; readonly standing: number; readonly of: number };
  /** Null where none were ordered. */
  readonly logprobs: ServedLogprobs | null;
  /** Whether as many members as the answer needs have log-probabilities like those that were served. */
  readonly logprobsCovered: boolean;
}

type Concluded = Omit<AttemptResult, 'logprobs' | 'logprobsCovered'>;

/** One attempt; its fields are what settlement and disputes read, also after a failure. */
export class Attempt {
  readonly wave: Wave;
  readonly scores: TakenScore[] = [];
  readonly accused: Accusation[] = [];
  readonly #deps: AttemptDeps;
  readonly #input: AttemptInput;
  readonly #asked = new Set<string>();
  readonly #release: Release;
  #undecided = false;
  readonly #panel: WitnessPanel | null;

  constructor(deps: AttemptDeps, input: AttemptInput) {
    this.#deps = deps;
    this.#input = input;
    this.wave = new Wave(deps, input.plan, input.signal);
    this.#release = new Release(input.plan.logprobs !== undefined);
    this.#panel = panelOf(deps, { ...input, wave: this.wave, scores: this.scores, pool: () => this.#pool() });
  }

  /**
   * Yields tokens as they are released, in order.
   * @throws {ProtocolError} committee_unavailable, inconclusive
   */
  async *run(): AsyncGenerator<ReleasedPart, AttemptResult> {
    const { policy } = this.#input;
    await this.#begin();
    for (;;) {
      await this.#deps.progress(this.wave);
      if (policy.release === 'eager') yield* this.#release.next(this.wave.counted[0], []);
      const followed = await this.#follow();
      if (!this.#release.isStartOf(followed.tokens)) {
        throw new ProtocolError('inconclusive', 'The streamed text did not hold up against the committee.');
      }
      yield* this.#release.next(followed, this.wave.counted);
      if (followed.finished) break;
      await this.wave.round();
    }
    const result = await this.#conclude();
    if (!this.#release.isStartOf(result.served.tokens)) throw inconclusive();
    const { counted } = this.wave;
    const isBacked = this.#release.backing(counted) >= result.agreement.needed;
    return { ...result, logprobs: this.#release.served, logprobsCovered: isBacked && this.#release.isFrom(counted) };
  }

  /** Seats the committee and seals its first round; who lose all seats before anybody sealed make room for the next of the draw. */
  async #begin(): Promise<void> {
    const { policy } = this.#input;
    const candidates = this.#fit;
    const seats = generatingSeats(policy);
    const extra = extraSeats(policy, this.#deps.limits.extraSeatsMax);
    for (;;) {
      const filled = await this.wave.seat(candidates, seats, extra);
      if (filled < seats) throw unavailable(filled, seats, candidates.length);
      await this.wave.round();
      if (this.wave.roots.length > 0) break;
      await this.wave.vacate();
    }
    this.#tellPassedOver();
  }

  close(): void {
    this.wave.close();
  }

  /** What was asked of it. */
  get order(): AttemptInput {
    return this.#input;
  }

  /** The scores that the statement names. */
  get attestedScores(): readonly TakenScore[] {
    return this.#panel ? attestedScores(this.scores) : this.scores;
  }

  /** Who can still be asked about its transcripts, after its end too. */
  freshPool(): FreshPool {
    return this.#pool();
  }

  /** Candidates that can serve this request. */
  get #fit(): readonly Seat[] {
    const unfit = new Set(this.#input.unfit.map(({ provider }) => provider));
    return this.#input.candidates.filter((seat) => !unfit.has(seat.address));
  }

  /** Without a reason for everybody who was drawn before the last seat, the committee is a false draw. */
  #tellPassedOver(): void {
    const { candidates, unfit } = this.#input;
    const { members, skipped } = this.wave;
    const seated = [
      ...members.map(({ seat }) => seat),
      ...(this.#panel ? this.scores : []).map(({ scorer }) => scorer),
    ];
    skipped.push(...unfitBefore(candidates, unfit, seated, skipped));
  }

  /** Compares what the round opened and says whose transcript goes on. @throws {ProtocolError} */
  async #follow(): Promise<SealedMember> {
    const { plan, rules, signal } = this.#input;
    for (const member of this.wave.counted) {
      const problem = memberShapeProblem(member, rules);
      if (problem !== null) this.#reject(member, `shape:${problem}`);
    }
    const groups = groupsOf(this.wave.counted);
    if (groups.length === 0) throw this.#nobodyLeft();
    if (groups.length === 1) return this.#witnessed(groups[0]!.members[0]!);
    const clusters = await clustersOf(this.#deps, plan, groups, signal);
    const kept = clusters.length === 1 ? clusters : await this.#resolve(clusters);
    const ranked = await breakTie(this.#deps, plan, kept.flat(), signal);
    this.scores.push(...ranked.scores);
    const [base, ...others] = ranked.cluster;
    for (const group of others) for (const member of group.members) member.standing = 'equivalent';
    return base!.members[0]!;
  }

  /** Of a witnessed answer nothing goes on before its witnesses say so. @throws {ProtocolError} inconclusive */
  async #witnessed(member: SealedMember): Promise<SealedMember> {
    if ((await this.#panel?.judge(member)) !== 'rejected') return member;
    this.#reject(member, 'rejected_by_scorers');
    throw inconclusive();
  }

  /** A real split: fresh scorers and the referee decide which clusters stand; the served one comes first. */
  async #resolve(clusters: readonly Cluster[]): Promise<readonly Cluster[]> {
    const { plan, policy, signal } = this.#input;
    const { decision, scores } = await settleSplit(
      this.#deps,
      plan,
      {
        n: policy.n,
        agree: policy.agree,
        contenders: clusters.map((cluster) => ({ size: sizeOf(cluster), target: targetOf(cluster[0]!.members[0]!) })),
        ballots: [],
        pool: this.#pool(),
      },
      signal,
    );
    this.scores.push(...scores);
    for (const cluster of decision.rejected) {
      for (const member of membersOf(clusters[cluster]!)) this.#reject(member, 'rejected_by_scorers');
    }
    if (decision.step === 'serve') {
      const behind = decision.behind.filter((cluster) => cluster !== decision.cluster);
      return [clusters[decision.cluster]!, ...behind.map((cluster) => clusters[cluster]!)];
    }
    const left = clusters.filter((_, cluster) => !decision.rejected.includes(cluster));
    if (policy.onInconclusive === 'error' || left.length === 0) throw inconclusive();
    this.#undecided = true;
    for (const cluster of left.slice(1)) for (const member of membersOf(cluster)) member.standing = 'witness';
    return left.slice(0, 1);
  }

  /** Claims, final count, verdict. */
  async #conclude(): Promise<Concluded> {
    const { policy, rules } = this.#input;
    const equivalent = this.wave.members.filter((member) => member.standing === 'equivalent');
    await this.wave.claims([...this.wave.counted, ...equivalent]);
    await this.wave.claimsOfRejected();
    for (const member of this.wave.counted) {
      if (member.finish !== impliedFinish(member, rules)) this.#reject(member, 'shape:false_finish');
    }
    const served = this.wave.counted[0];
    if (!served) throw this.#nobodyLeft();
    if (policy.mode === 'single') {
      return { served, verdict: 'unverified', agreement: { needed: 1, standing: 1, of: 1 } };
    }
    const agreement = this.#panel ? this.#panel.agreement : await this.#count(served);
    this.#tellPassedOver();
    const stillEquivalent = this.wave.members.some((member) => member.standing === 'equivalent');
    if (agreement) return { served, verdict: stillEquivalent ? 'equivalent' : 'agreed', agreement };
    if (policy.onInconclusive === 'error' || this.wave.counted.length === 0) throw inconclusive();
    const standing = this.wave.counted.length;
    return { served, verdict: 'inconclusive', agreement: { needed: policy.agree, standing, of: standing } };
  }

  /** Whether enough stand behind the served transcript as a whole; asks fresh scorers where members were lost. */
  async #count(served: SealedMember): Promise<AttemptResult['agreement'] | null> {
    if (this.#undecided) return null;
    const { plan, policy, signal } = this.#input;
    const confirming = await confirmEquivalents(this.#deps, plan, this.wave.members, targetOf(served), signal);
    this.scores.push(...confirming);
    const equivalent = this.wave.members.filter((member) => member.standing === 'equivalent').length;
    const members = this.wave.counted.length + equivalent;
    const { decision, scores } = await settleSplit(
      this.#deps,
      plan,
      {
        n: policy.n,
        agree: policy.agree,
        contenders: [{ size: members, target: targetOf(served) }],
        ballots: ballotsOn(served.tokens, this.scores, this.wave.members),
        pool: this.#pool(this.scores.filter((score) => score.judgement.vote === 'accept').map((score) => score.scorer)),
      },
      signal,
    );
    this.scores.push(...scores);
    if (decision.step === 'serve') return { needed: decision.needed, standing: decision.standing, of: decision.of };
    if (decision.rejected.length > 0) {
      // Nobody was there to compare with, and fresh scorers refuse what is left: it is accused like any other.
      for (const member of this.wave.counted) this.#reject(member, 'rejected_by_scorers');
    }
    return null;
  }

  #pool(again: readonly Seat[] = []): FreshPool {
    const { canScore, referee } = this.#input;
    const seated = new Set(this.wave.members.map((member) => member.seat.address));
    const skipped = new Set(this.wave.skipped.map((skip) => skip.provider));
    const fresh = this.#fit.filter(
      (seat) =>
        !seated.has(seat.address) && !skipped.has(seat.address) && !this.#asked.has(seat.address) && canScore(seat),
    );
    const queue = [...again.filter((seat) => !seated.has(seat.address) && seat.address !== referee?.address), ...fresh];
    return {
      referee,
      nextScorer: () => {
        const seat = queue.shift() ?? null;
        if (seat) this.#asked.add(seat.address);
        return seat;
      },
    };
  }

  #reject(member: SealedMember, reason: string): void {
    member.standing = 'rejected';
    member.fault = 'wrong_output';
    this.accused.push({ member, fault: 'wrong_output', reason, contradiction: null });
  }

  #nobodyLeft(): ProtocolError {
    return this.accused.length > 0 ? inconclusive() : unavailable(0, this.#input.policy.n, this.#fit.length);
  }
}
