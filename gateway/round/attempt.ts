/** One attempt from the first seat to the verdict: rounds, comparison, escalation, release (DESIGN §4-7). */

import type { Contradiction } from '#protocol/contradiction';
import { ProtocolError } from '#protocol/errors';
import { isAlone } from '#protocol/policy-values';
import type { Fault, Verdict } from '#protocol/verdict';
import type { ShapeRules } from '../judge/shape.ts';
import { inconclusive, unavailable } from './attempt-errors.ts';
import { type Cluster, clustersOf, groupsOf, impliedFinish, memberShapeProblem, membersOf, sizeOf } from './compare.ts';
import { ballotsOn, type FreshPool, settleSplit } from './escalate.ts';
import type { SealedMember } from './member.ts';
import { Release, type ReleasedPart, type ServedLogprobs } from './release.ts';
import { type ScoringDeps, type TakenScore, targetOf } from './scoring.ts';
import { Seating, type SeatingInput } from './seating.ts';
import { breakTie, confirmEquivalents } from './tie-break.ts';
import type { Wave, WaveDeps } from './wave.ts';
import { attestedScores, type JudgedPass, panelOf, type WitnessPanel } from './witness-panel.ts';

/** A member that is held to have broken a rule, for the dispute that follows. */
export interface Accusation {
  readonly member: SealedMember;
  readonly fault: Fault;
  readonly reason: string;
  readonly contradiction: Contradiction | null;
}

export interface AttemptInput extends SeatingInput {
  readonly rules: ShapeRules;
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

/** Why fresh scorers have put a member out. */
const BY_SCORERS = 'rejected_by_scorers';

/** One attempt; its fields are what settlement and disputes read, also after a failure. */
export class Attempt {
  readonly scores: TakenScore[] = [];
  readonly accused: Accusation[] = [];
  readonly #deps: AttemptDeps;
  readonly #input: AttemptInput;
  readonly #seating: Seating;
  readonly #release: Release;
  #undecided = false;
  readonly #panel: WitnessPanel | null;

  constructor(deps: AttemptDeps, input: AttemptInput) {
    this.#deps = deps;
    this.#input = input;
    this.#seating = new Seating(deps, input);
    this.#release = new Release(input.plan.logprobs !== undefined, input.plan.calibration?.calibration ?? null);
    const wave: Pick<Wave, 'passOver'> = { passOver: (...skip) => this.#wave.passOver(...skip) };
    this.#panel = panelOf(deps, { ...input, wave, scores: this.scores, pool: () => this.#seating.pool() });
  }

  /**
   * Yields tokens as they are released, in order.
   * @throws {ProtocolError} committee_unavailable, inconclusive
   */
  async *run(): AsyncGenerator<ReleasedPart, AttemptResult> {
    await this.#seating.begin();
    for (;;) {
      const result = yield* this.#answer();
      if (result !== null) {
        if (!this.#release.isStartOf(result.served.tokens)) throw inconclusive();
        const { counted } = this.#wave;
        const isBacked = this.#release.backing(counted) >= result.agreement.needed;
        return {
          ...result,
          logprobs: this.#release.served,
          logprobsCovered: isBacked && this.#release.isFrom(counted),
        };
      }
      // Whom fresh scorers have put out is no loss that others could make up for.
      const isLost = !this.accused.some(({ reason }) => reason === BY_SCORERS);
      if (!isLost || !this.#seating.canReplace) throw this.#nobodyLeft();
      await this.#seating.replace();
    }
  }

  /** The rounds of one wave to their end, and its claims; null where all of its members were lost on the way. */
  async *#answer(): AsyncGenerator<ReleasedPart, Concluded | null> {
    for (;;) {
      const wave = this.#wave;
      await this.#deps.progress(wave);
      if (this.#input.policy.release === 'eager') yield* this.#release.next(wave.counted[0], []);
      const followed = await this.#follow();
      if (followed === null) return null;
      if (!this.#release.agreesWith(followed)) {
        throw new ProtocolError('inconclusive', 'The streamed text did not hold up against the committee.');
      }
      yield* this.#release.next(followed, wave.counted);
      if (followed.finished) return this.#conclude();
      await wave.round();
    }
  }

  close(): void {
    this.#seating.close();
  }

  /** What was asked of it. */
  get order(): AttemptInput {
    return this.#input;
  }

  /** In the order in which they were seated; none without members in an attempt that has its answer. */
  get waves(): readonly Wave[] {
    return this.#seating.waves;
  }

  /** Of all waves. */
  get members(): readonly SealedMember[] {
    return this.#seating.members;
  }

  /** The scores that the statement names. */
  get attestedScores(): readonly TakenScore[] {
    if (this.#panel === null) return this.scores;
    const passedOver = this.waves.flatMap((wave) => wave.skipped.map(({ provider }) => provider));
    return attestedScores(this.scores, new Set(passedOver));
  }

  /** Parts of the served transcript that its witnesses were asked about; none where nobody witnesses. */
  get passes(): readonly JudgedPass[] {
    return this.#panel?.passes ?? [];
  }

  /** Who can still be asked about its transcripts, after its end too. */
  freshPool(): FreshPool {
    return this.#seating.pool();
  }

  get #wave(): Wave {
    return this.#seating.wave;
  }

  /** Compares what the round opened and says whose transcript goes on, or null. @throws {ProtocolError} inconclusive */
  async #follow(): Promise<SealedMember | null> {
    const { plan, rules, signal } = this.#input;
    for (const member of this.#wave.counted) {
      const problem = memberShapeProblem(member, rules);
      if (problem !== null) this.#reject(member, `shape:${problem}`);
    }
    const groups = groupsOf(this.#wave.counted);
    if (groups.length === 0) return null;
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
    this.#reject(member, BY_SCORERS);
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
        pool: this.#seating.pool(),
      },
      signal,
    );
    this.scores.push(...scores);
    for (const cluster of decision.rejected) {
      for (const member of membersOf(clusters[cluster]!)) this.#reject(member, BY_SCORERS);
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

  /** Claims, final count, verdict; null where nobody claims. */
  async #conclude(): Promise<Concluded | null> {
    const { policy, rules } = this.#input;
    const wave = this.#wave;
    const equivalent = wave.members.filter((member) => member.standing === 'equivalent');
    await wave.claims([...wave.counted, ...equivalent]);
    await Promise.all(this.waves.map((each) => each.claimsOfRejected()));
    for (const member of this.#wave.counted) {
      if (member.finish !== impliedFinish(member, rules)) this.#reject(member, 'shape:false_finish');
    }
    const served = this.#wave.counted[0];
    if (!served) return null;
    if (isAlone(policy.mode)) {
      return { served, verdict: 'unverified', agreement: { needed: 1, standing: 1, of: 1 } };
    }
    const agreement = this.#panel ? this.#panel.agreement : await this.#count(served);
    this.#seating.tellPassedOver((this.#panel ? this.scores : []).map(({ scorer }) => scorer));
    const stillEquivalent = this.#wave.members.some((member) => member.standing === 'equivalent');
    if (agreement) return { served, verdict: stillEquivalent ? 'equivalent' : 'agreed', agreement };
    if (policy.onInconclusive === 'error' || this.#wave.counted.length === 0) throw inconclusive();
    const standing = this.#wave.counted.length;
    return { served, verdict: 'inconclusive', agreement: { needed: policy.agree, standing, of: standing } };
  }

  /** Whether enough stand behind the served transcript as a whole; asks fresh scorers where members were lost. */
  async #count(served: SealedMember): Promise<AttemptResult['agreement'] | null> {
    if (this.#undecided) return null;
    const { plan, policy, signal } = this.#input;
    const confirming = await confirmEquivalents(this.#deps, plan, this.#wave.members, targetOf(served), signal);
    this.scores.push(...confirming);
    const equivalent = this.#wave.members.filter((member) => member.standing === 'equivalent').length;
    const members = this.#wave.counted.length + equivalent;
    const { decision, scores } = await settleSplit(
      this.#deps,
      plan,
      {
        n: policy.n,
        agree: policy.agree,
        contenders: [{ size: members, target: targetOf(served) }],
        ballots: ballotsOn(served.tokens, this.scores, this.members),
        pool: this.#seating.pool(
          this.scores.filter((score) => score.judgement.vote === 'accept').map((score) => score.scorer),
        ),
      },
      signal,
    );
    this.scores.push(...scores);
    if (decision.step === 'serve') return { needed: decision.needed, standing: decision.standing, of: decision.of };
    if (decision.rejected.length > 0) {
      // Nobody was there to compare with, and fresh scorers refuse what is left: it is accused like any other.
      for (const member of this.#wave.counted) this.#reject(member, BY_SCORERS);
    }
    return null;
  }

  #reject(member: SealedMember, reason: string): void {
    member.standing = 'rejected';
    member.fault = 'wrong_output';
    this.accused.push({ member, fault: 'wrong_output', reason, contradiction: null });
  }

  #nobodyLeft(): ProtocolError {
    return this.accused.length > 0 ? inconclusive() : unavailable(0, this.#input.policy.n, this.#seating.fit.length);
  }
}
