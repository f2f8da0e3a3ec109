/**
 * `npm run bench:honest`: honest engines of every calibrated class write and score fresh text; prints what judges make of it. Text and
 * scores are kept in the work folder, so that a run that is stopped goes on.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Calibration, pairOf, parseCalibration } from '#protocol/calibration';
import { parseCommandLine } from '#protocol/command-line';
import { GREEDY } from '#protocol/sampling';
import { generateAll, type Order, readTexts, scoreAll, tokensOf } from '../../../provider/calibrate/corpus.ts';
import { type EngineChoice, openEngine, parseEngineChoice } from '../../../provider/calibrate/engine-choice.ts';
import { drawn, drawPrompts } from '../../../provider/calibrate/orders.ts';
import type { Engine } from '../../../provider/engine/engine.ts';
import { type HonestColumn, HonestTally } from './honest-column.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const SEED = 'honest column';
const TOKENS_PER_RESPONSE = 64;

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
const responses = Number(setting('responses', '3200'));
const pairResponses = Number(setting('pair-responses', String(responses)));
const choices = setting('classes', 'model.onnx,model_fp16.onnx').split(',').map(parseEngineChoice) as EngineChoice[];

/** Fresh seeds: nothing of it was measured when the calibration was made. A third is greedy. */
const orders: Order[] = drawPrompts(prompts, responses, SEED).map((promptIds, at) => ({
  promptIds,
  sampling: { ...GREEDY, temperature: drawn(`${SEED} temperature ${at}`) % 3n === 0n ? 0 : 1 },
  seed: drawn(`${SEED} seed ${at}`, 8),
  maxTokens: TOKENS_PER_RESPONSE,
}));

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
const columns: HonestColumn[] = [];
for (const scorer of choices) {
  await withEngine(scorer, async (engine) => {
    for (const generator of choices) {
      const pair = pairOf(calibration, classes.get(generator)!, engine.info.numericClass);
      if (pair === null) {
        console.log(`${generator.name} by ${scorer.name}: uncalibrated`);
        continue;
      }
      const tally = new HonestTally(pair);
      const text = readTexts(sharedOrders([generator, scorer]), textOf(generator));
      const store = { folder: path.join(workFolder, `${generator.name}_by_${scorer.name}`) };
      for await (const { transcripts, scores } of scoreAll(engine, text, store)) {
        for (const [at, transcript] of transcripts.entries()) {
          const { sampling, seed } = transcript.order;
          tally.add({ tokens: tokensOf(transcript), sampling, seed }, scores[at]!);
        }
      }
      columns.push(tally.column());
      console.log(JSON.stringify(tally.column()));
    }
  });
}
const out = values.get('out');
if (out !== undefined) {
  const provenance = {
    tokensPerResponse: TOKENS_PER_RESPONSE,
    runtime: `Node ${process.version}`,
    machine: os.cpus()[0]?.model,
  };
  writeFileSync(out, `${JSON.stringify({ provenance, columns }, null, 2)}\n`);
}
