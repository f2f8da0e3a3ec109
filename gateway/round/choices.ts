/** The choices of one request side by side: an attempt each, over one draw (SPEC.md §4.4, §5). */
import { ProtocolError } from '#protocol/errors';
import { promptOfChoice } from '#protocol/prompt-groups';
import { choiceSeed } from '#protocol/request';
import type { AnswerRequest } from '../openai/answer.ts';
import type { Attempt, AttemptResult } from './attempt.ts';
import type { LinkedAbort } from './deadline.ts';
import type { AttemptPlan } from './plan.ts';
import type { ReleasedPart } from './release.ts';
import type { StoreJournal } from './store-journal.ts';

/** One choice of a request. */
export interface Choice {
  readonly plan: AttemptPlan;
  readonly journal: StoreJournal;
  readonly attempt: Attempt;
}

/** Tokens of one choice, released in order. */
export interface ReleasedTokens extends ReleasedPart {
  readonly choice: number;
}

/** The plan of every choice: the same but for its prompt and the sampler's key, and so for the request hash. */
export function plansOf(first: AttemptPlan, prompts: AnswerRequest['prompts'], choices: number): AttemptPlan[] {
  return Array.from({ length: choices }, (_, choice) => ({
    ...first,
    promptIds: prompts[promptOfChoice(choice, { prompts: prompts.length, choices })]!,
    seed: choiceSeed(first.seed, choice),
  }));
}

type Step =
  | { readonly choice: number; readonly step: IteratorResult<ReleasedPart, AttemptResult> }
  | { readonly choice: number; readonly error: unknown };

/**
 * Runs all choices and yields what any of them releases. One that fails ends the others: an answer has all its choices or is none.
 * Whatever way this ends, no attempt is still running then.
 * @param life is aborted when the choices end early
 * @returns the results by choice
 * @throws {ProtocolError} what failed first
 */
export async function* runChoices(
  attempts: readonly Pick<Attempt, 'run'>[],
  life: LinkedAbort,
): AsyncGenerator<ReleasedTokens, AttemptResult[]> {
  const runs = attempts.map((attempt) => attempt.run());
  const results: AttemptResult[] = [];
  const waiting = new Map<number, Promise<Step>>();
  const advance = (choice: number): void => {
    const next = runs[choice]!.next().then(
      (step): Step => ({ choice, step }),
      (error: unknown): Step => ({ choice, error }),
    );
    // Last in line again: of several that are ready, no choice keeps the others waiting.
    waiting.delete(choice);
    waiting.set(choice, next);
  };
  try {
    for (const choice of runs.keys()) advance(choice);
    while (waiting.size > 0) {
      const next = await Promise.race(waiting.values());
      waiting.delete(next.choice);
      if ('error' in next) throw next.error;
      if (next.step.done) {
        results[next.choice] = next.step.value;
        continue;
      }
      yield { choice: next.choice, ...next.step.value };
      advance(next.choice);
    }
    return results;
  } finally {
    if (waiting.size > 0) life.abort(new ProtocolError('client_closed', 'Another choice of the request has ended it.'));
    await Promise.all(waiting.values());
    // Those that wait for their tokens to be taken end as well; their result is read by nobody.
    await Promise.all(runs.map((run) => run.return(undefined as never)));
  }
}
