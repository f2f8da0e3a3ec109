/** Trials of scorers: scores whose answer is known, made from transcripts that held (spec-judge.md §7.13). Pure. */
import { LOGIT_SCALE, MARGIN_CLIP, type ShortEvidence, type TokenEvidence } from '#protocol/evidence';
import { trialShape } from '#protocol/jackpot';
import type { Sampling } from '#protocol/sampling';
import type { Tolerances } from './classes.ts';
import { OFF_POSITIONS_MIN } from './convict.ts';
import { type DistanceOrder, evidenceDistance } from './evidence-distance.ts';
import { judgeScore } from './score.ts';

/** A token is replaced only where every other one lost by this many logits: twice the clip, so that no machine may accept any. */
const EDIT_GAP_Q16 = 2 * MARGIN_CLIP * LOGIT_SCALE;

/** A transcript that held. */
export interface HeldTranscript {
  readonly tokens: readonly number[];
  /** By member that wrote it: runner-up and gap of every position. */
  readonly shortEvidence: readonly (readonly ShortEvidence[])[];
  readonly sampling: Sampling;
  readonly eosIds: readonly number[];
  /** Tokens up to the end of each chunk of a stream: where real orders end. Audits score the whole: then none. */
  readonly chunkEnds: readonly number[];
  /** Of the policy: what orders about such a choice look like. */
  readonly mode: string;
}

/** One order of a trial. */
export interface TrialPart {
  /** What an honest scorer says. */
  readonly answer: 'accept' | 'reject';
  readonly tokens: readonly number[];
}

/**
 * The orders of one trial: one transcript as for a witness, whole or cut after a chunk; or two, as for a split; of an audited answer
 * one that is whole, as for an audit. They are what real orders are, so that nothing but the model tells a scorer what is right.
 * @param number draws a number below a bound, by a word of its own
 */
export function trialOf(held: HeldTranscript, number: (word: string, below: number) => number): TrialPart[] {
  const ends = [...held.chunkEnds.filter((end) => end < held.tokens.length), held.tokens.length];
  const tokens = held.tokens.slice(0, ends[number('end', ends.length)]);
  const genuine: TrialPart = { answer: 'accept', tokens };
  const edits = editsOf(held, tokens.length);
  if (edits.length === 0) return [genuine];
  const { position, id } = edits[number('edit', edits.length)]!;
  const edited: TrialPart = { answer: 'reject', tokens: tokens.map((token, at) => (at === position ? id : token)) };
  return trialShape(held.mode, number).map((order) => (order === 'edited' ? edited : genuine));
}

/** Where the runner-up, the likeliest of all wrong tokens, is certainly wrong. Top-k and top-p may have dropped a better one: never there. */
function editsOf({ tokens, shortEvidence, sampling, eosIds }: HeldTranscript, end: number) {
  const { temperature, topK, topP } = sampling;
  if (temperature > 0 && (topK !== 0 || topP !== 1)) return [];
  const [first, ...others] = shortEvidence;
  if (first === undefined) return [];
  return Array.from({ length: end }, (_, position) => position).flatMap((position) => {
    const short = first[position];
    if (short === undefined || eosIds.includes(tokens[position]!) || eosIds.includes(short[0])) return [];
    const [id] = short;
    const isSure = [short, ...others.map((member) => member[position])].every(
      (each) => each !== undefined && each[0] === id && each[1] >= EDIT_GAP_Q16,
    );
    return isSure && id !== tokens[position] ? [{ position, id }] : [];
  });
}

/** One order with what the referee and the scorer on trial said to it. */
export interface JudgedPart extends TrialPart {
  readonly reference: readonly TokenEvidence[];
  readonly scored: readonly TokenEvidence[];
}

/** How two scorers' classes may differ: the scorer on trial from the member that claims the tokens, and from the referee. */
export interface TrialTolerances {
  readonly member: Tolerances | null;
  readonly referee: Tolerances | null;
}

/**
 * `wrong`: it accepts an edited transcript or rejects a genuine one, or its logits are far off the referee's, as those of a scorer that
 * has computed another model or nothing. `unsure`: it abstained, or the pair is uncalibrated; then nothing is learned.
 */
export function judgeTrial(
  parts: readonly JudgedPart[],
  order: { readonly sampling: Sampling; readonly seed: bigint },
  { member, referee }: TrialTolerances,
): 'right' | 'wrong' | 'unsure' {
  if (member === null || referee === null || parts.length === 0) return 'unsure';
  const votes = parts.map(({ tokens, scored }) => judgeScore({ ...order, tokens }, scored, member)?.vote ?? 'abstain');
  const isLie = parts.some(({ answer }, at) => votes[at] !== 'abstain' && votes[at] !== answer);
  if (isLie || parts.some((part) => isFarOff(part, order, referee.gross))) return 'wrong';
  return votes.includes('abstain') ? 'unsure' : 'right';
}

/** The rule by which one response convicts a member (7.6 (a)): at three positions or more, at all of fewer. */
function isFarOff({ reference, scored, tokens }: JudgedPart, order: DistanceOrder, gross: number): boolean {
  const off = scored.filter((own, position) => {
    const known = reference[position];
    return known !== undefined && evidenceDistance({ position, own, scored: known }, order) > gross;
  }).length;
  return off > 0 && off >= Math.min(OFF_POSITIONS_MIN, tokens.length);
}
