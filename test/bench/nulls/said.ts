/** What the README and SPEC chapter 7 say about honest providers in simulation, made of a record word for word. Pure. */
import { grouped, rounded, tableOf } from '../markdown.ts';
import type { NullsRecord } from './record.ts';

/** @returns the README's sentence: the worst of all scenarios at each level, by the upper end of its interval */
export function nullsSentence({ nulls, results, copies }: NullsRecord): string {
  const worst = (at: number) => rounded(Math.max(...results.map(({ levels }) => levels[at]!.interval[1])));
  const slash = rounded(Math.max(...results.map((row) => row.slash.interval[1])));
  const copied = copies.at(-1)!;
  return (
    `in ${results.length} simulations of honest providers that are as bad as their calibration allows, with clients that look for near-ties and a provider that buys its own easy requests, ${grouped(nulls)} each and watched to their worst moment, ` +
    `wealth came to 10^2 with probability ${worst(0)} at most (allowed: 0.01), to 10^3 with ${worst(1)} (0.001), to 10^6 with ${slash} (0.000001; upper ends of 95% intervals, the last by importance sampling); ` +
    `for copies alone chance would have to strike ${copied.coincidences} times in ${grouped(copied.rounds)} rounds, ${rounded(copied.bound)}`
  );
}

/** @returns the specification's table */
export function nullsTable({ results, copies }: NullsRecord): string {
  const cell = ([low, high]: readonly [number, number]) => `${rounded(low)} to ${rounded(high)}`;
  return tableOf(
    ['honest provider', 'responses', 'ever 10^2', 'ever 10^3', 'ever 10^6'],
    [
      ['allowed', '', '0.01', '0.001', '0.000001'],
      ...results.map(({ scenario, responses, levels, slash }) => [
        scenario,
        String(responses),
        ...levels.map(({ interval }) => cell(interval)),
        cell(slash.interval),
      ]),
      ['copies', grouped(copies[0]!.rounds), ...copies.map(({ bound }) => `at most ${rounded(bound)}`)],
    ],
  );
}
