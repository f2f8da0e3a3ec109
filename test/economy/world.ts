/** One provider's life under hidden audits: requests, audits that land later, evidence, convictions, exits; a seed decides it. */
import {
  confirmedFactors,
  type EvidenceAccount,
  feed,
  isSurprising,
  openAccount,
  standingOf,
} from '#protocol/evidence-account';
import { PPM } from '#protocol/log';
import { type ProviderFault, penaltyNano } from '../../gateway/ledger/penalties.ts';
import type { FastRng } from '../bench/nulls/fast-rng.ts';
import { PRICES_NANO } from './answer-prices.ts';
import { type Answer, type AnswerPool, LENGTHS } from './answers.ts';
import { type RatedWorld, ratePpmOf } from './known-rates.ts';
import { Retained } from './retained.ts';

export interface World extends RatedWorld {
  /** Probability that one who repeats a surprising score is an accomplice. */
  readonly confirmingPpm: number;
  /** Answers of which the pay has not left yet; 0 where pay leaves at once. */
  readonly payDelay: number;
  /** Answers for which leaving stake stays within reach. */
  readonly unbonding: number;
  /** Share of requests that are the gateway's own. */
  readonly ownShare: number;
  readonly clients: number;
  readonly honest: AnswerPool;
  readonly horizon: number;
  /** Witnessed requests of the gateway's own that a provider in quarantine gets at most. */
  readonly probes: number;
  /** Answers that are examined before the first pay leaves, and before what is retained of a leaver does; none where absent. */
  readonly examination?: { readonly first: number; readonly last: number };
}

/** What a provider sees before it answers. */
export interface Seen {
  readonly at: number;
  /** Index in `LENGTHS`. */
  readonly length: number;
  /** Whether the request is going to be audited: no strategy reads it but one that is given a leak. */
  readonly audited: boolean;
}

export interface Strategy {
  readonly name: string;
  /** The cheaper machine's answers, and what it saves. */
  readonly pool: AnswerPool;
  readonly savedPpm: number;
  /** What accumulated evidence convicts it of. */
  readonly cheats: (seen: Seen, rng: FastRng) => boolean;
  /** Answers that it goes on for at least, where it is not found: less would show what it saves and not what it risks. */
  readonly horizon?: number;
  /** Whether it asks for its stake now. */
  readonly leaves?: (at: number) => boolean;
  /** Whether it is honest once it is in quarantine. */
  readonly repents?: boolean;
}

/** `locked`: in quarantine, its stake held by the account's wealth and not slashed; nothing more is earned. */
export type Ending = 'slashed' | 'locked' | 'left' | 'served';

export interface Life {
  readonly ending: Ending;
  /** Of a slash. */
  readonly fault: ProviderFault | null;
  /** Whether it was in quarantine at the end, or before witnessed requests of the gateway's own convicted it. */
  readonly wasQuarantined: boolean;
  /** Answers until it was convicted or put into quarantine, and how many it cheated on. */
  readonly answers: number;
  readonly cheated: number;
  readonly audits: number;
  readonly savedNano: bigint;
  readonly slashNano: bigint;
  /** Pay that went with the slash, or that stays behind where its owner is in quarantine for good. */
  readonly forfeitNano: bigint;
  /**
   * What convictions by single answers were to take of it: of every answer that an honest auditor was about to judge, the share of such answers in its pool times the loss then. What they really
   * took differs from it by a martingale, so that the means are the same, and one conviction in some hundred lives decides nothing.
   */
  readonly foreseenNano: number;
  /** Answers that were examined, and their price: what the examination costs goes by it. */
  readonly examined: number;
  readonly examinedNano: bigint;
  /** Price of the answers that accomplices were to look at, and passed: the scores of those are saved too. */
  readonly passedNano: bigint;
  /** Mean audit rate over its answers, weighted by their price, in millionths. */
  readonly ratePpm: number;
}

interface Pending {
  readonly lands: number;
  readonly answer: Answer;
  /** Share of the answers that it was drawn from that convict by themselves. */
  readonly grossShare: number;
  readonly priceNano: bigint;
  readonly own: boolean;
  readonly id: number;
}

/** Scorers' operators that are not accomplices; two are enough for both halves and for confirmations. */
const AUDITORS = ['auditor-a', 'auditor-b', 'auditor-c'] as const;

class ProviderLife {
  readonly #world: World;
  readonly #strategy: Strategy;
  readonly #rng: FastRng;
  readonly #account: EvidenceAccount = openAccount();
  readonly #retained: Retained;
  #pending: Pending[] = [];
  #passed = 0;
  #isQuarantined = false;
  #fault: ProviderFault | null = null;
  #count = { answers: 0, cheated: 0, audits: 0, examined: 0, rate: 0, weight: 0 };
  #savedNano = 0n;
  #examinedNano = 0n;
  #passedNano = 0n;
  #foreseenNano = 0;
  #isPaidOut = false;

  constructor(world: World, strategy: Strategy, rng: FastRng) {
    this.#world = world;
    this.#strategy = strategy;
    this.#rng = rng;
    this.#retained = new Retained(world.payDelay);
  }

  live(): Life {
    const { horizon, unbonding, examination } = this.#world;
    let left: number | null = null;
    for (let at = 0; at < horizon && !this.#isStopped; at++) {
      this.#land(at);
      if (this.#isStopped) break;
      if (left === null && this.#strategy.leaves?.(at)) left = at;
      if (left !== null && at >= left + unbonding) {
        this.#examine(examination?.last);
        if (this.#isStopped) break;
        return this.#life('left');
      }
      if (left === null) this.#serve(at);
    }
    if (this.#fault === null) this.#land(Number.POSITIVE_INFINITY);
    // Who is honest by then adds nothing to its account.
    if (this.#isQuarantined && this.#strategy.repents !== true) this.#probe();
    if (this.#fault !== null) return this.#life('slashed');
    // Stake does not leave while the account speaks against it (spec-judge.md §7.10).
    if (this.#isQuarantined) return this.#life('locked');
    return this.#life(left === null ? 'served' : 'left');
  }

  get #isStopped(): boolean {
    return this.#fault !== null || this.#isQuarantined;
  }

  /** By auditors as any, one after the other, all of them unless one convicts. */
  #examine(most = 0): void {
    for (const { id, length, isCheat, own, priceNano } of this.#retained.draw(most, this.#rng)) {
      if (this.#fault !== null) return;
      this.#count.examined++;
      this.#examinedNano += priceNano;
      this.#judge({ lands: 0, ...this.#answerTo(length, isCheat), priceNano, own, id });
    }
  }

  #answerTo(length: number, isCheat: boolean): Pick<Pending, 'answer' | 'grossShare'> {
    const answers = (isCheat ? this.#strategy.pool : this.#world.honest)[length]!;
    return { answer: answers[this.#rng.below(answers.length)]!, grossShare: grossShareOf(answers) };
  }

  /** In quarantine witnessed requests of the gateway's own keys go on (spec-judge.md §7.10); what it saves on them is not counted. */
  #probe(): void {
    const { probes } = this.#world;
    for (let probe = 0; probe < probes && this.#fault === null; probe++) {
      const length = this.#rng.below(LENGTHS.length);
      const seen = { at: this.#world.horizon + probe, length, audited: true };
      const isCheat = this.#strategy.cheats(seen, this.#rng);
      const priceNano = PRICES_NANO[length]!;
      this.#judge({ lands: 0, ...this.#answerTo(length, isCheat), priceNano, own: true, id: -1 - probe });
    }
  }

  #life(ending: Ending): Life {
    const { rate, weight, ...count } = this.#count;
    const slashNano = ending === 'slashed' ? penaltyNano(this.#fault!, this.#world.stakeNano) : 0n;
    return {
      ending,
      fault: this.#fault,
      wasQuarantined: this.#isQuarantined,
      ...count,
      savedNano: this.#savedNano,
      slashNano,
      // Earnings of who is in quarantine stay there, as its stake does.
      forfeitNano: ending === 'slashed' || ending === 'locked' ? this.#retained.nano : 0n,
      foreseenNano: this.#foreseenNano,
      examinedNano: this.#examinedNano,
      passedNano: this.#passedNano,
      ratePpm: weight === 0 ? 0 : rate / weight,
    };
  }

  #serve(at: number): void {
    const { ownShare, lagMax, examination } = this.#world;
    const rng = this.#rng;
    const count = this.#count;
    const length = rng.below(LENGTHS.length);
    const own = rng.unit() < ownShare;
    const ratePpm = ratePpmOf(this.#world, length, this.#passed, this.#retained.nano);
    const audited = rng.unit() * PPM < ratePpm;
    const isCheat = this.#strategy.cheats({ at, length, audited }, rng);
    const price = PRICES_NANO[length]!;
    count.rate += ratePpm * Number(price);
    count.weight += Number(price);
    count.answers++;
    this.#retained.add({ id: at, priceNano: price, length, isCheat, own, isExamined: audited });
    if (isCheat) {
      count.cheated++;
      this.#savedNano += (price * BigInt(this.#strategy.savedPpm)) / BigInt(PPM);
    }
    if (audited) {
      count.audits++;
      const lands = at + 1 + rng.below(lagMax + 1);
      this.#pending.push({ lands, ...this.#answerTo(length, isCheat), priceNano: price, own, id: at });
    }
    if (this.#isPaidOut || !this.#retained.isFull) return;
    this.#isPaidOut = true;
    this.#examine(examination?.first);
  }

  /** Audits whose time has come. */
  #land(at: number): void {
    const due = this.#pending.filter(({ lands }) => lands <= at);
    if (due.length === 0) return;
    this.#pending = this.#pending.filter(({ lands }) => lands > at);
    for (const audit of due) {
      this.#judge(audit);
      if (this.#fault !== null) return;
    }
  }

  #judge({ answer, grossShare, priceNano, own, id }: Pending): void {
    const { collusionPpm, confirmingPpm, clients, stakeNano } = this.#world;
    const rng = this.#rng;
    const lossNano = Number(penaltyNano('wrong_output', stakeNano) + this.#retained.nano);
    this.#foreseenNano += (1 - collusionPpm / PPM) * grossShare * lossNano;
    // An accomplice says that all is well.
    if (rng.unit() * PPM < collusionPpm) {
      this.#passed++;
      this.#passedNano += priceNano;
      return;
    }
    if (answer.isGross) {
      this.#fault = 'wrong_output';
      return;
    }
    const first = rng.below(AUDITORS.length);
    const second = AUDITORS[(first + 1) % AUDITORS.length]!;
    const scores = [{ operator: AUDITORS[first]!, factors: answer.factors }];
    // Repeated by another operator, which may be an accomplice too and see nothing surprising.
    if (isSurprising(answer.factors) && rng.unit() * PPM >= confirmingPpm) {
      scores.push({ operator: second, factors: answer.factors });
    }
    const { factors } = confirmedFactors(scores);
    const client = `client-${rng.below(clients)}`;
    feed(this.#account, { responseId: `${id}`, promptId: `${id}`, client, own, operator: AUDITORS[first]!, factors });
    const { stage } = standingOf(this.#account);
    if (stage === 'slash') this.#fault = 'model_substitution';
    else if (stage === 'quarantine') this.#isQuarantined = true;
    else this.#passed++;
  }
}

const grossShares = new WeakMap<readonly Answer[], number>();

function grossShareOf(answers: readonly Answer[]): number {
  const known = grossShares.get(answers) ?? answers.filter(({ isGross }) => isGross).length / answers.length;
  grossShares.set(answers, known);
  return known;
}

/** @param rng decides everything that happens */
export function live(world: World, strategy: Strategy, rng: FastRng): Life {
  return new ProviderLife(world, strategy, rng).live();
}
