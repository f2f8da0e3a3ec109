import type { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { halfToFloat } from '../../provider/engine/half.ts';
import { readGraphLayout } from '../../provider/engine/onnx/graph-layout.ts';
import { arithmeticName } from '../../provider/engine/onnx/onnx-engine.ts';

type Value = InferenceSession.ValueMetadata;
const tensor = (
  name: string,
  type: InferenceSession.TensorValueMetadata['type'],
  shape: (string | number)[],
): Value => ({
  name,
  isTensor: true,
  type,
  shape,
});
const CONFIG = { num_attention_heads: 8, num_key_value_heads: 2, hidden_size: 64 };
const ids = tensor('input_ids', 'int64', ['b', 's']);
const mask = tensor('attention_mask', 'int64', ['b', 't']);
const logits = tensor('logits', 'float32', ['b', 's', 100]);
const cache = (prefix: string, type: 'float32' | 'float16', shape: (string | number)[]): Value[] =>
  ['key', 'value'].map((part) => tensor(`${prefix}.0.${part}`, type, shape));
const past = cache('past_key_values', 'float32', ['b', 2, 'p', 8]);
const present = cache('present', 'float32', ['b', 2, 't', 8]);

describe('readGraphLayout', () => {
  it('finds names, types and shapes of an ordinary decoder', () => {
    const positions = tensor('position_ids', 'int64', ['b', 's']);
    const layout = readGraphLayout([ids, mask, positions, ...past], [logits, ...present], CONFIG);
    expect(layout).toEqual({
      ids: { name: 'input_ids', type: 'int64' },
      mask: { name: 'attention_mask', type: 'int64' },
      positions: { name: 'position_ids', type: 'int64' },
      logitsToKeep: null,
      cache: [
        { input: 'past_key_values.0.key', output: 'present.0.key', type: 'float32', emptyDims: [1, 2, 0, 8] },
        { input: 'past_key_values.0.value', output: 'present.0.value', type: 'float32', emptyDims: [1, 2, 0, 8] },
      ],
      logits: { name: 'logits', type: 'float32' },
    });
  });

  it('takes half precision, 32-bit ids, symbolic shapes and graphs without mask and positions', () => {
    const inputs = [
      tensor('input_ids', 'int32', ['b', 's']),
      ...cache('past_key_values', 'float16', ['b', 'h', 'p', 'd']),
    ];
    const outputs = [
      tensor('logits', 'float16', ['b', 's', 'v']),
      ...cache('present_key_values', 'float16', ['b', 'h', 't', 'd']),
    ];
    const layout = readGraphLayout(inputs, outputs, CONFIG);
    expect(layout).toMatchObject({ ids: { type: 'int32' }, mask: null, positions: null, logits: { type: 'float16' } });
    expect(layout.cache[1]).toEqual({
      input: 'past_key_values.0.value',
      output: 'present_key_values.0.value',
      type: 'float16',
      emptyDims: [1, 2, 0, 8],
    });
  });

  it.each<[string, Value[], Value[], RegExp]>([
    ['a graph without cache', [ids, mask], [logits], /no key-value cache/],
    [
      'a merged decoder',
      [ids, ...past, tensor('use_cache_branch', 'bool', [1])],
      [logits, ...present],
      /use_cache_branch/,
    ],
    [
      'a graph without ids',
      [tensor('inputs_embeds', 'float32', ['b', 's', 64]), ...past],
      [logits, ...present],
      /input_ids/,
    ],
    [
      'an input that nobody knows',
      [ids, ...past, tensor('pixel_values', 'float32', [1])],
      [logits, ...present],
      /"pixel_values"/,
    ],
    ['a cache that does not come back', [ids, ...past], [logits], /no output that continues it/],
    [
      'a cache of another layout',
      [ids, ...cache('past_key_values', 'float32', ['bh', 'p', 8])],
      [logits, ...present],
      /\[batch, heads, past, size\]/,
    ],
    [
      'a cache that changes its type',
      [ids, ...past],
      [logits, ...cache('present', 'float16', ['b', 2, 't', 8])],
      /changes its type/,
    ],
    [
      'ids of another type',
      [tensor('input_ids', 'float32', ['b', 's']), ...past],
      [logits, ...present],
      /not an int32 or int64/,
    ],
    ['a graph without logits', [ids, ...past], present, /no output "logits"/],
    [
      'logits of another type',
      [ids, ...past],
      [tensor('logits', 'float64', ['b', 's', 100]), ...present],
      /float32 or float16/,
    ],
  ])('refuses %s and says why', (_, inputs, outputs, message) => {
    expect(() => readGraphLayout(inputs, outputs, CONFIG)).toThrow(message);
  });

  it('refuses a symbolic cache shape that the configuration does not fill in', () => {
    const inputs = [ids, ...cache('past_key_values', 'float32', ['b', 'h', 'p', 8])];
    expect(() => readGraphLayout(inputs, [logits, ...present], {})).toThrow(/key-value heads/);
  });
});

describe('halfToFloat', () => {
  it('converts exactly: ones, subnormals, infinities, NaN', () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x8000, 0x7e00);
    const expected = [1, -2, 2 ** -24, 65504, Number.NEGATIVE_INFINITY, -0, Number.NaN];
    expect([...halfToFloat(bits)]).toEqual(expected);
  });
});

describe('arithmeticName', () => {
  it('reads the suffix of the weights file', () => {
    const files = [
      'model.onnx',
      'model_fp16.onnx',
      'model_q4.onnx',
      'model_quantized.onnx',
      'model_q4f16.onnx',
      'decoder_model_bnb4.onnx',
    ];
    expect(files.map(arithmeticName)).toEqual(['fp32', 'fp16', 'int4', 'int8', 'int4-fp16', 'model_bnb4']);
  });
});
