/** Runs honest engines of several classes over the same prompts and measures how far they differ, pair by pair (spec-judge.md §7.2). */
import path from 'node:path';
import { type Calibration, type PairCalibration, TIE_MAX } from '#protocol/calibration';
import { measurePair, type PositionDifference, positionDifference, widestOf } from '#protocol/measure-pair';
import type { Engine } from '../engine/engine.ts';
import {
  generateAll,
  type Order,
  ordersHash,
  PART_RESPONSES,
  readTexts,
  type ScoredPart,
  scoreAll,
  type Transcript,
} from './corpus.ts';
import { type EngineChoice, openEngine } from './engine-choice.ts';
import { drawPrompts, inventPrompts, minedOrders, ordersFor, shuffled } from './orders.ts';
import type { PartStore } from './part-file.ts';

/** How many responses each kind of pair is measured by: the first of the same orders, in whole parts. */
export interface ResponseCounts {
  /** The first engine by itself. */
  readonly reference: number;
  /** Every other pair with the first engine. */
  readonly withReference: number;
  /** Pairs of the others. */
  readonly others: number;
  /** Pairs of an engine of `also`. */
  readonly also: number;
}

export interface CalibrationPlan {
  readonly modelFolder: string;
  /** The first one invents the prompts and finds the near-ties. */
  readonly choices: readonly EngineChoice[];
  /** Engines that are measured against the first and themselves alone. */
  readonly also: readonly EngineChoice[];
  /** Prompts that were given, as token ids; may be empty. */
  readonly given: readonly (readonly number[])[];
  readonly counts: ResponseCounts;
  /** Responses of any pair at most: they are mixed, so that a first part of them is a fair sample. */
  readonly first: number;
  readonly tokensPerResponse: number;
  /** Error of each pair. */
  readonly delta: number;
  /** What all seeds are drawn from. */
  readonly seedText: string;
  /** Where texts and scores are kept between runs. */
  readonly workFolder: string;
}

export interface Measured {
  readonly pairs: readonly PairCalibration[];
  /** Class pairs that are too far apart for any tolerance. */
  readonly tooFar: readonly string[];
  readonly promptsHash: `0x${string}`;
  readonly prompts: Readonly<Record<string, number>>;
}

/** Of all responses one in eight is mined, where so many ties are found; a quarter of the others go to given prompts. */
const MINED_SHARE = 1 / 8;
const GIVEN_SHARE = 1 / 4;
/** Responses that are scanned for ties for each that is wanted; fewer than one in ten has one, and what is found is taken. */
const SCANNED_PER_MINED = 2;

export const METHOD =
  'Responses are independent draws (prompt, sampling, seed), positions inside one are not. Each bound is the largest rate of positions per response ' +
  'that betting over responses does not rule out (Waudby-Smith and Ramdas 2024), its error a fixed share of delta, Bonferroni.';

/** @param say one line of progress */
export async function calibrate(plan: CalibrationPlan, say: (line: string) => void): Promise<Measured> {
  const { orders, prompts } = await ordersOf(plan, say);
  const engines = [...plan.choices, ...plan.also];
  const classes = new Map<string, string>();
  for (const choice of engines) {
    await withEngine(plan, choice, async (engine) => {
      classes.set(choice.name, engine.info.numericClass);
      let tokens = 0;
      for await (const part of generateAll(engine, textOrders(plan, choice, orders), textStore(plan, choice))) {
        tokens += part.reduce((sum, { evidence }) => sum + evidence.length, 0);
        say(`${choice.name} has written ${tokens} tokens`);
      }
    });
  }
  const found = new Map<string, PairCalibration[]>();
  const tooFar = new Set<string>();
  for (const scorer of engines) {
    await withEngine(plan, scorer, async (engine) => {
      for (const generator of engines) {
        const shared = firstOf(orders, pairCount(plan, generator, scorer));
        if (shared.length === 0) continue;
        const units = await differences(engine, { plan, scorer, generator, orders: shared });
        const names = { generator: classes.get(generator.name)!, scorer: engine.info.numericClass };
        const pair = measurePair({ ...names, units }, plan.delta);
        const key = `${names.generator} by ${names.scorer}`;
        if (pair === null) tooFar.add(key);
        else found.set(key, [...(found.get(key) ?? []), pair]);
        say(`${generator.name} by ${scorer.name}: ${pair === null ? `more than ${TIE_MAX} apart` : lineOf(pair)}`);
      }
    });
  }
  const pairs = [...found].filter(([key]) => !tooFar.has(key)).map(([, variants]) => widestOf(variants));
  return { pairs, tooFar: [...tooFar], promptsHash: ordersHash(orders), prompts };
}

function lineOf({ quantiles, tie, near, apart, designEffect }: PairCalibration): string {
  const positions = near.positions + apart.positions;
  return `${positions} positions in ${apart.units} responses, largest ${quantiles.at(-1)!.range}, tie ${tie}, design effect ${designEffect}`;
}

/** The same orders for every class, made by the first. */
async function ordersOf(
  plan: CalibrationPlan,
  say: (line: string) => void,
): Promise<{ orders: Order[]; prompts: Record<string, number> }> {
  const { choices, given, tokensPerResponse, seedText } = plan;
  const responses = plan.counts.reference;
  const minedMax = Math.floor(responses * MINED_SHARE);
  const scanned = minedMax * SCANNED_PER_MINED;
  const drawnCount = given.length === 0 ? 0 : Math.floor((responses - minedMax) * GIVEN_SHARE);
  let orders: Order[] = [];
  let mined: Order[] = [];
  await withEngine(plan, choices[0]!, async (engine) => {
    const invented = await inventPrompts(engine, responses - minedMax - drawnCount, seedText, store(plan, 'questions'));
    const drawnPrompts = drawnCount === 0 ? [] : drawPrompts(given, drawnCount, seedText);
    orders = ordersFor([...invented, ...drawnPrompts], tokensPerResponse, seedText);
    const scan = ordersFor(
      drawPrompts([...invented, ...given], scanned, `${seedText} scan`),
      tokensPerResponse,
      `${seedText} scan`,
    );
    const ties: Transcript[] = [];
    for await (const part of generateAll(engine, scan, store(plan, 'scan'))) ties.push(...part);
    mined = minedOrders(ties).slice(0, minedMax);
    say(`${invented.length} questions invented, ${drawnCount} prompts drawn, ${mined.length} mined from ${scanned}`);
  });
  const prompts = { invented: responses - minedMax - drawnCount, given: drawnCount, mined: mined.length };
  return { orders: shuffled([...orders, ...mined], seedText), prompts };
}

/** Whole parts, so that they are the parts that were kept. */
function firstOf(orders: readonly Order[], count: number): readonly Order[] {
  return orders.slice(0, Math.ceil(count / PART_RESPONSES) * PART_RESPONSES);
}

/** Responses by which a pair is measured. */
export function pairCount(
  { choices, also, counts, first }: Pick<CalibrationPlan, 'choices' | 'also' | 'counts' | 'first'>,
  a: EngineChoice,
  b: EngineChoice,
): number {
  const isWithReference = a === choices[0] || b === choices[0];
  const count = (): number => {
    if (also.includes(a) || also.includes(b)) return isWithReference || a === b ? counts.also : 0;
    if (a === b && isWithReference) return counts.reference;
    return isWithReference ? counts.withReference : counts.others;
  };
  return Math.min(first, count());
}

/** All that any of its pairs needs. */
function textOrders(plan: CalibrationPlan, choice: EngineChoice, orders: readonly Order[]): readonly Order[] {
  const counts = [...plan.choices, ...plan.also].map((other) => pairCount(plan, choice, other));
  return firstOf(orders, Math.max(...counts));
}

interface Comparison {
  readonly plan: CalibrationPlan;
  readonly scorer: EngineChoice;
  readonly generator: EngineChoice;
  readonly orders: readonly Order[];
}

/** Positions of each response; the generator's text comes from disk. */
async function differences(
  engine: Engine,
  { plan, scorer, generator, orders }: Comparison,
): Promise<PositionDifference[][]> {
  const units: PositionDifference[][] = [];
  const [reference] = plan.choices;
  const scoresOf = (choice: EngineChoice, some: readonly Order[], known?: AsyncIterator<ScoredPart>) =>
    scoreAll(engine, readTexts(some, textStore(plan, choice)), store(plan, `${choice.name} by ${scorer.name}`), known);
  const common = firstOf(orders, Math.min(orders.length, pairCount(plan, reference!, scorer)));
  const known = generator === reference ? undefined : scoresOf(reference!, common);
  for await (const part of scoresOf(generator, orders, known)) {
    for (const [at, { order, evidence }] of part.transcripts.entries()) {
      const { temperature } = order.sampling;
      // Mined responses may be longer; a unit that is longer than all others makes every bound wider.
      const counted = evidence.slice(0, plan.tokensPerResponse);
      units.push(
        counted.map((own, position) =>
          positionDifference(own, part.scores[at]![position]!, { temperature, seed: order.seed, position }),
        ),
      );
    }
  }
  return units;
}

function textStore(plan: CalibrationPlan, choice: EngineChoice): PartStore {
  return store(plan, `${choice.name} text`);
}

function store({ workFolder }: CalibrationPlan, name: string): PartStore {
  return { folder: path.join(workFolder, name.replaceAll(' ', '_')) };
}

async function withEngine(
  { modelFolder, workFolder }: CalibrationPlan,
  choice: EngineChoice,
  work: (engine: Engine) => Promise<void>,
): Promise<void> {
  const engine = await openEngine(modelFolder, choice, workFolder);
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}

/** The file that says what was measured. */
export function calibrationOf(
  measured: Measured,
  about: Pick<Calibration, 'model' | 'modelDigest'> &
    Pick<Calibration['provenance'], 'date' | 'machine' | 'runtime' | 'command' | 'tokensPerResponse'>,
): Calibration {
  const { model, modelDigest, ...rest } = about;
  const { pairs, promptsHash, prompts } = measured;
  return {
    version: 1,
    model,
    modelDigest,
    unit: 'response',
    pairs: [...pairs],
    provenance: { ...rest, method: METHOD, promptsHash, prompts },
  };
}
