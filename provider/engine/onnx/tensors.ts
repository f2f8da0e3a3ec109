/** Tensors as the runs of a decoder need them. */

import { Tensor } from 'onnxruntime-common';
import { halfToFloat } from '../half.ts';
import type { CacheSlot, FloatType, IntegerType } from './graph-layout.ts';

/** Values of a cache: float32, or the bit patterns of float16. */
export type CacheValues = Float32Array | Uint16Array;

/** Zeros for a cache. */
export function cacheValues(type: FloatType, length: number): CacheValues {
  return type === 'float16' ? new Uint16Array(length) : new Float32Array(length);
}

/** A cache tensor over values, which are not copied. */
export function cacheTensor(type: FloatType, values: CacheValues, dims: readonly number[]): Tensor {
  return type === 'float16'
    ? new Tensor('float16', values as Uint16Array, dims)
    : new Tensor('float32', values as Float32Array, dims);
}

/** A cache before the first token. */
export function emptyCache({ type, emptyDims }: CacheSlot): Tensor {
  return cacheTensor(type, cacheValues(type, 0), emptyDims);
}

/** A cache tensor's values; a runtime with Float16Array gives its bits. */
export function valuesOf(tensor: Tensor): CacheValues {
  const { data } = tensor;
  if (data instanceof Float32Array || data instanceof Uint16Array) return data;
  const { buffer, byteOffset, byteLength } = data as unknown as Float32Array;
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}

/** Ids, masks and positions. */
export function integers(type: IntegerType, values: ArrayLike<number>, dims: readonly number[]): Tensor {
  if (type === 'int32') return new Tensor('int32', Int32Array.from(values), dims);
  const wide = new BigInt64Array(values.length);
  for (let index = 0; index < wide.length; index++) wide[index] = BigInt(values[index]!);
  return new Tensor('int64', wide, dims);
}

/** Logits `from` to `to` as float32; a view where they are that already. */
export function logitsOf(tensor: Tensor, from: number, to: number): Float32Array {
  const { data } = tensor;
  if (data instanceof Float32Array) return data.subarray(from, to);
  return halfToFloat((valuesOf(tensor) as Uint16Array).subarray(from, to));
}
