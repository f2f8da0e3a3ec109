/** Limits of chat-completion requests; every one is checked before the work that it bounds. */

/** Configurable limits. */
export interface ChatLimits {
  /** Largest request body in bytes. */
  readonly bodyBytesMax: number;
  /** Most messages of one request. */
  readonly messagesMax: number;
  /** Most UTF-16 code units of all messages together; tokenising is synchronous, so this bounds how long it blocks. */
  readonly contentLengthMax: number;
  /** Output tokens where the client names no maximum. */
  readonly maxTokensDefault: number;
  /** Most choices of one answer, `n`; OpenAI's own limit is 128. */
  readonly choicesMax: number;
  /** Most choices of several prompts together. */
  readonly promptChoicesMax: number;
  /** Most output tokens that several choices may ask for together; one choice is bounded by the context alone. */
  readonly choicesTokensMax: number;
}

export const CHAT_LIMITS_DEFAULT: ChatLimits = Object.freeze({
  // 4 MiB: twice what the longest content takes when every code unit is two bytes of UTF-8.
  bodyBytesMax: 4 * 2 ** 20,
  messagesMax: 2048,
  // 1 Mi code units: 256k tokens of English at about four characters each.
  contentLengthMax: 2 ** 20,
  maxTokensDefault: 1024,
  // Each choice is a committee of its own: 8 are 24 jobs under the default quorum of 3.
  choicesMax: 8,
  // A provider by its own defaults runs 4 jobs and lets 16 wait: an idle one takes a whole request of 16, once.
  promptChoicesMax: 16,
  // 256k tokens: as JSON in base64 about 9 characters each, 2.3 of the 4 Mi that an attestation may have.
  choicesTokensMax: 2 ** 18,
});

/** Longest `Assay-Nonce` header. */
export const NONCE_LENGTH_MAX = 128;
