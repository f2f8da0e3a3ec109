/** What README and THREAT-MODEL say of the simulation, made of its records word for word. Pure. */
import { grouped } from '../bench/markdown.ts';
import type { Economy } from './economy.ts';
import type { HonestCounts, StretchedCounts } from './honest.ts';

export interface HonestEconomy {
  readonly honest: readonly HonestCounts[];
  readonly stretched: readonly StretchedCounts[];
  readonly headroom: number;
}

const counted = (count: number, one: string, many = `${one}s`) =>
  `${count === 0 ? 'no' : grouped(count)} ${count === 1 ? one : many}`;
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
const multiple = (value: number) => value.toFixed(3).replace(/0$/, '');
const percent = (share: number) => `${Number((100 * share).toPrecision(2))}%`;
const amount = (value: number) => `${Number(value.toPrecision(2))}`.replace('-', '−');
const gain = ({ profit, half }: { readonly profit: number; readonly half: number }) =>
  `${amount(profit)} ± ${amount(half)}`;
const listed = (words: readonly string[]) =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;

const README = 'README.md';
const THREATS = 'contracts/protocol/THREAT-MODEL.md';

/** All of it, by the file that has to say it. */
export function economySaid(
  economy: Economy,
  honest: HonestEconomy,
): { readonly file: string; readonly text: string }[] {
  return [
    { file: README, text: priceSentence(economy) },
    { file: README, text: honestSentence(honest) },
    ...[shapesSentence, withinSentence, thresholdSentence, gridSentence, auditorsSentence, copyingSentence].map(
      (sentence) => ({ file: THREATS, text: sentence(economy) }),
    ),
    { file: THREATS, text: singleSentence(honest) },
  ];
}

/** @returns the README's sentence on the price: of an even shape, of which shapes stay within the aims, and of the worst */
export function priceSentence({ shapes, ratioLimits: { newRatio, recordRatio } }: Economy): string {
  const even = shapes.find(({ ratio }) => ratio === 1)!;
  const worst = shapes.at(-1)!;
  return (
    `${multiple(even.newMultiple)} times the price of a single answer for a new provider and ${multiple(even.recordMultiple)} for one with a record where the prompt is as long as the answer; ` +
    `prompts of up to ${newRatio} times the answer's length stay under 1.15, of up to ${recordRatio} under 1.05, longer ones do not ` +
    `(${grouped(worst.inputTokens)} tokens and an answer of ${worst.outputTokens}: ${multiple(worst.newMultiple)} and ${multiple(worst.recordMultiple)})`
  );
}

/** @returns every shape of THREAT-MODEL, with what is paid beside the multiple */
export function shapesSentence({ shapes }: Economy): string {
  const rows = shapes.map(
    ({ inputTokens, outputTokens, newMultiple, recordMultiple }) =>
      `${grouped(inputTokens)}/${outputTokens} ${multiple(newMultiple)} and ${multiple(recordMultiple)}`,
  );
  const even = shapes.find(({ ratio }) => ratio === 1)!;
  const worst = shapes.at(-1)!;
  return (
    `tokens of prompt and answer, new and with a record: ${rows.join(', ')}. Beside it the provider pays each of its two examinations, ${amount(even.examination)} answers of a week's 400 (${amount(worst.examination)} of the longest prompt), ` +
    `and the gateway's reserve the trials of scorers with their prizes, ${percent(even.newTrials)} and ${percent(even.recordTrials)} of an answer's price (${percent(worst.newTrials)} and ${percent(worst.recordTrials)})`
  );
}

/** @returns how often what one half of the recorded answers predicts came true of the other */
export function withinSentence({ within }: Economy): string {
  const short = within.filter(({ high }) => high < 0.95);
  const late = short.map(({ cheat, share, predictedBy }) => `${cheat} ${percent(share)} by half ${predictedBy + 1}`);
  const later = within.filter(({ quarantined }) => quarantined > 0.2);
  const names = [...new Set(later.map(({ cheat }) => cheat))];
  const most = later.map(({ quarantined }) => quarantined);
  const judged = within.filter(({ convicted }) => convicted < 0.95);
  return (
    `${within.length - short.length} of ${within.length} predictions hold by the interval of ${within[0]!.runs} lives${short.length === 0 ? '' : ` (not: ${late.join(', ')})`}; on average ${percent(sum(within.map(({ share }) => share)) / within.length)} of the lives are convicted or in quarantine within, ` +
    `${percent(sum(within.map(({ convicted }) => convicted)) / within.length)} convicted by then and ${percent(sum(within.map(({ quarantined }) => quarantined)) / within.length)} in quarantine, which stops what they earn and, by witnessed requests of the gateway's own, ends at a slash for ${percent(sum(within.map(({ probed }) => probed)) / sum(within.map(({ quarantined }) => quarantined)))} of these. ` +
    `In ${judged.length} of ${within.length} predictions fewer than 95% are convicted by then; of ${listed(names)} quarantine stops ${percent(Math.min(...most))} to ${percent(Math.max(...most))}`
  );
}

/** @returns on which side of their intervals predicted thresholds lie */
export function thresholdSentence({ thresholds }: Economy): string {
  const on = (side: string) => thresholds.filter((row) => row.side === side);
  const cheatsOf = (side: string) => {
    const rows = on(side);
    const names = [...new Set(rows.map(({ cheat }) => cheat))];
    return names.map((name) => `${name} ${rows.filter(({ cheat }) => cheat === name).length}`);
  };
  const below = on('below').map(({ low, predictedPpm }) => low / predictedPpm - 1);
  const tooLow =
    below.length === 0
      ? 'in none below it'
      : `in ${below.length} below it, too low by ${percent(Math.min(...below))} to ${percent(Math.max(...below))} at least (${listed(cheatsOf('below'))})`;
  return (
    `In ${on('inside').length} of ${thresholds.length} cases the predicted rate lies within the interval of the lives, in ${on('above').length} above it, where it deters more than it needs to` +
    `${on('above').length === 0 ? '' : ` (${listed(cheatsOf('above'))})`}, and ${tooLow}`
  );
}

/** @returns where in the grid the best strategy wins */
export function gridSentence({ grid }: Economy): string {
  const wins = grid.filter((cell) => cell.gain - cell.half > 0);
  const open = grid.filter((cell) => cell.gain - cell.half <= 0 && cell.gain + cell.half >= 0);
  const byRate = [...new Set(grid.map(({ ratePpm }) => ratePpm))].map((ppm) => {
    const all = grid.filter(({ ratePpm }) => ratePpm === ppm);
    const most = all.reduce((best, cell) => (cell.gain > best.gain ? cell : best));
    const won = all.filter((cell) => wins.includes(cell)).length;
    return `at ${ppm / 1e4}% in ${won} of ${all.length}, at most ${amount(most.gain)} ± ${amount(most.half)} (${most.strategy}, stake ${most.stake}, ${Math.round(most.collusion * 100)}% accomplices)`;
  });
  return `The best strategy wins in ${wins.length} of ${grid.length} cells, and nobody can tell in ${open.length}: ${byRate.join('; ')}`;
}

/** @returns what auditors win that do not look, and accomplices that pass one another */
export function auditorsSentence({ lazyAuditors, companies }: Economy): string {
  const lazy = lazyAuditors
    .filter(({ share }) => share === 1)
    .map(
      ({ ratePpm, orders, before, half, total }) =>
        `at a rate of ${ratePpm / 1e4}% after ${Math.round(orders)} orders with ${amount(before)} ± ${amount(half)} scores won (${amount(total)} where the prizes are counted that it would have had of 5,000 orders)`,
    );
  const most = lazyAuditors.reduce((best, row) => (row.before > best.before ? row : best));
  const honestly = companies.filter(({ strategy }) => strategy === 'honest');
  const passing = honestly.map(({ accomplices, profit }) => `${amount(profit)} for ${accomplices}`);
  const cheating = companies.filter(({ strategy }) => strategy !== 'honest');
  const winning = cheating.filter(({ profit, half }) => profit - half > 0);
  const won = winning.map((row) => `${row.strategy} of ${row.accomplices}: ${gain(row)}`);
  return (
    `who says that all is fine is in quarantine ${lazy.join(', ')}; the most that any wins is ${amount(most.before)} ± ${amount(most.half)} scores, on ${percent(most.share)} of its orders at ${most.ratePpm / 1e4}%, where ${percent(most.quarantined)} are in quarantine by then. Accomplices that pass one another unseen and answer honestly save the scores, which nothing finds and nobody is harmed by: of 4,000 answers at 15% ${listed(passing)} of thirty, in prices of an answer each; ` +
    `who cheats on that wins by it ${winning.length === 0 ? 'in none of the tried companies' : `in ${listed(won)}`}`
  );
}

/** @returns what copying wins at the stake of the aim */
export function copyingSentence({ contests }: Economy): string {
  const at = (name: string) =>
    contests.find(({ strategy, stake, payDelay }) => strategy === name && stake === 100 && payDelay === 400)!;
  return `Copying wherever a fifth of the prompts is known and half of the requests are at temperature 0 wins ${gain(at('copying'))}; copying at temperature 0 alone, which writes what the model would have written, wins ${gain(at('copying at temperature 0 alone'))} of 4,000 answers and is not found`;
}

/** @returns the README's sentence on honest providers */
export function honestSentence({ honest }: HonestEconomy): string {
  const rows = honest.filter(({ ranges }) => ranges === 'measured');
  const bounds = honest.filter(({ ranges }) => ranges === 'bounds');
  const of = (
    some: readonly HonestCounts[],
    field: 'audits' | 'quarantined' | 'slashed' | 'convicting' | 'providers',
  ) => sum(some.map((row) => row[field]));
  return (
    `Of honest providers of ${rows.length} measured pairs of engines, ${counted(of(rows, 'slashed'), 'account')} came to a slash and ${counted(of(rows, 'quarantined'), 'account')} into quarantine in ${grouped(of(rows, 'audits'))} audits, and ${counted(of(rows, 'convicting'), 'answer')} convicted by themselves; ` +
    `of ${grouped(of(bounds, 'providers'))} whose machines differ by all that calibrations allow, ${counted(of(bounds, 'slashed'), 'account')} came to a slash and ${counted(of(bounds, 'quarantined'), 'account')} into quarantine in ${grouped(of(bounds, 'audits'))}`
  );
}

/** @returns what convictions by one answer rest on */
export function singleSentence({ honest, stretched, headroom }: HonestEconomy): string {
  const bounds = honest.filter(({ ranges }) => ranges === 'bounds');
  const share = sum(bounds.map(({ convicting }) => convicting)) / sum(bounds.map(({ audits }) => audits));
  const isSeen = ({ rejected }: StretchedCounts) => rejected > 0;
  const none = stretched.filter((row) => !isSeen(row)).map(({ stretch }) => stretch);
  const wider = stretched
    .filter(isSeen)
    .map(
      ({ stretch, rejected, convicting, answers }) =>
        `${stretch} times as far ${percent(rejected / answers)} would be rejected and ${percent(convicting / answers)} convicted`,
    );
  return (
    `The largest difference of logits ever measured between two machines is ${Math.floor(headroom)} times below the clip, of which three tokens convict. Were machines ${none.length === 0 ? '' : `up to ${Math.max(...none)} times as far apart, none of ${grouped(stretched[0]!.answers)} answers would be rejected; `}${wider.join(', ')}. ` +
    `What calibrations cannot exclude, for want of responses, lies beyond: taken at their bounds, ${percent(share)} of the answers would convict`
  );
}
