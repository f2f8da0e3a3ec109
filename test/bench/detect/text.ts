/** Text of every cheat with what the honest reference says about it; kept on disk, so that another calibration costs judging alone. */
import path from 'node:path';
import {
  generateAll,
  type Order,
  type ResponseEvidence,
  scoreAll,
  type Transcript,
} from '../../../provider/calibrate/corpus.ts';
import type { Engine } from '../../../provider/engine/engine.ts';

/** One response: what was ordered, the evidence that its provider sealed, and a scorer's. */
export interface ScoredText extends Transcript {
  readonly scored: ResponseEvidence;
}

/** Responses that are kept together: what a run that is cut off loses, and what a larger one adds to. */
const PART = 64;

export interface TextPlace {
  readonly workFolder: string;
  /** Of the text. */
  readonly name: string;
}

/** Writes and scores; reads what an earlier run had. The first of many orders are the orders of a smaller run. */
export async function scoredTexts(
  engines: { readonly writer: Engine; readonly scorer: Engine },
  orders: readonly Order[],
  { workFolder, name }: TextPlace,
): Promise<ScoredText[]> {
  const all: ScoredText[] = [];
  for (let from = 0; from < orders.length; from += PART) {
    const some = orders.slice(from, from + PART);
    const placeOf = (kind: string) => ({ folder: path.join(workFolder, name, `${kind} ${from}`) });
    const parts = generateAll(engines.writer, some, placeOf('text'));
    for await (const { transcripts, scores } of scoreAll(engines.scorer, parts, placeOf('score'))) {
      all.push(...transcripts.map((transcript, at) => ({ ...transcript, scored: scores[at]! })));
    }
  }
  return all;
}
