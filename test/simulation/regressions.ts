/** Seeds that once broke a rule, each with what it broke. */
import type { ScenarioKind } from './run-seed.ts';

export const REGRESSIONS: readonly (readonly [kind: ScenarioKind, seed: number, broke: string])[] = [
  ['usual', 117, 'a chunk of maxTokens tokens that was not sealed as the last one stood behind the answer'],
  ['usual', 2542, 'an honest token was taken for one that top-p may drop, and a token 0.5 logits off was agreed upon'],
  ['usual', 8658, 'the checker took an honest token for a wrong one, where top-p was reached by a hair'],
  ['swarm', 343, 'a stream without text attested an empty list of log-probabilities and showed none'],
  ['swarm', 397, 'log-probabilities of a member that was lost after its chunk was served were said to be covered'],
  ['swarm', 10030, 'a kept answer was packed on another thread, whose end no seed could order'],
  ['swarm', 4001, 'the same, past the size up to which answers were packed in place'],
  ['watched', 251, 'a witness that accepted a part and was lost after it was attested as drawn and as passed over'],
  ['watched', 467, 'under top-k and top-p together a token far outside top-p was accepted by an honest witness'],
  [
    'watched',
    3255,
    'an auditor that could not be reached for a whole answer was not named by the audit that went on without it',
  ],
];
