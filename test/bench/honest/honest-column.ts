/** What judges make of honest text of one class, scored by another: the honest column beside detections. Pure. */
import type { PairCalibration } from '#protocol/calibration';
import type { TokenEvidence } from '#protocol/evidence';
import { openAccount } from '#protocol/evidence-account';
import { tokenTerm } from '../../../gateway/judge/compensator.ts';
import { judgeResponse } from '../../../gateway/judge/judge-response.ts';
import { judgeScore, type ScoredTranscript } from '../../../gateway/judge/score.ts';

export interface HonestColumn {
  readonly generator: string;
  readonly scorer: string;
  readonly tokens: number;
  readonly responses: number;
  /** Tokens that the scorer would not have taken itself. */
  readonly otherChoice: number;
  readonly largestMargin: number;
  /** Mean margin over the clip, and the mean that the calibration allows an honest token: evidence is what lies between. */
  readonly meanMargin: number;
  readonly meanAllowed: number;
  /** Votes on whole responses. */
  readonly accepted: number;
  readonly abstained: number;
  readonly rejected: number;
  /** Largest wealth that all responses in a row made, and how often it came to a quarantine (the account then begins anew) or a slash. */
  readonly wealthMax: number;
  readonly quarantines: number;
  readonly slashes: number;
}

type Counts = { -readonly [K in Exclude<keyof HonestColumn, 'generator' | 'scorer'>]: number };

/** Clients that the responses are spread over. */
const CLIENTS = 50;

/** Gathers one pair's column, response by response. */
export class HonestTally {
  readonly #pair: PairCalibration;
  #account = openAccount();
  #observed = 0;
  #allowed = 0;
  readonly #counts: Counts = {
    tokens: 0,
    responses: 0,
    otherChoice: 0,
    largestMargin: 0,
    meanMargin: 0,
    meanAllowed: 0,
    accepted: 0,
    abstained: 0,
    rejected: 0,
    wealthMax: 0,
    quarantines: 0,
    slashes: 0,
  };

  constructor(pair: PairCalibration) {
    this.#pair = pair;
  }

  /** @throws {Error} where evidence is void: then it was not an honest scorer's */
  add(claimed: ScoredTranscript, evidence: readonly TokenEvidence[]): void {
    const counts = this.#counts;
    const judgement = judgeScore(claimed, evidence, this.#pair);
    if (judgement === null) throw new Error('the evidence of an honest scorer is void');
    counts.responses++;
    counts.tokens += claimed.tokens.length;
    counts[({ accept: 'accepted', abstain: 'abstained', reject: 'rejected' } as const)[judgement.vote]]++;
    counts.largestMargin = Math.max(counts.largestMargin, judgement.largestMargin);
    this.#observed += judgement.meanMargin * claimed.tokens.length;
    const { sampling, seed } = claimed;
    for (const [position, item] of evidence.entries()) {
      if (item.top[0]![0] !== item.chosen) counts.otherChoice++;
      this.#allowed += tokenTerm(item, { sampling, seed, position }, this.#pair).expected;
    }
    this.#bet(claimed, evidence);
  }

  /** Two operators see every response alike: whatever is surprising is confirmed, and both halves grow. */
  #bet(claimed: ScoredTranscript, evidence: readonly TokenEvidence[]): void {
    const counts = this.#counts;
    const id = String(counts.responses);
    const isEven = counts.responses % 2 === 0;
    const scored = { claimed, evidence, bounds: this.#pair };
    const { wealth, stage } = judgeResponse(this.#account, {
      responseId: id,
      promptId: id,
      client: `client ${counts.responses % CLIENTS}`,
      own: isEven,
      scores: (isEven ? ['a', 'b'] : ['b', 'a']).map((operator) => ({ ...scored, operator })),
    });
    counts.wealthMax = Math.max(counts.wealthMax, wealth);
    if (stage === 'clear') return;
    counts.quarantines++;
    if (stage === 'slash') counts.slashes++;
    this.#account = openAccount();
  }

  column(): HonestColumn {
    const { generator, scorer } = this.#pair;
    const { tokens } = this.#counts;
    const mean = (sum: number) => (tokens === 0 ? 0 : sum / tokens);
    return { generator, scorer, ...this.#counts, meanMargin: mean(this.#observed), meanAllowed: mean(this.#allowed) };
  }
}
