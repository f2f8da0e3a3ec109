/** What a policy buys, in numbers that follow from the network's state: the `assay-security` header (DESIGN §9). Pure. */
import type { Snapshot } from '#protocol/draw';
import type { Address } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import { REJECTIONS_NEEDED, type Vote } from '#protocol/voices';
import { decideWitnessed } from '#protocol/witnessed';
import { type Ballot, decide } from '../judge/decide.ts';

/** Share of the operators that is assumed to collude when the capture probability is quoted. */
export const COLLUDING_SHARE = 0.2;
/** Digits of the quoted probability; it is rounded up, so that no policy claims to be safe from everything. */
const PROBABILITY_SCALE = 1000;

/**
 * Probability that colluders get a wrong answer served, if each operator colludes with probability `share`, by the very
 * rule that decides splits. Worst case: they give one wrong answer, no honest member finds an excuse to join it, two
 * fresh scorers can be had, and no referee. One honest seat splits a committee; then the fresh scorers must collude too.
 * @param n seats, 1 to 15 @param agree seats that must stand behind the answer @param share 0 to 1
 */
export function captureProbability(n: number, agree: number, share: number): number {
  let captured = 0;
  let choose = 1;
  for (let colluders = 0; colluders <= n; colluders++) {
    if (colluders > 0) choose = (choose * (n - colluders + 1)) / colluders;
    const seats = choose * share ** colluders * (1 - share) ** (n - colluders);
    if (colluders === 0) continue;
    for (let lying = 0; lying <= REJECTIONS_NEEDED; lying++) {
      const scorers = share ** lying * (1 - share) ** (REJECTIONS_NEEDED - lying) * (lying === 1 ? 2 : 1);
      if (isCaptured(n, agree, colluders, lying)) captured += seats * scorers;
    }
  }
  return captured;
}

/** The colluders' cluster comes first; colluding scorers accept it alone, honest ones the other alone. */
function isCaptured(n: number, agree: number, colluders: number, lying: number): boolean {
  const clusters = colluders === n ? [n] : [colluders, n - colluders];
  const ballots = Array.from({ length: REJECTIONS_NEEDED }, (_, i): Ballot => {
    const lies = i < lying;
    return { operator: `scorer-${i}`, referee: false, votes: [lies ? 'accept' : 'reject', lies ? 'reject' : 'accept'] };
  });
  const state = { n, agree, clusters, ballots: [], moreScorers: true, moreReferee: false };
  const first = decide(state);
  const end = first.step === 'ask_scorers' ? decide({ ...state, ballots }) : first;
  return end.step === 'serve' && end.behind.includes(0);
}

/** Stake of the seats that is at risk, in nano-units, capped as the draw caps it. */
export function stakeAtRiskNano(snapshot: Snapshot, seats: readonly Address[]): bigint {
  return snapshot.entries
    .filter((entry) => seats.includes(entry.address))
    .reduce((sum, entry) => sum + BigInt(entry.stakeNano), 0n);
}

/**
 * The same where one seat generates and n - 1 score: the generator lies, colluding witnesses accept, honest ones reject, and
 * of the two members that are asked then each lies with the same probability.
 */
export function witnessedCaptureProbability(n: number, agree: number, share: number): number {
  let captured = 0;
  const votes = n - 1 + REJECTIONS_NEEDED;
  for (let pattern = 0; pattern < 2 ** votes; pattern++) {
    const cast = Array.from({ length: votes }, (_, at): Vote => ((pattern >> at) & 1 ? 'accept' : 'reject'));
    if (!isWitnessedCapture(n, agree, cast)) continue;
    const lying = cast.filter((vote) => vote === 'accept').length;
    captured += share ** lying * (1 - share) ** (votes - lying);
  }
  return share * captured;
}

function isWitnessedCapture(n: number, agree: number, cast: readonly Vote[]): boolean {
  const state = { n, agree, moreScorers: true, referee: null, moreReferee: false };
  for (let asked = n - 1; ; asked++) {
    const decision = decideWitnessed({ ...state, votes: cast.slice(0, asked), moreScorers: asked < cast.length });
    if (decision.step !== 'ask_scorers') return decision.step === 'serve';
  }
}

/** At most one for every mode, n and agree, so some hundred. */
const probabilities = new Map<string, number>();

function knownProbability({ mode, n, agree }: Policy): number {
  const key = `${mode}/${n}/${agree}`;
  const probabilityOf = mode === 'witnessed' ? witnessedCaptureProbability : captureProbability;
  const known = probabilities.get(key) ?? probabilityOf(n, agree, COLLUDING_SHARE);
  probabilities.set(key, known);
  return known;
}

/**
 * Header members, all known before anything is generated.
 * @param priceMultiple the quote over that of one seat alone
 */
export function securityOf(
  policy: Policy,
  snapshot: Snapshot,
  seats: readonly Address[],
  priceMultiple: number,
): Readonly<Record<string, string | number>> {
  const probability = knownProbability(policy);
  return {
    seats: policy.n,
    agree: policy.agree,
    stake_at_risk_nano: stakeAtRiskNano(snapshot, seats).toString(),
    colluding_share: COLLUDING_SHARE,
    capture_probability: Math.ceil(probability * PROBABILITY_SCALE - 1e-9) / PROBABILITY_SCALE,
    price_multiple: priceMultiple,
    finality_seconds: 0,
  };
}
