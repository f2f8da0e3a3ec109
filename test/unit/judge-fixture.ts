/** Transcripts and scores of toy engines for judges' tests: real evidence, real differences between machines. */
import type { TokenEvidence } from '#protocol/evidence';
import { sha256, toHex, utf8 } from '#protocol/hash';
import { GREEDY, type Sampling } from '#protocol/sampling';
import type { FinishKind } from '#protocol/typed';
import type { Engine } from '../../provider/engine/engine.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';
import { calibrationOfClasses } from '../fixtures/calibrations.ts';

/** Half widths of noise at which two machines differ by as much as their class pair may: 2 × 0.005 and 2 × 0.05. */
export const JITTER = { fp32: 0.0025, fp16: 0.025 } as const;

export type Arithmetic = keyof typeof JITTER;

export function machine(arithmetic: Arithmetic, name: string, salt = 'real'): Engine {
  return createToyEngine({ salt, jitter: JITTER[arithmetic], classSalt: name });
}

/** `toy-1/cpu/fp32/…`, or fp16. */
export function classOf(arithmetic: Arithmetic): string {
  return `toy-1/cpu/${arithmetic}/kv-none/x`;
}

/** Of the model `toy`, whose machines these are. */
export const KNOWN = calibrationOfClasses(toHex(sha256(utf8('toy'))), [classOf('fp32'), classOf('fp16')]);
export const CALIBRATION = KNOWN.calibration;

export function sampled(changes: Partial<Sampling>): Sampling {
  return { ...GREEDY, temperature: 1, ...changes };
}

export const SAMPLINGS: readonly (readonly [name: string, sampling: Sampling])[] = [
  ['greedy', GREEDY],
  ['T=1', sampled({})],
  ['T=0.3', sampled({ temperature: 0.3 })],
  ['T=2', sampled({ temperature: 2 })],
  ['top-p 0.9', sampled({ topP: 0.9 })],
  ['top-p 0.5, T=2', sampled({ topP: 0.5, temperature: 2 })],
  ['top-p 0.95, T=0.3', sampled({ topP: 0.95, temperature: 0.3 })],
  ['top-k 5', sampled({ topK: 5 })],
  ['top-k 20 and top-p 0.8', sampled({ topK: 20, topP: 0.8 })],
  ['penalties and bias', sampled({ presencePenalty: 1, frequencyPenalty: 0.5, logitBias: [[101, 2]] })],
];

export interface Written {
  readonly promptIds: readonly number[];
  readonly sampling: Sampling;
  readonly seed: bigint;
  readonly tokens: number[];
  readonly evidence: TokenEvidence[];
  readonly finish: FinishKind;
}

export interface Order {
  readonly promptIds: readonly number[];
  readonly sampling: Sampling;
  readonly seed: bigint;
  readonly maxTokens: number;
}

/** Lets an engine write one answer. */
export async function write(engine: Engine, { promptIds, sampling, seed, maxTokens }: Order): Promise<Written> {
  const tokens: number[] = [];
  const evidence: TokenEvidence[] = [];
  let finish: FinishKind = 'length';
  for await (const token of engine.generate({ promptIds, sampling, seed, maxTokens })) {
    tokens.push(token.id);
    evidence.push(token.evidence);
    if (token.finish !== null) finish = token.finish;
  }
  return { promptIds, sampling, seed, tokens, evidence, finish };
}

export function score(engine: Engine, { promptIds, sampling, seed, tokens }: Omit<Written, 'evidence' | 'finish'>) {
  return engine.score({ promptIds, outputIds: tokens, sampling, seed });
}

export function promptOf(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}
