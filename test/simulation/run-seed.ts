/** One seed from scenario to verdict. */
import { livenessViolations } from './liveness.ts';
import { outcomeOf } from './outcome.ts';
import { promptsOf } from './prompts.ts';
import { safetyViolations } from './safety.ts';
import { type Scenario, scenarioOf } from './scenario.ts';
import { type SimulateOptions, simulate } from './simulation.ts';
import { swarmOf } from './swarm.ts';
import { watchedOf } from './watched.ts';

export interface Report {
  readonly seed: number;
  readonly safety: readonly string[];
  readonly liveness: readonly string[];
  /** One word per try of a request: a verdict, an error code, `left` or `broken`. */
  readonly outcomes: readonly string[];
  /** Rulings against cheaters. */
  readonly upheld: number;
  /** Lives of the gateway that ended in a crash. */
  readonly crashes: number;
  readonly events: number;
}

/** The families of scenarios, by the name that a replay names them with. */
export const SCENARIOS = { usual: scenarioOf, swarm: swarmOf, prompts: promptsOf, watched: watchedOf } as const;
export type ScenarioKind = keyof typeof SCENARIOS;

/** Runs a scenario. */
export async function runScenario(scenario: Scenario, options: SimulateOptions = {}): Promise<Report> {
  const run = await simulate(scenario, options);
  try {
    const safety = await safetyViolations(run);
    const liveness = await livenessViolations(run);
    const outcomes = run.tries.map((answer) => {
      if (answer.end === 'broken') return 'broken';
      const outcome = outcomeOf(answer);
      if (outcome.kind === 'answered') return outcome.statement.verdict;
      return outcome.kind === 'failed' ? outcome.code : outcome.kind;
    });
    const upheld = run.moves.filter((move) => move.kind === 'ruled' && move.ruling === 'upheld').length;
    const { events, remains } = run;
    return { seed: scenario.seed, safety, liveness, outcomes, upheld, crashes: remains.length, events };
  } finally {
    await run.close();
  }
}

export function runSeed(seed: number, kind: ScenarioKind = 'usual'): Promise<Report> {
  return runScenario(SCENARIOS[kind](seed));
}

/** What is wrong with a run; empty where nothing is. */
export function violationsOf({ safety, liveness }: Report): string[] {
  return [...safety.map((text) => `SAFETY ${text}`), ...liveness.map((text) => `LIVENESS ${text}`)];
}
