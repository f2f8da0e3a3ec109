/**
 * Chat template, tokenizer and detokenizer of a model folder, the same in gateway, provider and verifier
 * (SPEC.md, "Text"). Everybody who has the model's files gets the same token ids from the same messages.
 */

import { Template } from '@huggingface/jinja';
import { z } from 'zod';
import type { FinalText } from './detokenizer.ts';
import { Detokenizer, detokenize } from './detokenizer.ts';
import { ProtocolError } from './errors.ts';
import { addedTokenSchema, idSchema, PlainEncoder } from './plain-encoder.ts';
import { safeParse } from './schema.ts';
import type { PromptPart } from './special-tokens.ts';
import { SpecialTokens } from './special-tokens.ts';
import { type DecoderStep, tokenBytes } from './token-bytes.ts';
import { type ToolFormat, toolFormatOf } from './tool-calls.ts';

/** A message as the client sent it; templates may read any member. */
export interface ChatMessage {
  readonly role: string;
  /** Text, text parts (joined by newlines) or null (empty). */
  readonly content?: string | null | readonly unknown[];
  readonly [member: string]: unknown;
}

/** What a template gets besides the messages. */
export interface ChatOptions {
  /** Tool definitions as the client sent them. */
  readonly tools?: readonly unknown[];
}

/** A model's text side. */
export interface TextModel {
  /** Architecture name in config.json, such as `llama`. */
  readonly modelType: string;
  /** Most tokens of prompt and answer together. */
  readonly contextMax: number;
  /** Width of the logits. */
  readonly vocabSize: number;
  /** Tokens that end an answer, ascending. */
  readonly eosIds: readonly number[];
  /** How the chat template has tools called; null where it does not tell of tools. */
  readonly toolFormat: ToolFormat | null;
  /** The prompt as text, for people; only `encodeChat` tells special tokens from their spelling. */
  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string;
  /**
   * The prompt's token ids, ready for an answer.
   * @throws ProtocolError `invalid_request` when the template refuses the messages, or they would form special tokens.
   */
  encodeChat(messages: readonly ChatMessage[], options?: ChatOptions): number[];
  /** Ids of plain text: special tokens in it are spelled out, none is added. */
  encode(text: string): number[];
  /** Ids of a prompt without template (`/v1/completions`): plain text after the model's start token, if it has one. */
  encodePrompt(text: string): number[];
  /** The text of ids, special and terminal ones skipped. */
  decode(ids: readonly number[]): string;
  createDetokenizer(stop: readonly string[]): Detokenizer;
  /** Bytes of one token; none for special, terminal and unknown ids. */
  tokenBytes(id: number): Uint8Array;
  /** Name of an added token such as `<|im_end|>`; empty for every other id. */
  tokenName(id: number): string;
  /** The text of a whole transcript by the rule of the detokenizer, and where a stop string ended it. */
  finalText(ids: readonly number[], stop: readonly string[]): FinalText;
}

/** A model folder's JSON files, parsed but not checked. */
export interface TextModelFiles {
  readonly config: unknown;
  readonly tokenizer: unknown;
  readonly tokenizerConfig: unknown;
  readonly generationConfig?: unknown;
  /** Content of chat_template.jinja, which goes before the template in tokenizer_config.json. */
  readonly chatTemplate?: string;
}

const eosSchema = z.union([idSchema, z.array(idSchema)]).nullish();
const configSchema = z.looseObject({
  model_type: z.string().min(1),
  vocab_size: z
    .int()
    .min(1)
    .max(2 ** 20),
  eos_token_id: eosSchema,
  max_position_embeddings: z.int().min(1).optional(),
  n_positions: z.int().min(1).optional(),
});
const decoderSchema: z.ZodType<DecoderStep> = z.object({
  type: z.string(),
  pattern: z.object({ String: z.string().optional() }).optional(),
  content: z.string().optional(),
  start: z.int().optional(),
  stop: z.int().optional(),
  replacement: z.string().optional(),
  prepend_scheme: z.string().optional(),
  add_prefix_space: z.boolean().optional(),
  get decoders() {
    return z.array(decoderSchema).optional();
  },
});
const postProcessorSchema = z.looseObject({
  type: z.string(),
  single: z.array(z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }).optional() })).optional(),
  get processors() {
    return z.array(postProcessorSchema).optional();
  },
});
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  decoder: decoderSchema.nullable(),
  post_processor: postProcessorSchema.nullish(),
  model: z.looseObject({
    vocab: z.union([z.record(z.string(), idSchema), z.array(z.tuple([z.string(), z.number()]))]),
    unk_token: z.string().nullish(),
    unk_id: idSchema.nullish(),
  }),
});
const tokenNameSchema = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]);
const tokenizerConfigSchema = z.looseObject({
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
  bos_token: tokenNameSchema.nullish(),
  eos_token: tokenNameSchema.nullish(),
  pad_token: tokenNameSchema.nullish(),
  unk_token: tokenNameSchema.nullish(),
  add_bos_token: z.boolean().nullish(),
});
const textPartSchema = z.object({ type: z.enum(['text', 'input_text']), text: z.string() });

/**
 * Templates that print the date get this one (Llama's own default), since a prompt must not depend on the day on which
 * it is checked: Friday, 26 July 2024, 00:00:00.
 */
const FIXED_DATE: Readonly<Record<string, string>> = {
  A: 'Friday',
  a: 'Fri',
  d: '26',
  j: '208',
  B: 'July',
  b: 'Jul',
  m: '07',
  Y: '2024',
  y: '24',
  H: '00',
  M: '00',
  S: '00',
  '%': '%',
};

/**
 * Reads a model's text side from its files.
 * @throws ZodError or RangeError when the files are not of a supported kind; for the operator, never from the wire.
 */
export function createTextModel(files: TextModelFiles): TextModel {
  const config = configSchema.parse(files.config);
  const generation = z.looseObject({ eos_token_id: eosSchema }).parse(files.generationConfig ?? {});
  const tokenizer = tokenizerSchema.parse(files.tokenizer);
  const tokenizerConfig = tokenizerConfigSchema.parse(files.tokenizerConfig);
  const added = new Map(tokenizer.added_tokens.map((token) => [token.content, token]));
  const idOf = (name: string | null | undefined): number | undefined => (name ? added.get(name)?.id : undefined);
  const eosIds = eosIdsOf(generation.eos_token_id ?? config.eos_token_id, idOf(tokenizerConfig.eos_token));
  const special = tokenizer.added_tokens.filter((token) => token.special);
  const encoder = new PlainEncoder(
    files.tokenizer as object,
    files.tokenizerConfig as object,
    special,
    unknownId(tokenizer, idOf),
  );
  const specialTokens = new SpecialTokens(special);
  const names = new Map(tokenizer.added_tokens.map(({ id, content }) => [id, content]));
  const bytes = tokenBytes(tokenizer.decoder, {
    pieces: new Map(piecesOf(tokenizer.model.vocab)),
    added: names,
    silent: new Set([...special.map(({ id }) => id), ...eosIds]),
  });
  const template = files.chatTemplate ?? templateOf(tokenizerConfig.chat_template);
  const render = chatRenderer(template, tokenizerConfig);
  const bosId = idOf(tokenizerConfig.bos_token);
  const startIds = startIdsOf(tokenizer.post_processor, tokenizerConfig, bosId);
  const partsOf = (messages: readonly ChatMessage[], options: ChatOptions = {}): PromptPart[] => {
    const plain = { messages: messages.map(withPlainContent), tools: options.tools };
    return specialTokens.render(plain, (guarded) => render(guarded.messages, guarded.tools));
  };
  return {
    modelType: config.model_type,
    contextMax: config.max_position_embeddings ?? config.n_positions ?? 2048,
    vocabSize: config.vocab_size,
    eosIds,
    toolFormat: toolFormatOf(template ?? '', (text) => added.get(text)?.special === true),
    renderChat: (messages, options) =>
      partsOf(messages, options)
        .map((part) => (part.kind === 'text' ? part.text : part.token.content))
        .join(''),
    encodeChat: (messages, options) => encoder.encodeParts(partsOf(messages, options)),
    encode: (text) => encoder.encodeText(text, 0),
    encodePrompt: (text) => {
      const ids = [...startIds, ...encoder.encodeText(text, startIds.length)];
      return ids.length > 0 ? ids : [bosId ?? eosIds[0] ?? 0];
    },
    decode: (ids) => detokenize(bytes, ids, []).text,
    createDetokenizer: (stop) => new Detokenizer(bytes, stop),
    tokenBytes: (id) => bytes.bytesOf(id),
    tokenName: (id) => names.get(id) ?? '',
    finalText: (ids, stop) => detokenize(bytes, ids, stop),
  };
}

function chatRenderer(
  source: string | undefined,
  names: z.infer<typeof tokenizerConfigSchema>,
): (messages: readonly ChatMessage[], tools: readonly unknown[] | undefined) => string {
  // Jinja's own strftime_now reads the clock; under another name it is ours.
  const template = source === undefined ? undefined : new Template(source.replaceAll('strftime_now', 'fixed_strftime'));
  return (messages, tools) => {
    if (template === undefined)
      throw new ProtocolError('invalid_request', 'the model has no chat template', { param: 'messages' });
    try {
      return template.render({
        messages,
        ...(tools === undefined ? {} : { tools }),
        add_generation_prompt: true,
        bos_token: names.bos_token ?? '',
        eos_token: names.eos_token ?? '',
        pad_token: names.pad_token ?? '',
        unk_token: names.unk_token ?? '',
        fixed_strftime: (format: string) => format.replace(/%(.)/g, (all, letter: string) => FIXED_DATE[letter] ?? all),
      });
    } catch {
      // The template's message may quote the prompt, so it is not passed on.
      throw new ProtocolError('invalid_request', 'the chat template of the model refuses these messages', {
        param: 'messages',
      });
    }
  };
}

/** Templates expect strings: parts are joined by newlines (as vLLM does), null becomes empty. */
function withPlainContent(message: ChatMessage): ChatMessage {
  const { content } = message;
  if (typeof content === 'string') return message;
  if (content === undefined || content === null) return { ...message, content: '' };
  const parts = safeParse(z.array(textPartSchema), content);
  if (!parts.success) throw new ProtocolError('invalid_request', 'messages may hold text only', { param: 'messages' });
  return { ...message, content: parts.data.map(({ text }) => text).join('\n') };
}

function templateOf(template: z.infer<typeof tokenizerConfigSchema>['chat_template']): string | undefined {
  if (template === null || template === undefined) return undefined;
  if (typeof template === 'string') return template;
  return template.find(({ name }) => name === 'default')?.template;
}

function eosIdsOf(configured: number | number[] | null | undefined, fallback: number | undefined): number[] {
  const ids = configured ?? fallback ?? [];
  return [...new Set(Array.isArray(ids) ? ids : [ids])].sort((a, b) => a - b);
}

function unknownId(
  { model }: z.infer<typeof tokenizerSchema>,
  idOf: (name: string | null | undefined) => number | undefined,
): number | undefined {
  return model.unk_id ?? idOf(model.unk_token);
}

function piecesOf(vocab: Record<string, number> | [string, number][]): [id: number, piece: string][] {
  if (Array.isArray(vocab)) return vocab.map(([piece], id) => [id, piece]);
  return Object.entries(vocab).map(([piece, id]) => [id, piece]);
}

/** The start token, where the tokenizer's post-processor (or, without one, its configuration) puts it before a text. */
function startIdsOf(
  postProcessor: z.infer<typeof postProcessorSchema> | null | undefined,
  { bos_token, add_bos_token }: z.infer<typeof tokenizerConfigSchema>,
  bosId: number | undefined,
): number[] {
  if (bosId === undefined) return [];
  const steps =
    postProcessor?.type === 'Sequence' ? (postProcessor.processors ?? []) : postProcessor ? [postProcessor] : [];
  const template = steps.find(({ single }) => single !== undefined);
  const adds = template ? template.single?.[0]?.SpecialToken?.id === bos_token : add_bos_token === true;
  return adds ? [bosId] : [];
}
