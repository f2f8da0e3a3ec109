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
}

export const CHAT_LIMITS_DEFAULT: ChatLimits = Object.freeze({
  // 4 MiB: twice what the longest content takes when every code unit is two bytes of UTF-8.
  bodyBytesMax: 4 * 2 ** 20,
  messagesMax: 2048,
  // 1 Mi code units: 256k tokens of English at about four characters each.
  contentLengthMax: 2 ** 20,
  maxTokensDefault: 1024,
});

/** Longest `Assay-Nonce` header. */
export const NONCE_LENGTH_MAX = 128;
