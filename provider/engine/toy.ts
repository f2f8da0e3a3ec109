/** A tiny deterministic model for simulations: logits are hashes of the last tokens, no files are needed. */

import { Detokenizer, detokenize } from '#protocol/detokenizer';
import type { TokenEvidence } from '#protocol/evidence';
import { TOP_LOGPROBS_MAX } from '#protocol/logprobs';
import type { ChatMessage, TextModel } from '#protocol/text';
import type { Engine, EngineInfo, GeneratedToken, GenerateRequest, ScoreRequest } from './engine.ts';
import { checkSignal, checkTokens, EngineError } from './engine.ts';
import { TranscriptScorer, TranscriptWriter } from './transcript.ts';

/** ASCII: ids of text are character codes. */
const VOCAB_SIZE = 128;
const EOS_ID = 0;
/** Opens a message; followed by the role's id. */
const MESSAGE_ID = 1;
/** Roles, by the order of this list from id 2 on; another role counts as the last. */
const ROLES = ['system', 'user', 'assistant', 'tool'];
const CONTEXT_MAX = 8192;
/** How many tokens decide about the next one, besides how many there are. */
const MEMORY_TOKENS = 4;
/** Logits spread over this range: about 2 nats of entropy at temperature 1. */
const LOGIT_RANGE = 12;
/** Control characters are never text. */
const CONTROL_LOGIT = -30;
/** EOS gets this on top: its share at temperature 1 is e^0.5 of 97 tokens, so answers have some 60 tokens. */
const EOS_BONUS = 0.5;

/** Half widths up to which two tokens of two machines move apart by less than the ties of fp32 and fp16: 0.01 / 4, 0.1 / 4. */
const FP32_JITTER_MAX = 0.0025;
const FP16_JITTER_MAX = 0.025;

/** The arithmetic that such noise passes for; without noise all toys compute the same bits. */
function arithmeticName(jitter: number): string {
  if (jitter === 0) return 'exact';
  if (jitter <= FP32_JITTER_MAX) return 'fp32';
  return jitter <= FP16_JITTER_MAX ? 'fp16' : 'coarse';
}

/** Which toy model, and how it computes. */
export interface ToyEngineOptions {
  /** Another salt is another model. */
  readonly salt?: string;
  /** Half width of the numeric noise that an honest machine of another class adds to each logit; 0 by default. */
  readonly jitter?: number;
  /** Another class has other noise; also part of the class's name. */
  readonly classSalt?: string;
  /** Named in the manifest. */
  readonly name?: string;
}

/** Makes a toy engine; the same options give the same tokens for ever. */
export function createToyEngine(options: ToyEngineOptions = {}): Engine {
  return new ToyEngine(options);
}

/** Chat markers are ids below 32; text is printable ASCII and newlines, anything else becomes a question mark. */
export const TOY_TEXT: TextModel = {
  modelType: 'toy',
  contextMax: CONTEXT_MAX,
  vocabSize: VOCAB_SIZE,
  eosIds: [EOS_ID],
  toolFormat: null,
  renderChat: (messages) => messages.map((message) => `<${message.role}>${contentOf(message)}\n`).join(''),
  encodeChat: (messages) => [...messages.flatMap(messageIds), MESSAGE_ID, roleId('assistant')],
  encode: (text) => textIds(text),
  encodePrompt: (text) => (text === '' ? [EOS_ID] : textIds(text)),
  decode: (ids) => detokenize(TOY_BYTES, ids, []).text,
  createDetokenizer: (stop) => new Detokenizer(TOY_BYTES, stop),
  tokenBytes: (id) => TOY_BYTES.bytesOf(id),
  tokenName: (id) => (isText(id) ? '' : `<${id}>`),
  finalText: (ids, stop) => detokenize(TOY_BYTES, ids, stop),
};

const TOY_BYTES = {
  leadingSpaces: 0,
  bytesOf: (id: number): Uint8Array => (isText(id) ? Uint8Array.of(id) : new Uint8Array(0)),
};

class ToyEngine implements Engine {
  readonly info: EngineInfo;
  readonly text = TOY_TEXT;
  readonly #salt: number;
  readonly #classSalt: number;
  readonly #jitter: number;
  #closed = false;

  constructor({ salt = 'toy', jitter = 0, classSalt = 'a', name = 'toy' }: ToyEngineOptions) {
    this.#salt = hashText(salt);
    this.#classSalt = hashText(classSalt);
    this.#jitter = jitter;
    this.info = {
      engine: name,
      engineVersion: '1',
      numericClass: `${name}-1/cpu/${arithmeticName(jitter)}/kv-none/${jitter === 0 ? 'toy' : `jitter-${jitter}-${classSalt}`}`,
      vocabSize: VOCAB_SIZE,
      contextMax: CONTEXT_MAX,
      eosIds: [EOS_ID],
      executionProviders: ['cpu'],
      logprobsMax: TOP_LOGPROBS_MAX,
    };
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GeneratedToken, void, void> {
    checkTokens(this.info, request.promptIds, [], request.maxTokens);
    if (request.maxTokens === 0) return;
    const writer = new TranscriptWriter(request, this.text);
    const ids = [...request.promptIds];
    const logits = new Float32Array(VOCAB_SIZE);
    while (true) {
      this.#checkRunning(request.signal);
      this.#writeLogits(logits, ids, ids.length);
      const token = writer.next(logits);
      ids.push(token.id);
      yield token;
      if (token.finish !== null) return;
    }
  }

  async score({ promptIds, outputIds, sampling, seed, signal }: ScoreRequest): Promise<TokenEvidence[]> {
    checkTokens(this.info, promptIds, outputIds, outputIds.length);
    this.#checkRunning(signal);
    const scorer = new TranscriptScorer(sampling, seed, outputIds);
    const ids = [...promptIds, ...outputIds];
    const logits = new Float32Array(VOCAB_SIZE);
    for (let length = promptIds.length; length < ids.length; length++) {
      this.#writeLogits(logits, ids, length);
      scorer.score(logits);
    }
    return scorer.evidence;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  /** Logits after the first `length` tokens. */
  #writeLogits(logits: Float32Array, ids: readonly number[], length: number): void {
    let state = mix(this.#salt, length);
    for (let at = Math.max(0, length - MEMORY_TOKENS); at < length; at++) state = mix(state, ids[at]!);
    for (let id = 0; id < VOCAB_SIZE; id++) {
      const word = mix(state, id);
      const noise = this.#jitter === 0 ? 0 : this.#jitter * (mix(word, this.#classSalt) / 2 ** 31 - 1);
      const logit = (word / 2 ** 32) * LOGIT_RANGE + (id === EOS_ID ? EOS_BONUS : 0);
      logits[id] = (isText(id) || id === EOS_ID ? logit : CONTROL_LOGIT) + noise;
    }
  }

  #checkRunning(signal: AbortSignal | undefined): void {
    checkSignal(signal);
    if (this.#closed) throw new EngineError('closed', 'the engine is closed');
  }
}

/** One step of a 32-bit hash (the finaliser of MurmurHash3); good enough for a toy, not for cryptography. */
function mix(state: number, value: number): number {
  let word = (state ^ Math.imul(value + 1, 0x9e3779b1)) >>> 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

function hashText(text: string): number {
  let state = 0;
  for (let at = 0; at < text.length; at++) state = mix(state, text.charCodeAt(at));
  return state;
}

function isText(id: number): boolean {
  return id === 10 || (id >= 32 && id < 127);
}

function textIds(text: string): number[] {
  return [...text].map((character) => {
    const code = character.codePointAt(0)!;
    return isText(code) ? code : 63;
  });
}

function roleId(role: string): number {
  const at = ROLES.indexOf(role);
  return 2 + (at < 0 ? ROLES.length - 1 : at);
}

function messageIds(message: ChatMessage): number[] {
  return [MESSAGE_ID, roleId(message.role), ...textIds(contentOf(message))];
}

function contentOf({ content }: ChatMessage): string {
  return typeof content === 'string' ? content : '';
}
