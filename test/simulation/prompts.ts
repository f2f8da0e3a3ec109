/**
 * Seeds of their own that ask text completions, most about several prompts, under everything that the harder seeds do. A family
 * beside the others: what their recorded seeds stand for stays as it was.
 */
import type { RequestPlan, Scenario } from './scenario.ts';
import { SeededRng } from './seeded-rng.ts';
import { swarmOf } from './swarm.ts';

/** Ids of the toy's vocabulary above its end token. */
const IDS_MAX = 60;

export function promptsOf(seed: number): Scenario {
  const base = swarmOf(seed);
  const rng = new SeededRng(`prompts ${seed}`);
  return { ...base, requests: base.requests.map((plan) => withPrompts(plan, rng)) };
}

function withPrompts(plan: RequestPlan, rng: SeededRng): RequestPlan {
  // A chat now and then: both run side by side.
  if (rng.chance(0.2)) return plan;
  const { messages: _messages, logprobs, top_logprobs: _top, n, ...fields } = plan.body;
  const count = rng.pick([1, 2, 2, 3, 4]);
  const areIds = rng.chance(0.4);
  const prompts = Array.from({ length: count }, () => (areIds ? drawIds(rng) : `Once ${rng.between(0, 10 ** 6)}`));
  const alike = count > 1 && rng.chance(0.2) ? prompts.map(() => prompts[0]!) : prompts;
  const body = {
    ...fields,
    // With one of them both spellings are right.
    prompt: count === 1 && rng.chance(0.5) ? alike[0]! : alike,
    ...(logprobs ? { logprobs: rng.between(0, 5) } : rng.chance(0.3) ? { echo: true } : {}),
    ...(n === undefined ? {} : { n }),
  };
  return { ...plan, body };
}

function drawIds(rng: SeededRng): number[] {
  return Array.from({ length: rng.between(1, 6) }, () => rng.between(1, IDS_MAX));
}
