/**
 * Makes a GGUF file from the embedded model's folder, so that no second copy of its weights is shipped. Byte for byte what
 * models/minnow/train/to_gguf.py writes, but from onnx/model.onnx and without Python.
 */
import { randomUUID } from 'node:crypto';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { z } from 'zod';
import { safeParse } from '#protocol/schema';
import { EngineError } from '../engine.ts';
import { halfToFloat } from '../half.ts';
import type { ModelFolder } from '../model-folder.ts';
import { messages } from '../onnx/messages.ts';
import { type GgufTensor, type GgufValue, writeGguf } from './gguf-writer.ts';

/** Field numbers of ModelProto, GraphProto and TensorProto (onnx.proto of ONNX 1.17), and the number of float16 there. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR = { dims: 1, dataType: 2, name: 8, rawData: 9 } as const;
const FLOAT16 = 10;

/** Kinds of tokens in llama.cpp's vocabulary. */
const TOKEN = { normal: 1, control: 3, unused: 5 } as const;

const zConfig = z.object({
  num_hidden_layers: z.int().min(1),
  num_attention_heads: z.int().min(1),
  num_key_value_heads: z.int().min(1),
  hidden_size: z.int().min(1),
  intermediate_size: z.int().min(1),
  head_dim: z.int().min(2),
  max_position_embeddings: z.int().min(1),
  rms_norm_eps: z.number(),
  rope_theta: z.number(),
  vocab_size: z.int().min(1),
  eos_token_id: z.int().min(0),
  pad_token_id: z.int().min(0),
});
const zTokenizer = z.object({
  added_tokens: z.array(z.object({ id: z.int().min(0), content: z.string() })),
  model: z.object({
    vocab: z.record(z.string(), z.int().min(0)),
    merges: z.array(z.union([z.string(), z.array(z.string())])),
  }),
});
const zTokenizerConfig = z.object({ chat_template: z.string() });
type Config = z.infer<typeof zConfig>;

/** A float16 initialiser: a vector, or a matrix that the graph stores as inputs × outputs (the embedding as rows × width). */
interface Half {
  readonly dims: readonly number[];
  readonly bits: Uint16Array;
}

/**
 * The GGUF file of a folder in the embedded model's layout; it is made where it is not there yet.
 * @param target folder of the file; the name tells model and precision, a folder above it the weights
 * @returns its path
 * @throws EngineError `unsupported_model`
 */
export async function ensureMinnowGguf(folder: ModelFolder, target: string): Promise<string> {
  const file = path.join(target, `gguf-${folder.modelDigest.slice(2, 18)}`, `${folder.name}-f16.gguf`);
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (isThere) return file;
  const bytes = await minnowGguf(folder);
  await mkdir(path.dirname(file), { recursive: true });
  // Two that start at one time make the same bytes; a half-written file must never be taken for a whole one.
  const unfinished = `${file}.${randomUUID()}`;
  await writeFile(unfinished, bytes);
  await rename(unfinished, file);
  return file;
}

/** @throws EngineError `unsupported_model` */
export async function minnowGguf({ name, textFiles, weightsPath }: ModelFolder): Promise<Uint8Array> {
  const config = safeParse(zConfig, textFiles.config);
  const tokenizer = safeParse(zTokenizer, textFiles.tokenizer);
  const tokenizerConfig = safeParse(zTokenizerConfig, textFiles.tokenizerConfig);
  if (!config.success || !tokenizer.success || !tokenizerConfig.success) throw unsupported();
  const weights = halvesOf(await readFile(weightsPath));
  const metadata = metadataOf(name, config.data, tokenizer.data, tokenizerConfig.data.chat_template);
  return writeGguf(metadata, tensorsOf(config.data, weights));
}

function tensorsOf(config: Config, weights: ReadonlyMap<string, Half>): GgufTensor[] {
  const { num_attention_heads: heads, num_key_value_heads: keyHeads, head_dim: size, intermediate_size: feed } = config;
  const width = config.hidden_size;
  const [queries, keys] = [heads * size, keyHeads * size];
  const find = (name: string): Half => {
    const found = weights.get(name);
    if (found === undefined) throw unsupported();
    return found;
  };
  const vector = (name: string, source: string): GgufTensor => {
    const { dims, bits } = find(source);
    return { name, dims, values: halfToFloat(bits) };
  };
  /** Rows of a matrix that the graph stores transposed; `order` gives the source row of each. */
  const matrix = (name: string, source: string, count: number, order: (row: number) => number): GgufTensor => {
    const { dims, bits } = find(source);
    const [inputs = 0, outputs = 0] = dims;
    const values = new Uint16Array(count * inputs);
    for (let row = 0; row < count; row++) {
      const from = order(row);
      for (let at = 0; at < inputs; at++) values[row * inputs + at] = bits[at * outputs + from]!;
    }
    return { name, dims: [inputs, count], values };
  };
  const embed = find('embed');
  const tensors: GgufTensor[] = [
    { name: 'token_embd.weight', dims: [...embed.dims].reverse(), values: embed.bits },
    vector('output_norm.weight', 'norm'),
  ];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const [from, to] = [`l${layer}_`, `blk.${layer}.`];
    tensors.push(
      vector(`${to}attn_norm.weight`, `${from}n1`),
      matrix(`${to}attn_q.weight`, `${from}qkv`, queries, (row) => interleaved(row, size)),
      matrix(`${to}attn_k.weight`, `${from}qkv`, keys, (row) => queries + interleaved(row, size)),
      matrix(`${to}attn_v.weight`, `${from}qkv`, keys, (row) => queries + keys + row),
      matrix(`${to}attn_output.weight`, `${from}o`, width, (row) => row),
      vector(`${to}ffn_norm.weight`, `${from}n2`),
      matrix(`${to}ffn_gate.weight`, `${from}gu`, feed, (row) => row),
      matrix(`${to}ffn_up.weight`, `${from}gu`, feed, (row) => feed + row),
      matrix(`${to}ffn_down.weight`, `${from}down`, width, (row) => row),
    );
  }
  return tensors;
}

/** llama.cpp rotates neighbouring rows of a head, the graph rows that are half a head apart. */
function interleaved(row: number, size: number): number {
  const inHead = row % size;
  return row - inHead + Math.floor(inHead / 2) + (inHead % 2) * (size / 2);
}

function metadataOf(
  name: string,
  config: Config,
  { model, added_tokens: added }: z.infer<typeof zTokenizer>,
  chatTemplate: string,
): (readonly [string, GgufValue])[] {
  const tokens = Array.from({ length: config.vocab_size }, (_, id) => `[unused${id}]`);
  const kinds = new Array<number>(config.vocab_size).fill(TOKEN.unused);
  for (const [text, id] of Object.entries(model.vocab)) [tokens[id], kinds[id]] = [text, TOKEN.normal];
  for (const { id, content } of added) [tokens[id], kinds[id]] = [content, TOKEN.control];
  const merges = model.merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')));
  const whole = (value: number): GgufValue => ({ kind: 'uint32', value });
  const real = (value: number): GgufValue => ({ kind: 'float32', value });
  const text = (value: string): GgufValue => ({ kind: 'string', value });
  return [
    ['general.architecture', text('llama')],
    ['general.name', text(name)],
    ['general.file_type', whole(1)],
    ['llama.context_length', whole(config.max_position_embeddings)],
    ['llama.embedding_length', whole(config.hidden_size)],
    ['llama.block_count', whole(config.num_hidden_layers)],
    ['llama.feed_forward_length', whole(config.intermediate_size)],
    ['llama.attention.head_count', whole(config.num_attention_heads)],
    ['llama.attention.head_count_kv', whole(config.num_key_value_heads)],
    ['llama.attention.layer_norm_rms_epsilon', real(config.rms_norm_eps)],
    ['llama.rope.dimension_count', whole(config.head_dim)],
    ['llama.rope.freq_base', real(config.rope_theta)],
    ['llama.vocab_size', whole(config.vocab_size)],
    ['tokenizer.ggml.model', text('gpt2')],
    // The split expression of tokenizer.json.
    ['tokenizer.ggml.pre', text('qwen2')],
    ['tokenizer.ggml.tokens', { kind: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { kind: 'int32s', value: kinds }],
    ['tokenizer.ggml.merges', { kind: 'strings', value: merges }],
    ['tokenizer.ggml.eos_token_id', whole(config.eos_token_id)],
    ['tokenizer.ggml.padding_token_id', whole(config.pad_token_id)],
    ['tokenizer.ggml.add_bos_token', { kind: 'bool', value: false }],
    ['tokenizer.chat_template', text(chatTemplate)],
  ];
}

function halvesOf(model: Uint8Array): Map<string, Half> {
  const halves = new Map<string, Half>();
  for (const graph of messages(model, MODEL_GRAPH)) {
    for (const tensor of messages(graph, GRAPH_INITIALIZER)) {
      const half = halfOf(tensor);
      if (half !== null) halves.set(half.name, half);
    }
  }
  return halves;
}

function halfOf(tensor: Uint8Array): (Half & { readonly name: string }) | null {
  const reader = new BinaryReader(tensor);
  const dims: number[] = [];
  let [name, dataType, raw] = ['', 0, new Uint8Array(0)];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === TENSOR.name) name = reader.string();
    else if (field === TENSOR.dataType) dataType = reader.int32();
    else if (field === TENSOR.rawData) raw = new Uint8Array(reader.bytes());
    else if (field === TENSOR.dims && type === WireType.Varint) dims.push(Number(reader.int64()));
    else if (field === TENSOR.dims) {
      for (const end = reader.uint32() + reader.pos; reader.pos < end; ) dims.push(Number(reader.int64()));
    } else reader.skip(type, field);
  }
  return dataType === FLOAT16 ? { name, dims, bits: new Uint16Array(raw.buffer, 0, raw.length / 2) } : null;
}

function unsupported(): EngineError {
  const message = 'a GGUF file is made for the embedded model alone; name one of another model with --gguf';
  return new EngineError('unsupported_model', message);
}
