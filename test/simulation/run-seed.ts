/** One seed from scenario to verdict. */
import { livenessViolations } from './liveness.ts';
import { outcomeOf } from './outcome.ts';
import { safetyViolations } from './safety.ts';
import { type Scenario, scenarioOf } from './scenario.ts';
import { simulate } from './simulation.ts';

export interface Report {
  readonly seed: number;
  readonly safety: readonly string[];
  readonly liveness: readonly string[];
  /** One word per request: a verdict, an error code, or `left`. */
  readonly outcomes: readonly string[];
  /** Rulings against cheaters. */
  readonly upheld: number;
  readonly events: number;
}

/** Runs a seed, or a scenario made from one. */
export async function runSeed(seed: number, scenario: Scenario = scenarioOf(seed)): Promise<Report> {
  const run = await simulate(scenario);
  try {
    const safety = await safetyViolations(run);
    const liveness = await livenessViolations(run);
    const outcomes = run.answers.map((answer) => {
      const outcome = outcomeOf(answer);
      if (outcome.kind === 'answered') return outcome.statement.verdict;
      return outcome.kind === 'failed' ? outcome.code : outcome.kind;
    });
    const upheld = run.moves.filter((move) => move.kind === 'ruled' && move.ruling === 'upheld').length;
    return { seed, safety, liveness, outcomes, upheld, events: run.events };
  } finally {
    await run.close();
  }
}

/** What is wrong with a run; empty where nothing is. */
export function violationsOf({ safety, liveness }: Report): string[] {
  return [...safety.map((text) => `SAFETY ${text}`), ...liveness.map((text) => `LIVENESS ${text}`)];
}
