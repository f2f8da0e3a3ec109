/** What a run of the mutants has shown: the share caught, and by name those that nobody noticed. */
import { execFileSync } from 'node:child_process';
import { reasonFor } from './equivalent.ts';
import type { Mutant } from './operators.ts';

/** `caught late` is by random lives alone. */
export type Verdict = 'caught' | 'caught late' | 'survived';

export interface Survivor {
  readonly file: string;
  readonly line: number;
  readonly operator: string;
  readonly before: string;
  readonly after: string;
  /** Why no test can tell it from the contract; null where one should. */
  readonly reason: string | null;
}

export interface MutationRecord {
  readonly commit: string;
  readonly mutants: number;
  readonly tried: number;
  readonly caught: number;
  /** Of those by the random lives of Invariants.t.sol alone. */
  readonly caughtByInvariantsOnly: number;
  /** Of all tried, in percent. */
  readonly caughtPercent: number;
  readonly byOperator: Readonly<Record<string, string>>;
  readonly survivors: readonly Survivor[];
}

/** @param mutants those that were chosen; who has no verdict yet was not tried */
export function recordOf(
  root: string,
  mutants: readonly Mutant[],
  verdicts: ReadonlyMap<string, Verdict>,
): MutationRecord {
  const tried = mutants.filter(({ id }) => verdicts.has(id));
  const survived = tried.filter(({ id }) => verdicts.get(id) === 'survived');
  const byOperator: Record<string, string> = {};
  for (const operator of new Set(tried.map((mutant) => mutant.operator))) {
    const of = (list: readonly Mutant[]): number => list.filter((mutant) => mutant.operator === operator).length;
    byOperator[operator] = `${of(tried) - of(survived)} of ${of(tried)}`;
  }
  return {
    commit: execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    mutants: mutants.length,
    tried: tried.length,
    caught: tried.length - survived.length,
    caughtByInvariantsOnly: tried.filter(({ id }) => verdicts.get(id) === 'caught late').length,
    caughtPercent: Math.floor((10_000 * (tried.length - survived.length)) / Math.max(tried.length, 1)) / 100,
    byOperator,
    survivors: survived.map((mutant) => ({
      file: mutant.file,
      line: mutant.line,
      operator: mutant.operator,
      before: mutant.before,
      after: mutant.after,
      reason: reasonFor(mutant),
    })),
  };
}
