/** A Hugging Face tokenizer that cannot be talked into special tokens (SPEC.md, "Text"). */

import { Tokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { ProtocolError } from './errors.ts';
import type { PromptPart, SpecialToken } from './special-tokens.ts';

/** A token id in a model's files. */
export const idSchema = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);

/** An entry of `added_tokens` in tokenizer.json; members that only the tokenizer reads stay. */
export const addedTokenSchema = z.looseObject({
  id: idSchema,
  content: z.string().min(1),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  special: z.boolean().default(false),
});

/** Tokenises plain text; it is given no special tokens, so it cannot make any. */
export class PlainEncoder {
  readonly #first: Tokenizer;
  readonly #later: Tokenizer;
  readonly #forbidden: ReadonlySet<number>;

  /**
   * @param tokenizer tokenizer.json.
   * @param config tokenizer_config.json.
   * @param unknownId the token for what the vocabulary lacks, which plain text may give although it is special.
   */
  constructor(tokenizer: object, config: object, special: readonly SpecialToken[], unknownId: number | undefined) {
    const specialIds = new Set(special.map(({ id }) => id));
    const files = z.looseObject({ added_tokens: z.array(addedTokenSchema).default([]) }).parse(tokenizer);
    const plain = {
      ...files,
      added_tokens: files.added_tokens.filter(({ id }) => !specialIds.has(id)),
      post_processor: null,
    };
    this.#first = new Tokenizer(plain, config);
    this.#later = withoutFirstSpace(plain, config) ?? this.#first;
    this.#forbidden = new Set([...specialIds].filter((id) => id !== unknownId));
  }

  /** Ids of a prompt: special tokens as they are, everything else as plain text. */
  encodeParts(parts: readonly PromptPart[]): number[] {
    return parts.flatMap((part, at) => (part.kind === 'special' ? [part.token.id] : this.encodeText(part.text, at)));
  }

  /**
   * Ids of plain text.
   * @param at 0 for text at the very start of the prompt.
   * @throws ProtocolError `invalid_request` if the vocabulary itself spells a special token (possible for Unigram).
   */
  encodeText(text: string, at: number): number[] {
    if (text === '') return [];
    const ids: number[] = (at === 0 ? this.#first : this.#later).encode(text, { add_special_tokens: false }).ids;
    if (ids.some((id) => this.#forbidden.has(id))) {
      throw new ProtocolError('invalid_request', 'text must not form special tokens of the model');
    }
    return ids;
  }
}

/** "first" puts SentencePiece's dummy space at the very start of a prompt, and not after each special token. */
function withoutFirstSpace(tokenizer: Record<string, unknown>, config: object): Tokenizer | undefined {
  const text = JSON.stringify(tokenizer.pre_tokenizer ?? null);
  const later = text.replaceAll('"prepend_scheme":"first"', '"prepend_scheme":"never"');
  if (later === text) return undefined;
  return new Tokenizer({ ...tokenizer, pre_tokenizer: JSON.parse(later) as unknown }, config);
}
