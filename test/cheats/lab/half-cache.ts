/** A key-value cache in half precision under float32 arithmetic: what a provider saves memory by and says nothing of. */
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import type { OnnxRuntime } from '../../../provider/engine/onnx/runtime.ts';

/** Smallest normal number of half precision, and the step of those below it (IEEE 754-2019 section 3.4). */
const NORMAL_MIN = 2 ** -14;
const SUBNORMAL_STEP = 2 ** -24;
/** 24 bits of a float32 less 11 of a half: what a split by Veltkamp (1968) drops. */
const SPLIT = 2 ** 13 + 1;

/** The nearest number of half precision, of float32 numbers below its largest, 65504. */
export function roundedToHalf(value: number): number {
  if (Math.abs(value) < NORMAL_MIN) return Math.round(value / SUBNORMAL_STEP) * SUBNORMAL_STEP;
  const scaled = Math.fround(value * SPLIT);
  return Math.fround(scaled - Math.fround(scaled - value));
}

/** The same build of onnxruntime, whose runs leave keys and values rounded. */
export function withHalfCache(runtime: OnnxRuntime): OnnxRuntime {
  return { ...runtime, open: async (model, choices) => roundingCache(await runtime.open(model, choices)) };
}

function roundingCache(session: InferenceSession): InferenceSession {
  const run = async (...args: Parameters<InferenceSession['run']>) => {
    const results = await session.run(...args);
    for (const [name, tensor] of Object.entries(results)) {
      if (name !== 'logits') roundAll(tensor as Tensor);
    }
    return results;
  };
  return Object.create(session, { run: { value: run } }) as InferenceSession;
}

function roundAll({ data }: Tensor): void {
  if (!(data instanceof Float32Array)) throw new Error('the cache is no float32');
  for (let at = 0; at < data.length; at++) data[at] = roundedToHalf(data[at]!);
}
