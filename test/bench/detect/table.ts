/** The record of a run, and the tables that people read; the README has the first of them, word for word. Pure. */
import type { HonestColumn } from '../honest/honest-column.ts';
import { honestTable, OPTIONS_SENTENCE } from '../honest/table.ts';
import { grouped, tableOf } from '../markdown.ts';
import type { Delay } from './accounts.ts';
import { aimOf, forgedSentence } from './aims.ts';
import type { LiarRow } from './liars.ts';
import type { Row } from './rows.ts';
import type { Capture, Structural } from './structural.ts';

export interface DetectRecord {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  readonly command: string;
  /** Name by hash, and what it was measured on. */
  readonly calibration: string;
  readonly floors: readonly Floor[];
  readonly lengths: { readonly tokensMean: number; readonly tokensMedian: number; readonly tokensMax: number };
  readonly sizes: { readonly paths: number; readonly responsesMax: number };
  readonly rows: readonly Row[];
  readonly structural: readonly Structural[];
  readonly liars: readonly LiarRow[];
  readonly captures: readonly Capture[];
}

/** What a calibration expects of an honest token at the least: evidence is what is above it. */
export interface Floor {
  readonly pair: string;
  readonly responses: number;
  readonly near: number;
  readonly apart: number;
  /** Mean of what honest text of this pair was expected to count for, and did. */
  readonly expected: number;
  readonly observed: number;
}

const percent = (share: number) => `${Number((100 * share).toPrecision(2))}%`;

function delay(value: Delay): string {
  return value === null ? 'not' : `${grouped(value.tokens)} (${grouped(value.responses)})`;
}

function tokens(value: Delay): string {
  return value === null ? 'not' : grouped(value.tokens);
}

/** Medians, and the 95th percentile after a slash: what a reader wants first. */
export function mainTable({ rows }: Pick<DetectRecord, 'rows'>): string {
  const head = [
    'cheat',
    'T',
    'other tokens',
    'one answer rejected, convicts',
    'quarantine',
    'slash',
    'slash, 95%',
    '10^6 without caps',
    'aim',
  ];
  return tableOf(
    head,
    rows.map((row) => {
      const { title, temperature, otherChoice, rejected, convicted, quarantine, slash, bare } = row;
      return [
        title,
        String(temperature),
        percent(otherChoice),
        `${percent(rejected)}, ${percent(convicted)}`,
        delay(quarantine.median),
        delay(slash.median),
        delay(slash.p95),
        tokens(bare.median),
        aimOf(row) === null ? '' : `${grouped(aimOf(row)!)}`,
      ];
    }),
  );
}

/** Cheats of the README's table, in its order. */
const SHOWN = [
  'smaller_model',
  'wrong_seed',
  'replay',
  'int4',
  'int8',
  'cooler',
  'warmer',
  'hidden_prompt',
  'cut_prompt',
  'early_end',
  'drafts',
  'mixed',
  'mixed_tenth',
  'some_seeds',
  'forged',
  'raised',
  'steer_far',
  'steer_tie',
  'fp16',
  'fp16_kv',
  'honest',
] as const;

/** The README's: T = 1, with the slash at T = 0 beside it. */
export function readmeTable({ rows }: Pick<DetectRecord, 'rows'>): string {
  const head = [
    'provider',
    'one answer convicts',
    'quarantine',
    'slash',
    'slash, 95%',
    'slash at T = 0',
    '10^6 without caps',
  ];
  const rowOf = (cheat: string, temperature: 0 | 1) =>
    rows.find((row) => row.cheat === cheat && row.temperature === temperature);
  return tableOf(
    head,
    SHOWN.map((cheat) => {
      const row = rowOf(cheat, 1)!;
      const greedy = rowOf(cheat, 0);
      return [
        row.title,
        percent(row.convicted),
        delay(row.quarantine.median),
        delay(row.slash.median),
        delay(row.slash.p95),
        greedy === undefined ? '–' : delay(greedy.slash.median),
        tokens(row.bare.median),
      ];
    }),
  );
}

/** Everything that `mainTable` leaves out about the same rows. */
export function detailTable({ rows }: Pick<DetectRecord, 'rows'>): string {
  const head = [
    'cheat',
    'T',
    'responses',
    'tokens',
    'mean margin',
    'quarantine, 95%',
    'reached, quarantine and slash',
    '10^6 uncapped, by responses',
    '10^6 without caps, 95%',
  ];
  return tableOf(
    head,
    rows.map((row) => [
      row.title,
      String(row.temperature),
      grouped(row.responses),
      grouped(row.tokens),
      row.meanMargin.toPrecision(2),
      delay(row.quarantine.p95),
      `${percent(row.quarantine.reached)}, ${percent(row.slash.reached)}`,
      delay(row.uncapped.median),
      tokens(row.bare.p95),
    ]),
  );
}

export function structuralTable({ structural }: Pick<DetectRecord, 'structural'>): string {
  const at = (found: Delay) => (found === null ? 'not' : String(found.responses));
  const takes = ({ check, trials, rounds }: Structural) => {
    if (trials !== undefined) return `${at(trials.quarantine.median)} trials; shown after ${at(trials.lying.median)}`;
    if (rounds === undefined) return check === null ? 'not found' : '1 answer';
    const { quarantine, slash } = rounds;
    return `quarantine after ${at(quarantine.median)} such rounds (95%: ${at(quarantine.p95)}), slash after ${at(slash.median)} (${at(slash.p95)})`;
  };
  return tableOf(
    ['attack', 'stopped by', 'cases', 'of them show it', 'takes'],
    structural.map((row) => [row.attack, row.check ?? 'nothing', grouped(row.cases), percent(row.caught), takes(row)]),
  );
}

export function liarTable({ liars }: Pick<DetectRecord, 'liars'>): string {
  return tableOf(
    ['scorers that lie', 'quarantine', 'slash', 'accounts that came to it'],
    liars.map(({ attack, quarantine, slash }) => [
      attack,
      delay(quarantine.median),
      delay(slash.median),
      `${percent(quarantine.reached)}, ${percent(slash.reached)}`,
    ]),
  );
}

export function captureTable({ captures }: Pick<DetectRecord, 'captures'>): string {
  const policies = [...new Set(captures.map(({ policy }) => policy))];
  const shares = [...new Set(captures.map(({ share }) => share))];
  return tableOf(
    ['requests whose wrong answer is served', ...shares.map((share) => `${percent(share)} collude`)],
    policies.map((policy) => [
      policy,
      ...captures.filter((one) => one.policy === policy).map(({ probability }) => percent(probability)),
    ]),
  );
}

export function floorTable({ floors }: Pick<DetectRecord, 'floors'>): string {
  return tableOf(
    ['pair', 'responses', 'bound beyond the clip: near-ties, others', 'expected of this text', 'observed'],
    floors.map(({ pair, responses, near, apart, expected, observed }) => [
      pair,
      grouped(responses),
      `${near.toPrecision(2)}, ${apart.toPrecision(2)}`,
      expected.toPrecision(2),
      observed.toPrecision(2),
    ]),
  );
}

/** The page beside the record. @param columns the newest record's of honest machines */
export function page(record: DetectRecord, columns: readonly HonestColumn[]): string {
  const { date, commit, machine, command, calibration, lengths, sizes } = record;
  return `# What the judge detects, ${date.slice(0, 10)}

Commit ${commit}, ${machine}, \`${command}\`, calibration \`${calibration}\`. Answers have ${lengths.tokensMean.toFixed(1)} tokens on average (median
${lengths.tokensMedian}, at most ${lengths.tokensMax}), half to chat prompts of the evaluation set, half running text. ${sizes.paths} orders of the same responses; an account is
left after ${grouped(sizes.responsesMax)} responses ("not"). Tokens of evidence, responses in brackets, medians where nothing else is said.

${mainTable(record)}

${forgedSentence(record.rows)}.

${detailTable(record)}

${structuralTable(record)}

${liarTable(record)}

${captureTable(record)}

Honest machines, from the newest record of \`npm run bench:honest\`:

${honestTable(columns)}

${OPTIONS_SENTENCE}.

${floorTable(record)}
`;
}
