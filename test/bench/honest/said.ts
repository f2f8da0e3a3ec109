/** What the README and SPEC chapter 7 say about honest machines, made of a record word for word. Pure. */
import { grouped } from '../markdown.ts';
import type { HonestColumn } from './honest-column.ts';

/** Tokens that every pair of engines should have judged of each other, and of the engines that take five times as long and more. */
export const HONEST_AIM = { tokens: 1_000_000, slowTokens: 200_000, slow: /^(ort-wasm|llamacpp)-/ } as const;

const counted = (count: number, one: string, many = `${one}s`) =>
  `${count === 0 ? 'no' : grouped(count)} ${count === 1 ? one : many}`;
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** Tokens that a pair should have. */
export function honestAimOf({ generator, scorer }: Pick<HonestColumn, 'generator' | 'scorer'>): number {
  return [generator, scorer].some((name) => HONEST_AIM.slow.test(name)) ? HONEST_AIM.slowTokens : HONEST_AIM.tokens;
}

/** @returns the README's sentence: how much was judged, what came of it, and how many pairs are short of what they should have */
export function honestSentence(columns: readonly HonestColumn[]): string {
  const of = (field: 'tokens' | 'responses' | 'quarantines' | 'slashes' | 'abstained' | 'rejected') =>
    columns.map((column) => column[field]);
  const tokens = of('tokens');
  const short = columns.filter((column) => column.tokens < honestAimOf(column)).length;
  const refused = sum([...of('abstained'), ...of('rejected')]);
  return (
    `${grouped(sum(tokens))} tokens in ${grouped(sum(of('responses')))} answers of ${columns.length} pairs, from ${grouped(Math.min(...tokens))} to ${grouped(Math.max(...tokens))} a pair: ` +
    `${counted(sum(of('quarantines')), 'quarantine')}, ${counted(sum(of('slashes')), 'slash', 'slashes')}, ${counted(refused, 'answer')} that a judge did not accept; ` +
    `a pair should have ${grouped(HONEST_AIM.tokens)} (${grouped(HONEST_AIM.slowTokens)} with WebAssembly or llama.cpp), and ${short === 0 ? 'all of them do' : `${short} of ${columns.length} have fewer`}`
  );
}

/** @returns the specification's: the same, with how far the closest came to being taken for something else */
export function honestDetail(columns: readonly HonestColumn[]): string {
  const largest = (numbers: readonly number[]) => Math.max(...numbers).toPrecision(2);
  const other = 100 * Math.max(...columns.map(({ otherChoice, tokens }) => otherChoice / tokens));
  return (
    `${honestSentence(columns)}. The largest wealth was ${largest(columns.map(({ wealthMax }) => wealthMax))}, the largest margin ${largest(columns.map(({ largestMargin }) => largestMargin))}; ` +
    `of no pair's tokens would the scorer have taken more than ${Number(other.toPrecision(2))}% otherwise`
  );
}
