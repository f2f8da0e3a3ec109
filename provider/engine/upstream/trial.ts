/** A trial of an upstream before anybody relies on it: a short answer and its score, by the rules of every later job. */
import { MARGIN_CLIP, margin } from '#protocol/evidence';
import { GREEDY } from '#protocol/sampling';
import { type Engine, EngineError } from '../engine.ts';

/** Tokens to generate and to score. */
const TRIAL_TOKENS = 4;
const TRIAL_PROMPT = 'One, two, three,';

/**
 * Shows whether ids come back, enough log-probabilities with them, and whether the server scores its own greedy answer
 * as its own and another token as less likely.
 * @throws EngineError with what is missing
 */
export async function tryOut(engine: Engine): Promise<void> {
  const run = { promptIds: engine.text.encodePrompt(TRIAL_PROMPT), sampling: GREEDY, seed: 0n };
  const outputIds: number[] = [];
  for await (const { id } of engine.generate({ ...run, maxTokens: TRIAL_TOKENS })) outputIds.push(id);
  const scored = await engine.score({ ...run, outputIds });
  const noise = { temperature: 0, seed: 0n, borderTolerance: 0 };
  // Prefill and decode differ by rounding; half a logit apart are two different models, or altered log-probabilities.
  if (scored.some((evidence, position) => margin(evidence, { ...noise, position }).margin >= MARGIN_CLIP)) {
    throw new EngineError('upstream_mismatch', 'the upstream does not score its own answer as its own');
  }
  const { top } = scored[0]!;
  const listed = new Set(top.map(([id]) => id));
  // One more id than are listed, so one of them is not.
  const unlikely = Array.from({ length: listed.size + 1 }, (_, id) => id).find((id) => !listed.has(id))!;
  if (unlikely >= engine.info.vocabSize) return;
  const [other] = await engine.score({ ...run, outputIds: [unlikely] });
  if (other!.chosenLogit > other!.top.at(-1)![1]) {
    throw new EngineError('upstream_mismatch', 'the upstream scores a token that it did not list above those it did');
  }
}
