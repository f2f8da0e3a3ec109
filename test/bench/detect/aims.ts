/** What the judge was built to reach, and what of it the newest records are short of: the README says it word for word. Pure. */
import type { HonestColumn } from '../honest/honest-column.ts';
import { HONEST_AIM, honestAimOf } from '../honest/said.ts';
import { grouped } from '../markdown.ts';
import type { ScoreFigures } from '../score/said.ts';
import type { Row } from './rows.ts';

/** Most tokens to wealth 10^6 at T = 1, without caps. */
const TOKENS_MAX: Readonly<Record<string, number>> = {
  smaller_model: 20,
  wrong_seed: 40,
  replay: 40,
  int4: 120,
  hidden_prompt: 350,
  cut_prompt: 350,
  cooler: 500,
  int8: 2_000,
  warmer: 2_000,
  some_seeds: 20_000,
};
/** Of what generating the same tokens costs. */
const SCORE_SHARE_MAX = 0.15;
/** Beyond the tokens themselves, when nobody asks for more. */
const EVIDENCE_BYTES_MAX = 8;
/** Cheats that one answer has to convict, wherever the judge rejects it at all. */
const FORGED: Readonly<Record<string, string>> = {
  forged: 'forged evidence',
  raised: 'forged evidence with raised tokens',
};

/** The newest record of each bench. */
export interface AimedRecords {
  readonly rows: readonly Row[];
  readonly score: ScoreFigures;
  readonly columns: readonly HonestColumn[];
}

export function aimOf({ cheat, temperature }: Pick<Row, 'cheat' | 'temperature'>): number | null {
  return temperature === 1 ? (TOKENS_MAX[cheat] ?? null) : null;
}

const percent = (share: number) => `${Number((100 * share).toPrecision(3))}%`;

/** @returns the README's sentences: all aims, and those that are not met */
export function aimSentence(records: AimedRecords): string {
  const short = [...shortRows(records), ...shortForgeries(records), ...shortCosts(records), ...shortColumns(records)];
  return (
    'The aims that this was built to (minnow-5m, T = 1, without caps): smaller model 20 tokens, wrong seed 40, int4 120, hidden or cut prompt 350, 0.7 for 1 500, int8 and 1.1 for 1 2,000, 1% wrong seeds 20,000; ' +
    `forged evidence in one answer; a score ${percent(SCORE_SHARE_MAX)} of a generation; ${EVIDENCE_BYTES_MAX} bytes of evidence a token; ${grouped(HONEST_AIM.tokens)} tokens of every honest pair, ${grouped(HONEST_AIM.slowTokens)} of slow ones, without a quarantine. ` +
    `Short of its aim: ${short.length === 0 ? 'nothing' : short.join('; ')}.`
  );
}

function shortRows({ rows }: AimedRecords): string[] {
  return rows.flatMap((row) => {
    const aim = aimOf(row);
    const tokens = row.bare.median?.tokens ?? Number.POSITIVE_INFINITY;
    if (aim === null || tokens <= aim) return [];
    return [`${row.title} (${row.bare.median === null ? 'not found' : `${grouped(tokens)} tokens`})`];
  });
}

function shortForgeries({ rows }: AimedRecords): string[] {
  return rows.flatMap((row) => {
    const [{ rejected, convicted }, name] = [countsOf(row), FORGED[row.cheat]];
    if (name === undefined || convicted === rejected) return [];
    return [
      `${name} at T = ${row.temperature} (${rejected - convicted} of ${rejected} rejected answers do not convict)`,
    ];
  });
}

function shortCosts({ score: { engine, bytesPerToken, gateway } }: AimedRecords): string[] {
  const { alone, fourAtOnce } = engine.scoreOverGenerate;
  const costs = [
    ['a score', alone],
    ['a score in a batch of four', fourAtOnce],
    ['a witness through the gateway', gateway.witnessOverSingle.mean],
  ] as const;
  const bytes = bytesPerToken.shortEvidenceInReveal;
  return [
    ...costs.flatMap(([what, share]) =>
      share > SCORE_SHARE_MAX ? [`${what} (${percent(share)} of a generation)`] : [],
    ),
    ...(bytes > EVIDENCE_BYTES_MAX ? [`evidence (${bytes} bytes a token)`] : []),
  ];
}

function shortColumns({ columns }: AimedRecords): string[] {
  const few = columns.filter((column) => column.tokens < honestAimOf(column)).map(({ tokens }) => tokens);
  const accused = columns.filter(({ quarantines, slashes }) => quarantines + slashes > 0);
  return [
    ...(few.length === 0
      ? []
      : [`${few.length} honest pairs of ${columns.length} (${grouped(Math.min(...few))} tokens or more)`]),
    ...accused.map(({ generator, scorer }) => `${generator} by ${scorer} (accused although honest)`),
  ];
}

/** Answers by themselves, of shares that records carry. */
export function countsOf({ responses, rejected, convicted }: Pick<Row, 'responses' | 'rejected' | 'convicted'>) {
  return { rejected: Math.round(rejected * responses), convicted: Math.round(convicted * responses) };
}

/** @returns the README's sentence on evidence that is forged: how often one answer convicts, and why the others do not */
export function forgedSentence(rows: readonly Row[]): string {
  const [forged, raised] = Object.keys(FORGED).map(
    (cheat) => rows.find((row) => row.cheat === cheat && row.temperature === 1)!,
  );
  const [prefilled, lifted] = [countsOf(forged!), countsOf(raised!)];
  return (
    `Of ${forged!.responses} answers under forged evidence the judge rejects ${prefilled.rejected}, and ${prefilled.convicted} of these convict by themselves (${lifted.convicted} of ${lifted.rejected} with raised tokens); ` +
    "in the others the small model's tokens are the real one's own, or within what is tolerated"
  );
}
