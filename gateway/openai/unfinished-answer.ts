/** An answer up to the seal, and its end once there is one: the live answer and its replay are made by the same code. */
import type { SealedAnswer } from './answer.ts';
import { DONE_FRAME, dataFrame } from './frames.ts';

/** One JSON body, or server-sent events. */
export type AnswerForm = 'json' | 'events';

export interface UnfinishedAnswer {
  readonly form: AnswerForm;
  readonly headers: Readonly<Record<string, string>>;
  /** Events that have left, each as its text. */
  readonly frames: readonly string[];
  /** The JSON body, or the last events; where there is an `assay` member, it lacks what the seal adds. */
  readonly tail: readonly Readonly<Record<string, unknown>>[];
}

/** The whole answer. */
export interface WholeAnswer {
  readonly form: AnswerForm;
  readonly headers: Readonly<Record<string, string>>;
  readonly frames: readonly string[];
}

/** Adds the seal. A stream's headers left before there was one, so only a JSON body gets those of the seal. */
export function finishAnswer(unfinished: UnfinishedAnswer, sealed: SealedAnswer): WholeAnswer {
  const { form, headers, frames, tail } = unfinished;
  const bodies = tail.map((body) => (body.assay ? { ...body, assay: { ...sealed.assay, ...body.assay } } : body));
  if (form === 'json') {
    return { form, headers: { ...headers, ...sealed.headers }, frames: bodies.map((body) => JSON.stringify(body)) };
  }
  return { form, headers, frames: [...frames, ...bodies.map(dataFrame), DONE_FRAME] };
}
