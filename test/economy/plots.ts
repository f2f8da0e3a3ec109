/** The simulation's results as plots. */
import type { Economy } from './economy.ts';
import { AIMS, multipleOf } from './prices.ts';
import { type Plot, type Series, svgOf } from './svg.ts';

function grouped<T>(
  rows: readonly T[],
  nameOf: (row: T) => string,
  pointOf: (row: T) => [number, number],
  style: Series['style'],
): Series[] {
  const names = [...new Set(rows.map(nameOf))];
  return names.map((name) => ({ name, style, points: rows.filter((row) => nameOf(row) === name).map(pointOf) }));
}

/** Tokens of a prompt for each of the answer in the plot of shapes: half octaves from 1 / 8 to 128. */
const RATIOS = Array.from({ length: 21 }, (_, k) => 2 ** (k / 2 - 3));
/** Tokens of the answer there: enough that a nano says nothing. */
const LONG_ANSWER = 100_000;

function byRatio(ppm: number): (readonly [number, number])[] {
  return RATIOS.map((ratio) => [
    ratio,
    multipleOf({ inputTokens: Math.round(LONG_ANSWER * ratio), outputTokens: LONG_ANSWER }, ppm),
  ]);
}

/** Answers of which pay is retained in the plot of prices. */
const RETAINED = 200;

/** File names without their ending, and their SVG. */
export function plotsOf(result: Economy, note: string): (readonly [name: string, svg: string])[] {
  const { thresholds, prices, shapes, leaks, collusion, exits, sybils } = result;
  const [{ newPpm, recordPpm }] = shapes as [(typeof shapes)[number]];
  const late = prices.filter(({ payDelay }) => payDelay === RETAINED);
  const bare = prices.filter(({ payDelay, table }) => payDelay === 0 && table === 'and int8');
  const rates = thresholds.map(({ predictedPpm }) => predictedPpm / 1e6);
  const ends = [Math.min(...rates), Math.max(...rates)];
  const plots: (readonly [string, Omit<Plot, 'note'>])[] = [
    [
      'thresholds',
      {
        title: 'Audit rate at which cheating stops to pay',
        x: { title: 'predicted by the equilibrium', isLog: true },
        y: { title: 'simulated', isLog: true },
        series: [
          ...grouped(
            thresholds,
            ({ cheat, payDelay }) => (payDelay === 0 ? cheat : `${cheat}, pay retained`),
            (row) => [row.predictedPpm / 1e6, row.simulatedPpm / 1e6],
            'points',
          ),
          { name: 'equal', style: 'line', points: ends.map((end) => [end, end] as const) },
        ],
      },
    ],
    [
      'prices',
      {
        title: 'Price of an audited answer over a single one, prompt as long as the answer',
        x: { title: 'stake, in prices of an answer', isLog: true },
        y: { title: 'price multiple' },
        series: [
          ...grouped(
            late,
            ({ table }) => `${table}, new`,
            (row) => [row.stake, row.newMultiple],
            'line',
          ),
          ...grouped(
            late,
            ({ table }) => `${table}, record`,
            (row) => [row.stake, row.recordMultiple],
            'line',
          ),
          ...grouped(
            bare,
            ({ table }) => `${table}, record, no pay retained`,
            (row) => [row.stake, row.recordMultiple],
            'line',
          ),
        ],
        marks: [
          { y: AIMS.newMultiple, name: `aim ${AIMS.newMultiple}` },
          { y: AIMS.recordMultiple, name: `aim ${AIMS.recordMultiple} with a record` },
        ],
      },
    ],
    [
      'shapes',
      {
        title: 'Price of an audited answer by the lengths of prompt and answer',
        x: { title: 'tokens of the prompt for each of the answer', isLog: true },
        y: { title: 'price multiple at a stake of 100 answers' },
        series: [
          { name: `new, rate ${newPpm / 1e4}%`, style: 'line', points: byRatio(newPpm) },
          { name: `with a record, rate ${recordPpm / 1e4}%`, style: 'line', points: byRatio(recordPpm) },
        ],
        marks: [
          { y: AIMS.newMultiple, name: `aim ${AIMS.newMultiple}` },
          { y: AIMS.recordMultiple, name: `aim ${AIMS.recordMultiple} with a record` },
        ],
      },
    ],
    [
      'leaks',
      {
        title: 'Profit of a cheat that is told who is audited',
        x: { title: 'probability that the hint is right (0.5: none)' },
        y: { title: 'profit, in prices of an answer' },
        series: [
          { name: 'smaller model', style: 'line', points: leaks.map((row) => [row.accuracy, row.profit] as const) },
        ],
        marks: [{ y: 0, name: 'pays above' }],
      },
    ],
    [
      'collusion',
      {
        title: 'Profit of a cheat by the share of accomplices among auditors',
        x: { title: 'probability that the auditor is an accomplice' },
        y: { title: 'profit, in prices of an answer' },
        series: [
          {
            name: 'smaller model',
            style: 'line',
            points: collusion.map((row) => [row.collusion, row.profit] as const),
          },
        ],
        marks: [{ y: 0, name: 'pays above' }],
      },
    ],
    [
      'exits',
      {
        title: 'Profit of leaving before the conviction',
        x: { title: 'answers before it leaves', isLog: true },
        y: { title: 'profit, in prices of an answer' },
        series: grouped(
          exits,
          ({ cheat, stake, unbonding, payDelay }) =>
            `${cheat}, stake ${stake}, unbonding ${unbonding}, ${payDelay} retained`,
          (row) => [row.leavesAfter, row.profit],
          'line',
        ),
        marks: [{ y: 0, name: 'pays above' }],
      },
    ],
    [
      'sybils',
      {
        title: 'Profit of one stake under several names',
        x: { title: 'names', isLog: true },
        y: { title: 'profit of all, in prices of an answer' },
        series: sybils.map(({ strategy, rows }) => ({
          name: strategy,
          style: 'line' as const,
          points: rows.map((row) => [row.identities, row.profit] as const),
        })),
        marks: [{ y: 0, name: 'pays above' }],
      },
    ],
  ];
  return plots.map(([name, plot]) => [name, svgOf({ ...plot, note })] as const);
}
