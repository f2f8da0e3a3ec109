/**
 * `npm run bench:honest`: honest engines of every calibrated class write and score fresh text; prints what judges make of it. Text and
 * scores are kept in the work folder, so that a run that is stopped goes on.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Calibration, calibrationHash, pairOf, parseCalibration } from '#protocol/calibration';
import { parseCommandLine } from '#protocol/command-line';
import { GREEDY, type Sampling } from '#protocol/sampling';
import {
  generateAll,
  type Order,
  PART_RESPONSES,
  readTexts,
  type ScoredPart,
  scoreAll,
  tokensOf,
} from '../../../provider/calibrate/corpus.ts';
import { type EngineChoice, openEngine, parseEngineChoice } from '../../../provider/calibrate/engine-choice.ts';
import { drawn, drawPrompts } from '../../../provider/calibrate/orders.ts';
import type { Engine } from '../../../provider/engine/engine.ts';
import { provenance } from '../gateway/provenance.ts';
import { type HonestColumn, HonestTally } from './honest-column.ts';

/** What a run writes. */
export interface HonestRecord {
  readonly calibration: string;
  readonly columns: readonly (HonestColumn & {
    readonly date: string;
    /** Of the machine, mean of five minutes: what makes a run slow changes nothing in it. */
    readonly load: number;
  })[];
  readonly [about: string]: unknown;
}

const ROOT = path.resolve(import.meta.dirname, '../../..');
const SEED = 'honest column';
const SAMPLED: Sampling = { ...GREEDY, temperature: 1 };
/** One part in so many follows prompts of any length, the others short ones: an engine then spends less of its time on prompts. */
const ANY_LENGTH_EVERY = 2;
/** A third is greedy. */
const ANY_LENGTH = { answerTokensMax: 64, samplings: [GREEDY, SAMPLED, SAMPLED] };
/** There are fewer short prompts than responses: a greedy answer would come again and again. */
const SHORT = {
  promptTokensMax: 48,
  answerTokensMax: 128,
  samplings: [
    ...[SAMPLED, SAMPLED, { ...SAMPLED, temperature: 0.7 }],
    ...[
      { ...SAMPLED, topK: 40 },
      { ...SAMPLED, topP: 0.9 },
    ],
  ],
};

const APART =
  'All seeds are drawn from "honest column"; those of the calibration are drawn from its --seed, "1" by default. Both draw prompts from one list. A greedy answer depends on its ' +
  'prompt alone: one whose prompt the calibration drew too, greedy, begins with the few tokens that were measured there.';

const { values } = parseCommandLine(process.argv.slice(2), {
  valued: ['model', 'calibration', 'prompts', 'classes', 'responses', 'pair-responses', 'work', 'out'],
  switches: [],
});
const setting = (flag: string, fallback: string): string => values.get(flag) ?? fallback;

const modelFolder = setting('model', path.join(ROOT, 'provider/models/minnow/dist/minnow-5m'));
const workFolder = setting('work', path.join(os.tmpdir(), 'assay-honest'));
const prompts = JSON.parse(
  readFileSync(setting('prompts', path.join(ROOT, 'provider/models/minnow/eval/prompts.json')), 'utf8'),
) as number[][];
const calibration = parseCalibration(JSON.parse(readFileSync(values.get('calibration')!, 'utf8'))) as Calibration;
const responses = wholeParts(Number(setting('responses', '3200')));
const pairResponses = wholeParts(Number(setting('pair-responses', String(responses))));
const origin = provenance();
const choices = setting('classes', 'model.onnx,model_fp16.onnx').split(',').map(parseEngineChoice) as EngineChoice[];

/** Fresh seeds: nothing of it was measured when the calibration was made. */
const orders: Order[] = ordersOf(responses / PART_RESPONSES);

function ordersOf(parts: number): Order[] {
  const anyParts = Math.ceil(parts / ANY_LENGTH_EVERY);
  const any = drawOrders(prompts, anyParts, SEED, ANY_LENGTH);
  const short = prompts.filter(({ length }) => length <= SHORT.promptTokensMax);
  const others = drawOrders(short, parts - anyParts, `${SEED} short`, SHORT);
  return Array.from({ length: parts }, (_, part) =>
    (part % ANY_LENGTH_EVERY === 0 ? any : others).splice(0, PART_RESPONSES),
  ).flat();
}

function drawOrders(
  list: readonly number[][],
  parts: number,
  seedText: string,
  { answerTokensMax, samplings }: { readonly answerTokensMax: number; readonly samplings: readonly Sampling[] },
): Order[] {
  return drawPrompts(list, parts * PART_RESPONSES, seedText).map((promptIds, at) => ({
    promptIds,
    sampling: samplings[Number(drawn(`${seedText} temperature ${at}`)) % samplings.length]!,
    seed: drawn(`${seedText} seed ${at}`, 8),
    maxTokens: answerTokensMax,
  }));
}

/** Parts are kept whole: what two runs share must be cut at the same places. */
function wholeParts(count: number): number {
  return Math.ceil(count / PART_RESPONSES) * PART_RESPONSES;
}

async function withEngine(choice: EngineChoice, work: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = await openEngine(modelFolder, choice, workFolder);
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}

/** The first engine against itself gets all of them, the other pairs the first ones. */
function sharedOrders(pair: readonly EngineChoice[]): Order[] {
  return orders.slice(0, pair.every((choice) => choice === choices[0]) ? responses : pairResponses);
}

const textOf = (choice: EngineChoice) => ({ folder: path.join(workFolder, `${choice.name}_text`) });
const classes = new Map<EngineChoice, string>();
for (const choice of choices) {
  await withEngine(choice, async (engine) => {
    classes.set(choice, engine.info.numericClass);
    for await (const part of generateAll(engine, sharedOrders([choice]), textOf(choice))) {
      console.log(`${choice.name}: ${part.length} responses more`);
    }
  });
}
const columns: HonestRecord['columns'][number][] = [];
for (const scorer of choices) {
  await withEngine(scorer, async (engine) => {
    for (const generator of choices) {
      const pair = pairOf(calibration, classes.get(generator)!, engine.info.numericClass);
      if (pair === null) {
        console.log(`${generator.name} by ${scorer.name}: uncalibrated`);
        continue;
      }
      const shared = sharedOrders([generator, scorer]);
      const known = generator === choices[0] ? undefined : scoresBy(engine, scorer, choices[0]!, shared);
      const tally = new HonestTally(pair);
      for await (const { transcripts, scores } of scoresBy(engine, scorer, generator, shared, known)) {
        for (const [at, transcript] of transcripts.entries()) {
          const { sampling, seed } = transcript.order;
          tally.add({ tokens: tokensOf(transcript), sampling, seed }, scores[at]!);
        }
      }
      columns.push({ ...tally.column(), date: new Date().toISOString(), load: Math.round(os.loadavg()[1]!) });
      console.log(JSON.stringify(tally.column()));
      writeColumns();
    }
  });
}

/** Kept under the names of both. */
function scoresBy(
  engine: Engine,
  scorer: EngineChoice,
  generator: EngineChoice,
  some: readonly Order[],
  known?: AsyncIterator<ScoredPart>,
): AsyncGenerator<ScoredPart, void, void> {
  const store = { folder: path.join(workFolder, `${generator.name}_by_${scorer.name}`) };
  return scoreAll(engine, readTexts(some, textOf(generator)), store, known);
}

/** After every pair: a run that is cut keeps the pairs that it has. Pairs that only an earlier run measured stay in the file. */
function writeColumns(): void {
  const out = values.get('out');
  if (out === undefined) return;
  const nameOf = ({ generator, scorer }: HonestColumn) => `${generator} by ${scorer}`;
  const measured = new Set(columns.map(nameOf));
  const earlier = existsSync(out) ? (JSON.parse(readFileSync(out, 'utf8')) as HonestRecord).columns : [];
  const record: HonestRecord = {
    ...origin,
    calibration: calibrationHash(calibration),
    texts: {
      partOf: PART_RESPONSES,
      anyLengthEvery: ANY_LENGTH_EVERY,
      anyLength: ANY_LENGTH,
      short: SHORT,
      apart: APART,
    },
    columns: [...earlier.filter((column) => !measured.has(nameOf(column))), ...columns],
  };
  writeFileSync(out, `${JSON.stringify(record, null, 2)}\n`);
}
