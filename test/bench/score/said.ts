/** What the README says a score costs, made of a record word for word. Pure. */
import { rounded } from '../markdown.ts';

/** What `bench:score` records, as far as documents tell of it. */
export interface ScoreFigures {
  readonly engine: {
    readonly scoreOverGenerate: {
      readonly alone: number;
      readonly fourAtOnce: number;
      readonly runOfFourAtOnce: number;
    };
  };
  readonly bytesPerToken: { readonly shortEvidenceInReveal: number; readonly evidenceInScoreReply: number };
  readonly gateway: { readonly witnessOverSingle: { readonly mean: number } };
}

/** Records have tenths of a percent; half of one goes up. */
const percent = (share: number) => `${Math.round(Math.round(1000 * share) / 10)}%`;

/** @returns phrases of the README's paragraph on costs */
export function costPhrases({ engine, bytesPerToken, gateway }: ScoreFigures): string[] {
  const { alone, fourAtOnce, runOfFourAtOnce } = engine.scoreOverGenerate;
  const { shortEvidenceInReveal, evidenceInScoreReply } = bytesPerToken;
  return [
    `A score of minnow-5m takes ${percent(alone)} of the processor time of generating the same tokens alone, and ${percent(fourAtOnce)} of what they take in a batch of four`,
    `its run by itself, whose arithmetic no company makes cheaper, is ${percent(runOfFourAtOnce)}.`,
    `Through the gateway a witness adds ${percent(gateway.witnessOverSingle.mean)} to an answer of one seat`,
    `a reveal carries ${rounded(shortEvidenceInReveal)} bytes of evidence a token, a score's reply ${Math.round(evidenceInScoreReply)}.`,
  ];
}
