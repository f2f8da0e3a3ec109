/** `assay calibrate`: measures how far honest engines of one model differ, so that judges may tell them from others. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import type { Calibration, PairCalibration } from '#protocol/calibration';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { safeParse, zTokenId } from '#protocol/schema';
import { createTextModel } from '#protocol/text';
import { calibrate, calibrationOf, type ResponseCounts } from '../calibrate/calibrate.ts';
import { type EngineChoice, parseEngineChoice } from '../calibrate/engine-choice.ts';
import { readModelFolder } from '../engine/model-folder.ts';
import { CommandError, type CommandIo } from './command-io.ts';

/** Rates below ln(2 * 2 / delta) = 8.3 / responses cannot be shown: 4e-4, a thirteenth of what int8 weights show. */
const RESPONSES_DEFAULT = 20_000;
const RESPONSES_MAX = 1e7;
/** Short responses are more of them, and responses are what bounds count. */
const RESPONSE_TOKENS_DEFAULT = 8;
const RESPONSE_TOKENS_MAX = 4096;
/** Options of one engine: a bound of a fiftieth, until somebody who runs them so measures more. */
const ALSO_RESPONSES_DEFAULT = 512;
const DELTA_DEFAULT = 0.001;
const PROMPTS_MAX = 1_000_000;

const USAGE = `assay calibrate [options]

Runs honest engines of one model over the same prompts, lets each score what each wrote, and writes how far they differ: tolerances,
confidence bounds and where they come from, for every pair of numeric classes. A gateway reads the newest file of the model
folder's calibration/; of class pairs without a measurement it concludes nothing. A run that is stopped goes on where it was.

  --model <folder>             the model (default: the embedded one)
  --classes <engine,…>         engines: files of the folder's onnx/, wasm:<such a file>, llama (a GGUF made of the embedded model)
                               or llama:<file>.gguf; each may have +threads=<n>, +device=<cuda or webgpu>,
                               +optimization=<level>, +prefill=<n>, +batching=off (default model.onnx,model.onnx+threads=2);
                               the first finds the near-ties
  --prompts <file>             JSON list of prompts, as user messages or as lists of token ids (default: all invented)
  --responses <n>              how many each engine writes (default ${RESPONSES_DEFAULT}; no rate below 8.3 ÷ responses can be shown)
  --pair-responses <n>         the same for pairs of the first engine with another (default: as many)
  --other-responses <n>        the same for pairs without the first engine (default: as many as the former)
  --also <engine,…>            engines that are measured against the first and themselves alone, such as model.onnx+batching=off
  --also-responses <n>         responses of theirs (default ${ALSO_RESPONSES_DEFAULT})
  --first <n>                  measure by the first of them only; the next run goes on with the others
  --response-tokens <n>        tokens of a response, at most (default ${RESPONSE_TOKENS_DEFAULT})
  --delta <p>                  error of a pair's bounds (default ${DELTA_DEFAULT})
  --seed <text>                what all seeds are drawn from (default 1)
  --work <folder>              texts and scores between runs (default ./data/calibrate)
  --out <file>                 default: calibration/<date>.json in the model folder
  --help                       print this text

A model from elsewhere, on whatever it is served by: assay calibrate --model ./my-model --classes model.onnx,model_fp16.onnx
Exit codes: 0 done, 1 failed or a pair is too far apart, 2 used wrongly.`;

const zPrompts = z
  .array(z.union([z.string().min(1).max(65_536), z.array(zTokenId).min(1).max(65_536)]))
  .min(1)
  .max(PROMPTS_MAX);

interface CalibrateOrder {
  readonly modelFolder: string;
  readonly choices: readonly EngineChoice[];
  readonly promptsFile: string | null;
  readonly also: readonly EngineChoice[];
  readonly counts: ResponseCounts;
  readonly first: number;
  readonly tokensPerResponse: number;
  readonly delta: number;
  readonly seedText: string;
  readonly workFolder: string;
  readonly out: string | null;
}

/** @returns the exit code */
export async function runCalibrate(argv: readonly string[], io: CommandIo, nodeVersion: string): Promise<number> {
  const line = parseCommandLine(argv, {
    valued: [
      'model',
      'classes',
      'prompts',
      'responses',
      'pair-responses',
      'other-responses',
      'also',
      'also-responses',
      'first',
      'response-tokens',
      'delta',
      'seed',
      'work',
      'out',
    ],
    switches: ['help'],
  });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const { order, problems } = read(line.values, io);
  if (line.problems.length + problems.length > 0) {
    for (const problem of [...line.problems, ...problems]) io.fail(`assay calibrate: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    return await run(order, io, { nodeVersion, command: commandOf(line.values) });
  } catch (error) {
    io.fail(`assay calibrate: ${error instanceof Error ? error.message : 'failed'}`);
    return EXIT_FAILED;
  }
}

function read(values: ReadonlyMap<string, string>, io: CommandIo): { order: CalibrateOrder; problems: string[] } {
  const problems: string[] = [];
  const whole = (flag: string, fallback: number, most: number): number => {
    const text = values.get(flag);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > most) problems.push(`--${flag} must be 1 to ${most}`);
    return value;
  };
  const engines = (flag: string, texts: readonly string[]): EngineChoice[] =>
    texts.map(parseEngineChoice).flatMap((choice) => {
      if (!('problem' in choice)) return [choice];
      problems.push(`--${flag}: ${choice.problem}`);
      return [];
    });
  const delta = Number(values.get('delta') ?? DELTA_DEFAULT);
  if (!(delta > 0 && delta <= 0.5)) problems.push('--delta must be above 0 and at most 0.5');
  const reference = whole('responses', RESPONSES_DEFAULT, RESPONSES_MAX);
  const withReference = Math.min(reference, whole('pair-responses', reference, RESPONSES_MAX));
  const others = Math.min(withReference, whole('other-responses', withReference, RESPONSES_MAX));
  const order: CalibrateOrder = {
    modelFolder: values.get('model') ?? io.modelFolder,
    choices: engines('classes', (values.get('classes') ?? 'model.onnx,model.onnx+threads=2').split(',')),
    also: engines('also', values.get('also')?.split(',') ?? []),
    counts: {
      reference,
      withReference,
      others,
      also: Math.min(reference, whole('also-responses', ALSO_RESPONSES_DEFAULT, RESPONSES_MAX)),
    },
    promptsFile: values.get('prompts') ?? null,
    first: whole('first', RESPONSES_MAX, RESPONSES_MAX),
    tokensPerResponse: whole('response-tokens', RESPONSE_TOKENS_DEFAULT, RESPONSE_TOKENS_MAX),
    delta,
    seedText: values.get('seed') ?? '1',
    workFolder: values.get('work') ?? './data/calibrate',
    out: values.get('out') ?? null,
  };
  return { order, problems };
}

/** What a reader repeats: without this machine's paths. */
function commandOf(values: ReadonlyMap<string, string>): string {
  const named = ['model', 'prompts', 'out', 'work'];
  const flags = [...values].map(([flag, value]) => `--${flag} ${named.includes(flag) ? path.basename(value) : value}`);
  return ['assay calibrate', ...flags].join(' ');
}

async function run(
  order: CalibrateOrder,
  io: CommandIo,
  how: { readonly nodeVersion: string; readonly command: string },
): Promise<number> {
  const model = await readModelFolder(order.modelFolder, order.choices[0]!.weightsFile);
  const text = createTextModel(model.textFiles);
  const given = order.promptsFile === null ? [] : readPrompts(order.promptsFile);
  const measured = await calibrate(
    {
      ...order,
      given: given.map((prompt) =>
        typeof prompt === 'string' ? text.encodeChat([{ role: 'user', content: prompt }]) : prompt,
      ),
      workFolder: path.join(order.workFolder, `${model.name}-${order.seedText.replaceAll(/\W/g, '_')}`),
    },
    io.print,
  );
  const date = new Date(io.clock.nowMs()).toISOString().slice(0, 10);
  const calibration = calibrationOf(measured, {
    model: model.name,
    modelDigest: model.modelDigest,
    date,
    machine: `${os.cpus()[0]?.model.trim() ?? 'unknown'}, ${os.arch()}`,
    runtime: `Node ${how.nodeVersion}`,
    command: how.command,
    tokensPerResponse: order.tokensPerResponse,
  });
  const file = order.out ?? path.join(order.modelFolder, 'calibration', `${date}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, calibrationText(calibration));
  io.print(`wrote ${file}`);
  for (const pair of measured.pairs) io.print(tableLine(pair));
  for (const pair of measured.tooFar)
    io.fail(`assay calibrate: ${pair}: too far apart to be judged; nothing is written of it`);
  return measured.tooFar.length === 0 ? EXIT_OK : EXIT_FAILED;
}

/** A pair a line: a file that can be compared, of half the size that one figure a line takes. */
function calibrationText({ pairs, ...rest }: Calibration): string {
  const about = JSON.stringify(rest, null, 1).slice(0, -2);
  return `${about},\n "pairs": [\n${pairs.map((pair) => `  ${JSON.stringify(pair)}`).join(',\n')}\n ]\n}\n`;
}

function tableLine({ generator, scorer, tie, reject, quantiles, apart }: PairCalibration): string {
  const beyond = apart.survival.at(-1)!.upper;
  return `${generator} by ${scorer}: largest ${quantiles.at(-1)!.range}, tie ${tie}, reject ${reject}, beyond the clip at most ${beyond}`;
}

/** @throws {CommandError} */
function readPrompts(file: string): z.output<typeof zPrompts> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new CommandError(`${file} cannot be read as JSON`);
  }
  const parsed = safeParse(zPrompts, value);
  if (!parsed.success) throw new CommandError(`${file} is not a list of texts or of lists of token ids`);
  return parsed.data;
}
