/** The text of an answer as its tokens come in, by the same rule as provider and verifier (SPEC.md, "Text"). */
import { ProtocolError } from '#protocol/errors';
import type { AnswerRequest, FinishKind } from './answer.ts';

export interface AnswerText {
  /** Takes the next tokens. @returns the text that is now certain, perhaps empty */
  push(ids: readonly number[]): string;
  /**
   * Ends the text. @returns the rest of it
   * @throws {ProtocolError} `internal_error` when the text does not bear out how the pipeline says that it ended
   */
  finish(kind: FinishKind): string;
}

/** The texts of an answer's choices by index, each on its own. */
export function answerTexts(request: Pick<AnswerRequest, 'model' | 'sampling' | 'choices'>): AnswerText[] {
  return Array.from({ length: request.choices }, () => answerText(request));
}

/** Detokenises one choice. */
function answerText(request: Pick<AnswerRequest, 'model' | 'sampling'>): AnswerText {
  const detokenizer = request.model.text.createDetokenizer(request.sampling.stop);
  let hasStopped = false;
  return {
    push(ids) {
      let text = '';
      for (const id of ids) {
        const { delta, stopped } = detokenizer.push(id);
        text += delta;
        hasStopped = stopped;
      }
      return text;
    },
    finish(kind) {
      const rest = detokenizer.finish();
      // INVARIANT: the pipeline has checked the claim's finish kind against the same rule.
      if (hasStopped !== (kind === 'stop_string')) {
        throw new ProtocolError('internal_error', 'The finish kind contradicts the text.');
      }
      return rest;
    },
  };
}
