/** Seeds that once broke a rule, each with what it broke. */
import type { ScenarioKind } from './run-seed.ts';

export const REGRESSIONS: readonly (readonly [kind: ScenarioKind, seed: number, broke: string])[] = [
  ['usual', 117, 'a chunk of maxTokens tokens that was not sealed as the last one stood behind the answer'],
  ['swarm', 10030, 'a kept answer was packed on another thread, whose end no seed could order'],
];
