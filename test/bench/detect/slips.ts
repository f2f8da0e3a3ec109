/** Figures inside sentences of the README and SPEC chapter 7: what slips through, and copies; made of a record word for word. Pure. */
import { grouped, rounded } from '../markdown.ts';
import type { DetectRecord } from './table.ts';

type Found = Pick<DetectRecord, 'rows' | 'liars' | 'structural'>;

/** @returns phrases of the README's paragraph on what slips through */
export function slipPhrases({ rows, liars }: Found): string[] {
  const rowOf = (cheat: string) => rows.find((row) => row.cheat === cheat && row.temperature === 1)!;
  const [int8, wider] = [rowOf('int8'), rowOf('int8_as_fp16')].map(({ slash }) => slash.median!.tokens);
  const changed = (cheat: string) => {
    const { meanMargin, otherChoice, tokens } = rowOf(cheat);
    if (otherChoice === 0) return `not one of ${grouped(tokens)} tokens changed`;
    return `margins of 1/${grouped(Number(rounded(rowOf('int8').meanMargin / meanMargin)))} of int8's`;
  };
  const slander = liars.find(({ attack }) => attack.startsWith('2 of 5') && attack.includes('slander'))!;
  return [
    `a seed-aware provider may steer ${rounded(100 * rowOf('steer_tie').otherChoice)}% of all tokens`,
    `fp16 activations (${changed('fp16')}) or an fp16 cache (${changed('fp16_kv')}) where fp32 was promised`,
    `int8 that claims fp16 reaches a slash after ${grouped(wider!)} tokens in place of ${grouped(int8!)}`,
    `two lying scorers of five raise an honest provider's account to a slash after some ${slander.slash.median!.responses} answers`,
  ];
}

/** @returns the specification's: how soon who copies is found */
export function copiesPhrase({ structural }: Found): string {
  const { rounds, caught, cases } = structural.find((row) => row.rounds !== undefined)!;
  const { median, p95 } = rounds!.quarantine;
  return (
    `it is put into quarantine after ${median!.responses} such rounds (95%: within ${p95!.responses}). ` +
    `Of ${cases} answers at T = 1 (\`npm run bench:detect\`) a round may follow ${rounded(100 * caught)}%, those that chance does not write twice`
  );
}
