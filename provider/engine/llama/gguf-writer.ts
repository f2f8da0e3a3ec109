/** Writes GGUF, version 3: header, metadata, tensor table, aligned tensors (ggml's docs/gguf.md). Pure. */

const MAGIC = 0x46554747; // 'GGUF'
const VERSION = 3;
/** The format's default, since the metadata name no other. */
const ALIGNMENT = 32;

/** Kinds of metadata values that are written here. */
const KINDS = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

/** A value with its kind, since numbers do not tell theirs. */
export type GgufValue =
  | { readonly kind: 'uint32' | 'int32' | 'float32'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'int32s'; readonly value: readonly number[] };

/** A tensor; ggml counts dimensions from the fastest on, so a matrix of rows × columns is [columns, rows]. */
export interface GgufTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** float32 values, or the bit patterns of float16. */
  readonly values: Float32Array | Uint16Array;
}

/** The file, in order, piece by piece. */
export function writeGguf(
  metadata: readonly (readonly [string, GgufValue])[],
  tensors: readonly GgufTensor[],
): Uint8Array {
  const head = new Bytes();
  head.uint32(MAGIC);
  head.uint32(VERSION);
  head.uint64(tensors.length);
  head.uint64(metadata.length);
  for (const [key, value] of metadata) {
    head.string(key);
    writeValue(head, value);
  }
  let offset = 0;
  for (const { name, dims, values } of tensors) {
    head.string(name);
    head.uint32(dims.length);
    for (const dim of dims) head.uint64(dim);
    head.uint32(values instanceof Float32Array ? 0 : 1);
    head.uint64(offset);
    offset += aligned(values.byteLength);
  }
  const start = aligned(head.length);
  const file = new Uint8Array(start + offset);
  head.copyTo(file);
  let at = start;
  for (const { values } of tensors) {
    file.set(littleEndian(values), at);
    at += aligned(values.byteLength);
  }
  return file;
}

function writeValue(head: Bytes, item: GgufValue): void {
  switch (item.kind) {
    case 'strings':
      head.uint32(KINDS.array);
      head.uint32(KINDS.string);
      head.uint64(item.value.length);
      for (const text of item.value) head.string(text);
      return;
    case 'int32s':
      head.uint32(KINDS.array);
      head.uint32(KINDS.int32);
      head.uint64(item.value.length);
      for (const number of item.value) head.number('int32', number);
      return;
    case 'string':
      head.uint32(KINDS.string);
      head.string(item.value);
      return;
    case 'bool':
      head.uint32(KINDS.bool);
      head.byte(item.value ? 1 : 0);
      return;
    default:
      head.uint32(KINDS[item.kind]);
      head.number(item.kind, item.value);
  }
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

/** Machines that run this are little-endian, as the format is; a view is enough. */
function littleEndian(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Little-endian bytes that grow. */
class Bytes {
  #bytes = new Uint8Array(2 ** 16);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  uint32(value: number): void {
    this.number('uint32', value);
  }

  uint64(value: number): void {
    this.#reserve(8);
    this.#view.setBigUint64(this.length, BigInt(value), true);
    this.length += 8;
  }

  number(kind: 'uint32' | 'int32' | 'float32', value: number): void {
    this.#reserve(4);
    if (kind === 'float32') this.#view.setFloat32(this.length, value, true);
    else if (kind === 'int32') this.#view.setInt32(this.length, value, true);
    else this.#view.setUint32(this.length, value, true);
    this.length += 4;
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.uint64(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  copyTo(target: Uint8Array): void {
    target.set(this.#bytes.subarray(0, this.length));
  }

  #reserve(count: number): void {
    if (this.length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * (this.length + count));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
