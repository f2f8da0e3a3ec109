/** What a client holds after its request: an attested answer, a clear error, or nothing because it left. */
import { parseAttestation, type Statement } from '#protocol/attestation';
import { contentOfChunks, contentOfCompletion, type ResponseContent } from '#protocol/content';
import { contentOfText, contentOfTextChunks } from '#protocol/text-content';
import { parseSavedResponse } from '#protocol/verify-saved';
import type { Answer } from './simulation.ts';

export type Outcome =
  | {
      readonly kind: 'answered';
      readonly content: ResponseContent;
      readonly statement: Statement;
      readonly compact: string;
      /** The note of the receipt's checkpoint. */
      readonly checkpoint: string;
    }
  | { readonly kind: 'failed'; readonly status: number; readonly code: string }
  /** Hung up, or cut off by a crash. */
  | { readonly kind: 'left' }
  /** Neither: always a violation. */
  | { readonly kind: 'unclear'; readonly detail: string };

/** Every checker asks for the same answers; reading one takes a millisecond. */
const known = new WeakMap<Answer, Outcome>();

export function outcomeOf(answer: Answer): Outcome {
  const before = known.get(answer);
  if (before) return before;
  const outcome = read(answer);
  known.set(answer, outcome);
  return outcome;
}

function read({ status, text, plan }: Answer): Outcome {
  if (status === 0) return { kind: 'left' };
  const isChat = plan.body.prompt === undefined;
  if (plan.body.stream === true && status === 200) return streamOutcome(text, isChat);
  if (status !== 200) return errorOf(parse(text), status);
  return answered(text, (isChat ? contentOfCompletion : contentOfText)(parse(text)));
}

function streamOutcome(text: string, isChat: boolean): Outcome {
  const frames = text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => frame.slice('data: '.length));
  const last = frames.at(-1);
  if (last !== '[DONE]') return errorOf(parse(last ?? ''), 200);
  return answered(text, (isChat ? contentOfChunks : contentOfTextChunks)(frames.slice(0, -1).map(parse)));
}

function answered(text: string, content: ResponseContent | null): Outcome {
  const assay = parseSavedResponse(text)?.assay;
  const compact = assay?.attestation;
  const checkpoint = assay?.receipt?.checkpoint;
  const opened = compact ? parseAttestation(compact) : null;
  if (content === null || !compact || !checkpoint || opened === null) {
    return { kind: 'unclear', detail: 'an answer without an attestation' };
  }
  return { kind: 'answered', content, statement: opened.statement, compact, checkpoint };
}

function errorOf(body: unknown, status: number): Outcome {
  const code = (body as { error?: { code?: unknown } } | null)?.error?.code;
  if (typeof code !== 'string') return { kind: 'unclear', detail: `status ${status} without an error object` };
  if (code === 'internal_error') return { kind: 'unclear', detail: 'internal_error' };
  return { kind: 'failed', status, code };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
