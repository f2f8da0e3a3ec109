import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GREEDY } from '#protocol/sampling';
import type { Engine } from '../../provider/engine/engine.ts';
import { createOnnxEngine } from '../../provider/engine/onnx/onnx-engine.ts';

/**
 * A hand-made graph with what minnow does not have: int32 ids, float16 cache and logits, `num_logits_to_keep`, neither
 * mask nor positions. After token v it wants token (v + 1) mod 8; its cache only grows.
 */
const VOCAB = 8;
const [FLOAT16, INT32, INT64] = [10, 6, 7];
const HALF_ONE = 0x3c00;

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
const number = (field: number, value: number): number[] => [...varint(field << 3), ...varint(value)];
const bytes = (field: number, value: Iterable<number>): number[] => {
  const list = [...value];
  return [...varint((field << 3) | 2), ...varint(list.length), ...list];
};
const text = (field: number, value: string): number[] => bytes(field, Buffer.from(value));

function node(type: string, inputs: string[], output: string, axis?: number): number[] {
  const attribute = axis === undefined ? [] : bytes(5, [...text(1, 'axis'), ...number(3, axis), ...number(20, 2)]);
  return bytes(1, [...inputs.flatMap((name) => text(1, name)), ...text(2, output), ...text(4, type), ...attribute]);
}
function constant(name: string, type: number, dims: number[], data: ArrayBufferView): number[] {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return bytes(5, [...dims.flatMap((dim) => number(1, dim)), ...number(2, type), ...text(8, name), ...bytes(9, raw)]);
}
function value(field: number, name: string, type: number, dims: (string | number)[]): number[] {
  const shape = dims.flatMap((dim) => bytes(1, typeof dim === 'number' ? number(1, dim) : text(2, dim)));
  const tensor = bytes(1, [...number(1, type), ...bytes(2, shape)]);
  return bytes(field, [...text(1, name), ...bytes(2, tensor)]);
}

function graph(): Uint8Array {
  const next = Uint16Array.from({ length: VOCAB * VOCAB }, (_, at) =>
    at % VOCAB === (Math.floor(at / VOCAB) + 1) % VOCAB ? HALF_ONE : 0,
  );
  const parts = [
    node('Gather', ['next', 'input_ids'], 'every_logit'),
    node('Neg', ['num_logits_to_keep'], 'minus'),
    node('Reshape', ['minus', 'one'], 'start'),
    node('Slice', ['every_logit', 'start', 'end', 'one'], 'logits'),
    node('Gather', ['entry', 'input_ids'], 'entries'),
    node('Unsqueeze', ['entries', 'one'], 'heads'),
    node('Concat', ['past_key_values.0.key', 'heads'], 'present.0.key', 2),
    text(2, 'bigram'),
    constant('next', FLOAT16, [VOCAB, VOCAB], next),
    constant('entry', FLOAT16, [VOCAB, 2], new Uint16Array(VOCAB * 2)),
    constant('one', INT64, [1], BigInt64Array.of(1n)),
    constant('end', INT64, [1], BigInt64Array.of(2n ** 62n)),
    value(11, 'input_ids', INT32, ['b', 's']),
    value(11, 'num_logits_to_keep', INT64, []),
    value(11, 'past_key_values.0.key', FLOAT16, ['b', 'h', 'p', 'd']),
    value(12, 'logits', FLOAT16, ['b', 'k', VOCAB]),
    value(12, 'present.0.key', FLOAT16, ['b', 'h', 't', 'd']),
  ];
  const opset = bytes(8, [...text(1, ''), ...number(2, 17)]);
  return Uint8Array.from([...number(1, 8), ...opset, ...bytes(7, parts.flat())]);
}

let folder: string;
let engine: Engine;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'assay-half-'));
  const weightsPath = path.join(folder, 'model_fp16.onnx');
  await writeFile(weightsPath, graph());
  const pieces = [...'abcdefgh'].map((piece, id) => [piece, id] as const);
  const hash = `0x${'00'.repeat(32)}` as const;
  const hashes = {
    config: hash,
    tokenizer: hash,
    tokenizerConfig: hash,
    generationConfig: hash,
    chatTemplate: hash,
    weights: hash,
  };
  const heads = { num_attention_heads: 1, num_key_value_heads: 1, hidden_size: 2 };
  const model = {
    name: 'bigram',
    textFiles: {
      config: { model_type: 'bigram', vocab_size: VOCAB, eos_token_id: 7, max_position_embeddings: 64, ...heads },
      tokenizer: {
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: null,
        post_processor: null,
        decoder: { type: 'ByteLevel' },
        model: { type: 'BPE', vocab: Object.fromEntries(pieces), merges: [] },
      },
      tokenizerConfig: {},
    },
    weightsPath,
    hashes,
    modelDigest: hash,
  };
  engine = await createOnnxEngine(model, { chunkTokens: 3 });
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

describe('the onnxruntime engine on a half-precision graph with 32-bit ids', () => {
  const request = { promptIds: [5, 6, 0, 1], sampling: GREEDY, seed: 0n };

  it('generates, and names its class by the cache', async () => {
    const ids: number[] = [];
    for await (const { id } of engine.generate({ ...request, maxTokens: 20 })) ids.push(id);
    expect(ids).toEqual([2, 3, 4, 5, 6, 7]);
    expect(engine.info.numericClass).toContain('/fp16/kv-fp16/');
  });

  it('scores over chunk borders', async () => {
    const evidence = await engine.score({ ...request, outputIds: [2, 3, 4, 4, 5, 6, 7] });
    expect(evidence.map(({ chosen, chosenLogit, top }) => [chosen, chosenLogit, top[0]![0]])).toEqual([
      [2, 65536, 2],
      [3, 65536, 3],
      [4, 65536, 4],
      [4, 0, 5],
      [5, 65536, 5],
      [6, 65536, 6],
      [7, 65536, 7],
    ]);
  });
});
