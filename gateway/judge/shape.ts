/** Rules that a transcript must satisfy whatever the model computes: its ending and its length (spec-judge.md §7.1). Pure. */
import type { TextModel } from '#protocol/text';
import type { FinishKind } from '#protocol/typed';

/** One finished or growing transcript. */
export interface Transcript {
  readonly tokens: readonly number[];
  readonly finish: FinishKind | null;
}

/** Why a transcript is malformed; a closed list. */
export type ShapeProblem =
  | 'token_outside_vocabulary'
  | 'tokens_past_end'
  | 'too_long'
  | 'stop_without_eos'
  | 'length_without_length'
  | 'stop_string_absent'
  | 'not_ended'
  | 'empty';

/** What the order allowed. */
export interface ShapeRules {
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly text: Pick<TextModel, 'eosIds' | 'vocabSize' | 'createDetokenizer'>;
}

/**
 * The first rule that the transcript breaks, or null. Early stops, tokens past the end and false finish reasons need no
 * second opinion: they contradict the order itself.
 */
export function shapeProblem(transcript: Transcript, rules: ShapeRules): ShapeProblem | null {
  const { tokens, finish } = transcript;
  const { eosIds, vocabSize } = rules.text;
  if (tokens.length > rules.maxTokens) return 'too_long';
  if (tokens.some((id) => id >= vocabSize)) return 'token_outside_vocabulary';
  if (tokens.slice(0, -1).some((id) => eosIds.includes(id))) return 'tokens_past_end';
  const endsWithEos = tokens.length > 0 && eosIds.includes(tokens[tokens.length - 1]!);
  const stoppedAt = firstStop(tokens, rules);
  if (stoppedAt !== null && stoppedAt < tokens.length - 1) return 'tokens_past_end';
  if (finish === null) {
    if (endsWithEos || stoppedAt !== null) return 'tokens_past_end';
    // Equal tokens of one member that has ended and one that has not would be a split without a divergence.
    return tokens.length === rules.maxTokens ? 'not_ended' : null;
  }
  if (finish === 'cancelled') return null;
  if (tokens.length === 0) return 'empty';
  if (finish === 'stop') return endsWithEos ? null : 'stop_without_eos';
  if (finish === 'stop_string') return stoppedAt === tokens.length - 1 ? null : 'stop_string_absent';
  return tokens.length === rules.maxTokens && !endsWithEos && stoppedAt === null ? null : 'length_without_length';
}

/** How tokens end by the rules alone, whatever their author says; null while they go on. */
export function impliedFinish(tokens: readonly number[], ended: boolean, rules: ShapeRules): FinishKind | null {
  if (!ended) return null;
  const last = tokens.at(-1);
  if (last !== undefined && rules.text.eosIds.includes(last)) return 'stop';
  if (tokens.length !== rules.maxTokens) return 'stop_string';
  return shapeProblem({ tokens, finish: 'length' }, rules) === null ? 'length' : 'stop_string';
}

/** Index of the token that completes a stop string, or null. */
function firstStop(tokens: readonly number[], rules: ShapeRules): number | null {
  if (rules.stop.length === 0) return null;
  const detokenizer = rules.text.createDetokenizer(rules.stop);
  for (let i = 0; i < tokens.length; i++) if (detokenizer.push(tokens[i]!).stopped) return i;
  return null;
}
