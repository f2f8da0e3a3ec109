/** The shipped calibration as SPEC chapter 7 has it: the wider figures of both directions of each pair of engines. Pure. */
import type { Calibration, PairCalibration } from '#protocol/calibration';
import { rounded, tableOf } from './markdown.ts';

/** Engines with options of their own are told of in words. */
const PLAIN = /^(ort|ort-wasm|llamacpp)-v?[\d.]+\/cpu\/(fp32|fp16)\//;

export function calibrationTable({ pairs }: Pick<Calibration, 'pairs'>): string {
  const plain = pairs.filter(({ generator, scorer }) => PLAIN.test(generator) && PLAIN.test(scorer));
  const classes = [...new Set(plain.map(({ generator }) => generator))];
  const rows = classes.flatMap((one, at) =>
    classes.slice(at).map((other) => {
      const both = plain.filter(
        ({ generator, scorer }) => (generator === one && scorer === other) || (generator === other && scorer === one),
      );
      return [`${shortName(one)}, ${shortName(other)}`, ...cellsOf(both)];
    }),
  );
  return tableOf(
    [
      'pair',
      'largest range',
      'median',
      '`tie`',
      '`border`',
      '`reject`',
      '`gross`',
      'design effect',
      'positions',
      'bound beyond the clip',
    ],
    rows,
  );
}

function cellsOf(directions: readonly PairCalibration[]): string[] {
  const widest = (of: (pair: PairCalibration) => number) => rounded(Math.max(...directions.map(of)));
  const positions = directions.reduce((sum, { near, apart }) => sum + near.positions + apart.positions, 0);
  return [
    widest(({ quantiles }) => quantiles.at(-1)!.range),
    widest(({ quantiles }) => quantiles.find(({ share }) => share === 0.5)!.range),
    widest(({ tie }) => tie),
    widest(({ border }) => border),
    widest(({ reject }) => reject),
    widest(({ gross }) => gross),
    widest(({ designEffect }) => designEffect),
    String(positions),
    widest(({ apart }) => apart.survival.at(-1)!.upper),
  ];
}

function shortName(numericClass: string): string {
  const [, engine, dtype] = PLAIN.exec(numericClass)!;
  return `${engine === 'llamacpp' ? 'llama.cpp' : engine} ${dtype}`;
}
