/** Accounts in which scorers lie: against the honest, and for their accomplices. */
import type { PairCalibration } from '#protocol/calibration';
import { responseFactors } from '../../../gateway/judge/factors.ts';
import { tokensOf } from '../../../provider/calibrate/corpus.ts';
import type { Engine } from '../../../provider/engine/engine.ts';
import { SeededRng } from '../../simulation/seeded-rng.ts';
import { accountPath, type Heard, type PathOptions, type Spread, spreadOf } from './accounts.ts';
import type { JudgedText } from './judged.ts';
import type { ScoredText } from './text.ts';

export interface LiarRow {
  readonly attack: string;
  readonly quarantine: Spread;
  readonly slash: Spread;
}

/** Factors by a scorer that computes another model, of each text. */
export async function liarFactors(
  texts: readonly ScoredText[],
  liar: Engine,
  pair: PairCalibration,
): Promise<(readonly number[])[]> {
  const scored = await Promise.all(texts.map((text) => liar.score({ ...text.order, outputIds: tokensOf(text) })));
  return texts.map((text, at) => {
    const { sampling, seed } = text.order;
    return responseFactors({
      claimed: { tokens: tokensOf(text), sampling, seed },
      evidence: scored[at]!,
      bounds: pair,
    })!;
  });
}

interface LiarOptions {
  readonly attack: string;
  readonly paths: number;
  readonly responsesMax: number;
  readonly hear: NonNullable<PathOptions['hear']>;
}

function liarRow(texts: readonly JudgedText[], { attack, paths, responsesMax, hear }: LiarOptions): LiarRow {
  const all = Array.from({ length: paths }, (_, i) =>
    accountPath(texts, new SeededRng(`${attack} ${i}`), { responsesMax, hear }),
  );
  return {
    attack,
    quarantine: spreadOf(all.map(({ quarantine }) => quarantine)),
    slash: spreadOf(all.map(({ slash }) => slash)),
  };
}

export interface Liars {
  readonly honest: readonly JudgedText[];
  /** What a lying scorer makes of each of them. */
  readonly slandered: readonly (readonly number[])[];
  /** A cheat's, and what an honest provider's of the same orders would be: what an accomplice says. */
  readonly cheat: readonly JudgedText[];
  readonly paths: number;
  readonly responsesMax: number;
}

export function liarRows({ honest, slandered, cheat, paths, responsesMax }: Liars): LiarRow[] {
  const places = new Map(honest.map((text, at) => [text, at]));
  const slander = (text: JudgedText) => slandered[places.get(text)!]!;
  const praise = (text: JudgedText) => honest[cheat.indexOf(text) % honest.length]!.factors;
  const oneLies =
    (lie: (text: JudgedText) => readonly number[]) =>
    (text: JudgedText, operator: number): Heard =>
      operator === 0
        ? { text, first: lie(text), confirming: text.factors }
        : { text, first: text.factors, confirming: lie(text) };
  const bothLie =
    (lie: (text: JudgedText) => readonly number[]) =>
    (text: JudgedText): Heard => ({ text, first: lie(text), confirming: lie(text) });
  const sizes = { paths, responsesMax };
  return [
    liarRow(honest, { attack: 'one of two scorers slanders an honest provider', ...sizes, hear: oneLies(slander) }),
    liarRow(honest, { attack: 'both scorers slander an honest provider', ...sizes, hear: bothLie(slander) }),
    liarRow(cheat, { attack: 'one of two scorers praises a provider of int4', ...sizes, hear: oneLies(praise) }),
    liarRow(cheat, { attack: 'both scorers praise a provider of int4', ...sizes, hear: bothLie(praise) }),
  ];
}
