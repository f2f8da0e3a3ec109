/** One choice as it is shown to the client: text and tool calls, in the order in which they become certain (SPEC.md §12.6). */
import type { ContentChoice, ContentToolCall } from '#protocol/content';
import { type AnswerPiece, finishReason, shownCall, ToolCallReader } from '#protocol/tool-calls';
import type { AnswerRequest, FinishKind } from './answer.ts';

/** Members of OpenAI's `delta`, for one chunk of a stream. */
export type ChoiceDelta = Readonly<Record<string, unknown>>;

export class ShownChoice {
  readonly #index: number;
  readonly #requestId: string;
  readonly #reader: ToolCallReader | null;
  readonly #calls: ContentToolCall[] = [];
  #text = '';

  constructor({ requestId, toolNames }: Pick<AnswerRequest, 'requestId' | 'toolNames'>, index: number) {
    this.#requestId = requestId;
    this.#index = index;
    this.#reader = toolNames.length === 0 ? null : new ToolCallReader(toolNames);
  }

  /** Takes the next piece of text. @returns what can be shown now */
  push(text: string): ChoiceDelta[] {
    if (this.#reader !== null) return this.#reader.push(text).flatMap((piece) => this.#add(piece));
    return text === '' ? [] : this.#add({ kind: 'text', text });
  }

  /** The text is over. @returns what was held back */
  end(): ChoiceDelta[] {
    return (this.#reader?.finish() ?? []).flatMap((piece) => this.#add(piece));
  }

  /** What the attestation covers of it. */
  finished(finish: FinishKind): ContentChoice {
    const hasCalls = this.#calls.length > 0;
    return {
      index: this.#index,
      role: 'assistant',
      content: hasCalls && this.#text === '' ? null : this.#text,
      ...(hasCalls ? { tool_calls: this.#calls } : {}),
      finish_reason: finishReason(finish, hasCalls),
    };
  }

  #add(piece: AnswerPiece): ChoiceDelta[] {
    if (piece.kind === 'text') {
      this.#text += piece.text;
      return [{ content: piece.text }];
    }
    const index = this.#calls.length;
    const call = shownCall(piece.call, this.#requestId, this.#index, index);
    this.#calls.push(call);
    const { id, type } = call;
    const begun = { index, id, type, function: { name: call.function.name, arguments: '' } };
    // Identity and name first, then the arguments: SDKs put them together by `index`.
    return [{ tool_calls: [begun] }, { tool_calls: [{ index, function: { arguments: call.function.arguments } }] }];
  }
}
