/** WebAssembly modules that are assembled at the start, for the few loops that JavaScript is slow at. */

/** The part of the WebAssembly API that is used; it is in every browser and in Node, but not in the types of ECMAScript. */
interface WasmApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

/** The part of `WebAssembly.Memory` that is used. */
export interface WasmMemory {
  /** Another buffer after every `grow`. */
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** Value types (core specification, appendix A.3). */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;

/** Opcodes (core specification, appendix A.5); those of vectors follow the prefix 0xfd. */
export const OP = {
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load64: 0x29,
  store64: 0x37,
  const32: 0x41,
  const64: 0x42,
  lessThan32: 0x49,
  add32: 0x6a,
  shiftRight32: 0x76,
  and64: 0x83,
  xor64: 0x85,
  rotl64: 0x89,
} as const;
/** The type of a block that leaves nothing. */
export const VOID_BLOCK = 0x40;

/** A function that takes int32 and gives nothing. */
export interface WasmFunction {
  readonly name: string;
  /** Number of int32 parameters; they are the first locals. */
  readonly params: number;
  /** Other locals, in groups of one type. */
  readonly locals: readonly (readonly [count: number, type: number])[];
  /** Instructions, without the last `end`. */
  readonly body: readonly number[];
}

export const PAGE_BYTES = 65_536;

/** Compiles functions over one memory of one page. @returns null where WebAssembly is missing, forbidden, or lacks an instruction */
export function instantiate(
  functions: readonly WasmFunction[],
): { readonly memory: WasmMemory; readonly exports: Readonly<Record<string, unknown>> } | null {
  const wasm = (globalThis as { WebAssembly?: WasmApi }).WebAssembly;
  if (!wasm) return null;
  try {
    const { exports } = new wasm.Instance(new wasm.Module(assemble(functions)));
    return { memory: exports.memory as WasmMemory, exports };
  } catch {
    return null;
  }
}

function assemble(functions: readonly WasmFunction[]): Uint8Array {
  const list = <T>(items: readonly T[], encode: (item: T, index: number) => readonly number[]) => [
    ...unsigned(items.length),
    ...items.flatMap(encode),
  ];
  const name = (text: string) => [text.length, ...Array.from(text, (char) => char.charCodeAt(0))];
  const exported = ['memory', ...functions.map((each) => each.name)];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      list(functions, ({ params }) => [0x60, ...unsigned(params), ...new Array<number>(params).fill(I32), 0]),
    ),
    ...section(
      3,
      list(functions, (_, index) => unsigned(index)),
    ),
    ...section(5, [1, 0, 1]),
    ...section(
      7,
      list(exported, (text, index) => [...name(text), ...(index === 0 ? [2, 0] : [0, index - 1])]),
    ),
    ...section(10, list(functions, codeOf)),
  ]);
}

function codeOf({ locals, body }: WasmFunction): number[] {
  const groups = locals.flatMap(([count, type]) => [...unsigned(count), type]);
  const code = [...unsigned(locals.length), ...groups, ...body, OP.end];
  return [...unsigned(code.length), ...code];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

/** LEB128 of a natural number. */
export function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** LEB128 of an int32 in two's complement. */
export function signed(value: number): number[] {
  const isLast = value >= -64 && value < 64;
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
