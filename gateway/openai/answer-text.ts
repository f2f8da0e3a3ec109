/** The text of an answer as its tokens come in, by the same rule as provider and verifier (SPEC.md, "Text"). */
import { ProtocolError } from '#protocol/errors';
import { codePoints, LogprobSpeller, type SpelledLogprobs } from '#protocol/logprob-text';
import type { ShownLogprobs } from '#protocol/logprobs';
import type { AnswerEvent, AnswerRequest, FinishKind } from './answer.ts';
import type { AnswerForm } from './answer-form.ts';

/** What became certain at one step. */
export interface AnswerPart {
  readonly text: string;
  /** Entries of the tokens whose text is certain; null where none were asked for. */
  readonly logprobs: readonly SpelledLogprobs[] | null;
  /** Where the first of them begins in the text, in Unicode code points. */
  readonly offset: number;
}

/** The texts of an answer's choices by index, each on its own. */
export function answerTexts(
  request: Pick<AnswerRequest, 'model' | 'sampling' | 'choices' | 'logprobs'>,
): readonly AnswerText[] {
  return Array.from({ length: request.choices }, () => new AnswerText(request));
}

/** All entries as they stand in the answer, for the attestation; null where none were asked for. */
export function shownLogprobs(
  texts: readonly AnswerText[],
  form: Pick<AnswerForm, 'logprobs'>,
): readonly ShownLogprobs[] | null {
  const shown = texts.flatMap(({ spelled }, index) =>
    spelled === null ? [] : [{ index, logprobs: form.logprobs(spelled, 0) }],
  );
  return shown.length === 0 ? null : shown;
}

/** Detokenises one choice. */
export class AnswerText {
  readonly #detokenizer: ReturnType<AnswerRequest['model']['text']['createDetokenizer']>;
  readonly #speller: LogprobSpeller | null;
  readonly #spelled: SpelledLogprobs[] = [];
  #spelledLength = 0;
  #text = '';
  #hasStopped = false;

  constructor(request: Pick<AnswerRequest, 'model' | 'sampling' | 'logprobs'>) {
    const { text } = request.model;
    this.#detokenizer = text.createDetokenizer(request.sampling.stop);
    this.#speller = request.logprobs === null ? null : new LogprobSpeller(text);
  }

  /** The text so far. */
  get text(): string {
    return this.#text;
  }

  /** Takes the next tokens. */
  push({ ids, logprobs }: Pick<Extract<AnswerEvent, { type: 'tokens' }>, 'ids' | 'logprobs'>): AnswerPart {
    let text = '';
    for (const id of ids) {
      const { delta, stopped } = this.#detokenizer.push(id);
      text += delta;
      this.#hasStopped = stopped;
    }
    this.#text += text;
    // INVARIANT: where they were asked for, the pipeline gives one for each token.
    if (this.#speller !== null) this.#speller.push(ids, logprobs!);
    return this.#part(text, this.#speller?.take(this.#text.length) ?? null);
  }

  /**
   * Ends the text.
   * @throws {ProtocolError} `internal_error` when the text does not bear out how the pipeline says that it ended
   */
  finish(kind: FinishKind): AnswerPart {
    const text = this.#detokenizer.finish();
    // INVARIANT: the pipeline has checked the claim's finish kind against the same rule.
    if (this.#hasStopped !== (kind === 'stop_string')) {
      throw new ProtocolError('internal_error', 'The finish kind contradicts the text.');
    }
    this.#text += text;
    return this.#part(text, this.#speller?.finish(this.#text.length, this.#hasStopped) ?? null);
  }

  /** Entries of all tokens so far; null where none were asked for. */
  get spelled(): readonly SpelledLogprobs[] | null {
    return this.#speller === null ? null : this.#spelled;
  }

  #part(text: string, logprobs: readonly SpelledLogprobs[] | null): AnswerPart {
    const offset = this.#spelledLength;
    for (const entry of logprobs ?? []) {
      this.#spelled.push(entry);
      this.#spelledLength += codePoints(entry.token);
    }
    return { text, logprobs, offset };
  }
}
