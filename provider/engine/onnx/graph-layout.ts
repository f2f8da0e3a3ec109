/** What a decoder's ONNX graph wants and gives, found in its metadata (Hugging Face's naming of inputs and outputs). */

import type { InferenceSession } from 'onnxruntime-common';
import { z } from 'zod';
import { EngineError } from '../engine.ts';

/** Types that caches and logits may have. */
export type FloatType = 'float32' | 'float16';
/** Types that ids, masks and positions may have. */
export type IntegerType = 'int64' | 'int32';

/** One tensor of the key-value cache. */
export interface CacheSlot {
  readonly input: string;
  readonly output: string;
  readonly type: FloatType;
  /** Shape before the first token: [1, key-value heads, 0, head size]. */
  readonly emptyDims: readonly [number, number, number, number];
}

/** Names and types of everything that a run feeds and fetches. */
export interface GraphLayout {
  readonly ids: { readonly name: string; readonly type: IntegerType };
  readonly mask: { readonly name: string; readonly type: IntegerType } | null;
  readonly positions: { readonly name: string; readonly type: IntegerType } | null;
  /** How many positions to compute logits for, where the graph can be told. */
  readonly logitsToKeep: { readonly name: string; readonly type: IntegerType } | null;
  readonly cache: readonly CacheSlot[];
  readonly logits: { readonly name: string; readonly type: FloatType };
}

/** The part of config.json that fills in symbolic cache shapes. */
const headsSchema = z.looseObject({
  num_attention_heads: z.int().min(1).optional(),
  n_head: z.int().min(1).optional(),
  num_key_value_heads: z.int().min(1).optional(),
  hidden_size: z.int().min(1).optional(),
  n_embd: z.int().min(1).optional(),
  head_dim: z.int().min(1).nullish(),
});

type Metadata = readonly InferenceSession.ValueMetadata[];

/**
 * Finds the layout of a decoder graph.
 * @param config config.json, parsed.
 * @throws EngineError `unsupported_model` naming what is missing or unknown.
 */
export function readGraphLayout(inputs: Metadata, outputs: Metadata, config: unknown): GraphLayout {
  const known = ['input_ids', 'attention_mask', 'position_ids', 'num_logits_to_keep'] as const;
  const [ids, mask, positions, logitsToKeep] = known.map((name) => integerInput(inputs, name));
  if (!ids) throw unsupported('the graph has no input "input_ids"');
  if (inputs.some(({ name }) => name === 'use_cache_branch')) {
    throw unsupported(
      'graphs with "use_cache_branch" (merged decoders) are not supported; export one with past keys only',
    );
  }
  const cacheInputs = inputs.filter(({ name }) => name.startsWith('past'));
  if (cacheInputs.length === 0) {
    throw unsupported('the graph has no key-value cache (inputs "past_key_values.*"); export the model with past keys');
  }
  const unknown = inputs.find(({ name }) => !name.startsWith('past') && !known.some((each) => each === name));
  if (unknown) throw unsupported(`the graph has an input "${unknown.name}" that is not known`);
  const logits = outputs.find(({ name }) => name === 'logits');
  if (!logits) throw unsupported('the graph has no output "logits"');
  return {
    ids,
    mask: mask ?? null,
    positions: positions ?? null,
    logitsToKeep: logitsToKeep ?? null,
    cache: cacheInputs.map((input) => cacheSlot(input, outputs, config)),
    logits: { name: logits.name, type: floatType(logits) },
  };
}

/** Type of the cache in class names: fp32 or fp16. */
export function cacheTypeName({ cache }: GraphLayout): 'fp32' | 'fp16' {
  return cache.some(({ type }) => type === 'float16') ? 'fp16' : 'fp32';
}

function integerInput(inputs: Metadata, name: string): { name: string; type: IntegerType } | undefined {
  const input = inputs.find((each) => each.name === name);
  if (input === undefined) return undefined;
  if (!input.isTensor || (input.type !== 'int64' && input.type !== 'int32')) {
    throw unsupported(`the input "${name}" is not an int32 or int64 tensor`);
  }
  return { name, type: input.type };
}

function cacheSlot(input: InferenceSession.ValueMetadata, outputs: Metadata, config: unknown): CacheSlot {
  const candidates = [
    input.name.replace(/^past_key_values/, 'present'),
    input.name.replace(/^past_key_values/, 'present_key_values'),
    input.name.replace(/^past/, 'present'),
  ];
  const output = outputs.find(({ name }) => name !== input.name && candidates.includes(name));
  if (output === undefined) throw unsupported(`the cache input "${input.name}" has no output that continues it`);
  const type = floatType(input);
  if (floatType(output) !== type) throw unsupported(`the cache "${input.name}" changes its type`);
  const shape = input.isTensor ? input.shape : [];
  const [, heads, past, size] = shape;
  // SAFETY: other layouts (Bloom's, Falcon's, GPTBigCode's) put the past elsewhere; guessing would give wrong tokens.
  if (shape.length !== 4 || (typeof past === 'number' && past > 0)) {
    throw unsupported(`the cache input "${input.name}" is not [batch, heads, past, size]`);
  }
  const dims = headDims(config);
  return {
    input: input.name,
    output: output.name,
    type,
    emptyDims: [1, fixed(heads) ?? dims.heads(), 0, fixed(size) ?? dims.size()],
  };
}

/** A dimension that the graph fixes; symbolic ones are strings or negative. */
function fixed(dimension: number | string | undefined): number | undefined {
  return typeof dimension === 'number' && dimension > 0 ? dimension : undefined;
}

function headDims(config: unknown): { heads(): number; size(): number } {
  const heads = headsSchema.parse(config);
  const attention = heads.num_attention_heads ?? heads.n_head;
  const width = heads.hidden_size ?? heads.n_embd;
  return {
    heads() {
      const count = heads.num_key_value_heads ?? attention;
      if (count === undefined) throw unsupported('config.json does not tell the number of key-value heads');
      return count;
    },
    size() {
      const size = heads.head_dim ?? (width && attention ? width / attention : undefined);
      if (size === undefined || !Number.isInteger(size)) throw unsupported('config.json does not tell the head size');
      return size;
    },
  };
}

function floatType(value: InferenceSession.ValueMetadata): FloatType {
  if (value.isTensor && (value.type === 'float32' || value.type === 'float16')) return value.type;
  throw unsupported(`"${value.name}" is not a float32 or float16 tensor`);
}

function unsupported(message: string): EngineError {
  return new EngineError('unsupported_model', message);
}
