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
  /** Tokens up to the ends of real orders: of a witnessed answer those that its witnesses were asked about, of others each chunk of a stream; of audits, which score the whole, none. */
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

type DrawNumber = (word: string, below: number) => number;

/**
 * The orders of one trial: of a witnessed answer those that a witness has, in their order; of an audited one one that is whole, as for an audit;
 * else one, whole or cut after a chunk, or two, as for a split. They are what real orders are, so that nothing but the model tells a scorer what is right.
 * @param number draws a number below a bound, by a word of its own
 */
export function trialOf(held: HeldTranscript, number: DrawNumber): TrialPart[] {
  const ends = [...held.chunkEnds.filter((end) => end < held.tokens.length), held.tokens.length];
  if (held.mode === 'witnessed') return panelOrders(held, ends, number);
  const tokens = held.tokens.slice(0, ends[number('end', ends.length)]);
  const genuine: TrialPart = { answer: 'accept', tokens };
  const edits = editsOf(held, tokens.length);
  if (edits.length === 0) return [genuine];
  const { position, id } = edits[number('edit', edits.length)]!;
  const edited: TrialPart = { answer: 'reject', tokens: tokens.map((token, at) => (at === position ? id : token)) };
  return trialShape(held.mode, number).map((order) => (order === 'edited' ? edited : genuine));
}

/**
 * What a witness is asked after every chunk: all that is open by then. A planted error stands in the last of them, as that of a generator which goes
 * wrong there; every pass is as likely, so that none can be taken on trust.
 */
function panelOrders(held: HeldTranscript, ends: readonly number[], number: DrawNumber): TrialPart[] {
  const passes = ends.map((end): TrialPart => ({ answer: 'accept', tokens: held.tokens.slice(0, end) }));
  const edits = editsOf(held, held.tokens.length);
  if (edits.length === 0 || trialShape(held.mode, number)[0] === 'genuine') return passes;
  const byPass = ends
    .map((end, at) => ({
      at,
      end,
      own: edits.filter(({ position }) => position >= (ends[at - 1] ?? 0) && position < end),
    }))
    .filter(({ own }) => own.length > 0);
  const { at, end, own } = byPass[number('end', byPass.length)]!;
  const { position, id } = own[number('edit', own.length)]!;
  const wrong = held.tokens.slice(0, end).map((token, place) => (place === position ? id : token));
  return [...passes.slice(0, at), { answer: 'reject', tokens: wrong }];
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
