/** Answers of honest and cheating machines as the judge has seen them: recorded once by the laboratory (`npm run bench:detect`), then drawn from by the million. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { SAVED_PPM } from '../../gateway/audit/detection.ts';
import { type AnswersRecord, parseAnswer } from '../bench/detect/answers.ts';
import type { FastRng } from '../bench/nulls/fast-rng.ts';
import { LENGTHS } from '../cheats/lab/orders.ts';
import { ROOT } from '../contract/program.ts';

export { LENGTHS };

/** The record that everything here is drawn from. */
export const ANSWERS_FILE = 'test/bench/results/detect-answers-2026-11-26.json';

/** One audited answer. */
export interface Answer {
  readonly tokens: number;
  /** Of every bet, as the judge takes them. */
  readonly factors: readonly number[];
  /** Whether this answer convicts by itself (spec-judge.md §7.6). */
  readonly isGross: boolean;
}

/** Answers to orders of each of `LENGTHS`, which is what a provider knows before it answers. */
export type AnswerPool = readonly (readonly Answer[])[];

/** What a provider runs in place of what it was asked to. */
export interface KnownCheat {
  readonly name: string;
  readonly title: string;
  readonly pool: AnswerPool;
  /** Of what the answer costs, in millionths; 0 where it computes all of it. */
  readonly savedPpm: number;
}

export interface RecordedAnswers {
  readonly record: AnswersRecord;
  readonly honest: AnswerPool;
  /** By name, the honest ones left out. */
  readonly cheats: ReadonlyMap<string, KnownCheat>;
}

export function recordedAnswers(file = ANSWERS_FILE): RecordedAnswers {
  const record = JSON.parse(readFileSync(path.join(ROOT, file), 'utf8')) as AnswersRecord;
  const pools = record.cheats.map(({ cheat, title, answers }): KnownCheat => {
    const all = answers.map(parseAnswer);
    const pool = LENGTHS.map((most) => {
      const asked = all.filter(({ maxTokens }) => maxTokens === most);
      return asked.map(({ tokens, factors, convicts }) => ({ tokens, factors, isGross: convicts }));
    });
    return { name: cheat, title, pool, savedPpm: SAVED_PPM[cheat] ?? 0 };
  });
  const cheats = new Map(pools.map((one) => [one.name, one]));
  const { pool: honest } = cheats.get('honest')!;
  cheats.delete('honest');
  return { record, honest, cheats };
}

/** Two halves by turns, for every machine and kind of order: what one predicts the other has to show. */
export function halvesOf({ record, honest, cheats }: RecordedAnswers): [RecordedAnswers, RecordedAnswers] {
  const halfOf = (pool: AnswerPool, half: number) => pool.map((answers) => answers.filter((_, at) => at % 2 === half));
  const half = (which: number): RecordedAnswers => ({
    record,
    honest: halfOf(honest, which),
    cheats: new Map([...cheats].map(([name, cheat]) => [name, { ...cheat, pool: halfOf(cheat.pool, which) }])),
  });
  return [half(0), half(1)];
}

/** As many answers drawn from it anew, some of them twice (Efron 1979): what another laboratory might have recorded. */
export function resampled(pool: AnswerPool, rng: FastRng): AnswerPool {
  return pool.map((answers) => answers.map(() => answers[rng.below(answers.length)]!));
}

/** Mean tokens of answers to each kind of order: what they cost by. */
export function meanTokens(pool: AnswerPool): number[] {
  return pool.map((answers) => answers.reduce((sum, { tokens }) => sum + tokens, 0) / answers.length);
}
