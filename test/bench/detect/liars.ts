/** Accounts in which scorers lie: against the honest, and for their accomplices. */
import type { PairCalibration } from '#protocol/calibration';
import { responseFactors } from '../../../gateway/judge/factors.ts';
import { tokensOf } from '../../../provider/calibrate/corpus.ts';
import type { Engine } from '../../../provider/engine/engine.ts';
import { SeededRng } from '../../simulation/seeded-rng.ts';
import { accountPath, type PathOptions, type Spread, spreadOf } from './accounts.ts';
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

/** Operators of scorers: of two, one is half of everything. */
const OPERATORS = 5;

interface LiarOptions {
  readonly attack: string;
  readonly paths: number;
  readonly responsesMax: number;
  readonly heard: NonNullable<PathOptions['heard']>;
}

function liarRow(texts: readonly JudgedText[], { attack, paths, responsesMax, heard }: LiarOptions): LiarRow {
  const all = Array.from({ length: paths }, (_, i) =>
    accountPath(texts, new SeededRng(`${attack} ${i}`), { responsesMax, operators: OPERATORS, heard }),
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
  const sizes = { paths, responsesMax };
  const rowsOf = (attack: string, texts: readonly JudgedText[], lie: (text: JudgedText) => readonly number[]) =>
    [1, 2, OPERATORS].map((liars) => {
      const heard = (text: JudgedText, operator: number) => (operator <= liars ? lie(text) : text.factors);
      return liarRow(texts, { attack: `${liars} of ${OPERATORS} operators' scorers ${attack}`, ...sizes, heard });
    });
  return [
    ...rowsOf('slander an honest provider', honest, slander),
    ...rowsOf('praise a provider of int4', cheat, praise),
  ];
}
