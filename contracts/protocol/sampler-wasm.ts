/**
 * What sampling does for every token of the vocabulary, in WebAssembly's vectors of 128 bits: logits rounded to int32, the best of every four,
 * and Philox for four blocks at a time. The results are the portable code's, bit for bit (`sampler-kernel.ts`).
 */

import { LOGIT_SCALE } from './evidence.ts';
import { PHILOX } from './philox.ts';
import { I32, instantiate, OP, signed, unsigned, V128, VOID_BLOCK, type WasmMemory } from './wasm-assembly.ts';

/** Opcodes of vectors. */
const VECTOR = {
  load: 0x00,
  store: 0x0b,
  constant: 0x0c,
  shuffle: 0x0d,
  splat32: 0x11,
  equalFloat32: 0x41,
  xor: 0x51,
  select: 0x52,
  widenFloat: 0x5f,
  floor64: 0x75,
  add32: 0xae,
  most32: 0xb8,
  productsLow: 0xde,
  productsHigh: 0xdf,
  add64: 0xf0,
  multiply64: 0xf2,
  toInt32: 0xfc,
} as const;
/** Tokens of one turn of either loop: four vectors of four. */
export const TOKENS_AT_ONCE = 16;
const VECTOR_BYTES = 16;

const get = (local: number) => [OP.get, ...unsigned(local)];
const set = (local: number) => [OP.set, ...unsigned(local)];
const vector = (code: number) => [0xfd, ...unsigned(code)];
const constant = (bytes: Uint8Array) => [...vector(VECTOR.constant), ...bytes];
const eachInt32 = (value: number) => constant(new Uint8Array(Int32Array.from({ length: 4 }, () => value).buffer));
const eachFloat64 = (value: number) => constant(new Uint8Array(Float64Array.from({ length: 2 }, () => value).buffer));
const access = (code: number, offset: number) => [...vector(code), 4, ...unsigned(offset)];
/** Int32 lanes of two vectors, the second's counted from 4. */
const shuffle = (...lanes: readonly number[]) => [
  ...vector(VECTOR.shuffle),
  ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)),
];

export interface SamplerModule {
  readonly memory: WasmMemory;
  /** Rounds the `bytes` of float32 from 0 on in place; the largest of every four go to `bytes` on. */
  readonly round: (bytes: number) => void;
  /** Writes the words of all blocks of four tokens behind those, word by word in the order of ids. */
  readonly draw: (bytes: number, position: number, key0: number, key1: number) => void;
}

/** @returns null where WebAssembly with vectors is missing or forbidden */
export function createSamplerModule(): SamplerModule | null {
  const made = instantiate([roundFunction(), drawFunction()]);
  if (made === null) return null;
  const { round, draw } = made.exports;
  return { memory: made.memory, round: round as SamplerModule['round'], draw: draw as SamplerModule['draw'] };
}

/** floor(logit · 2^16 + 1/2) in float64, saturating; a logit that is not a number becomes the least int32 (SPEC.md, "Sampling"). */
function roundFunction() {
  const [bytes, at, quarter, source] = [0, 1, 2, 3];
  const rounded = [4, 5, 6, 7];
  const toInt32 = [
    ...vector(VECTOR.widenFloat),
    ...[...eachFloat64(LOGIT_SCALE), ...vector(VECTOR.multiply64), ...eachFloat64(0.5), ...vector(VECTOR.add64)],
    ...[...vector(VECTOR.floor64), ...vector(VECTOR.toInt32)],
  ];
  const roundOne = (target: number, index: number) => [
    ...[...get(at), ...access(VECTOR.load, VECTOR_BYTES * index), ...set(source)],
    ...[...get(source), ...toInt32],
    ...[...get(source), ...get(source), ...shuffle(2, 3, 2, 3), ...toInt32],
    ...shuffle(0, 1, 4, 5),
    ...eachInt32(-(2 ** 31)),
    // The lanes of numbers are all ones: nothing else equals itself.
    ...[...get(source), ...get(source), ...vector(VECTOR.equalFloat32)],
    ...[...vector(VECTOR.select), ...set(target)],
    ...[...get(at), ...get(target), ...access(VECTOR.store, VECTOR_BYTES * index)],
  ];
  const [a, b, c, d] = rounded as [number, number, number, number];
  const pairMost = (one: number, other: number) => [
    ...[...get(one), ...get(other), ...shuffle(0, 4, 1, 5), ...get(one), ...get(other), ...shuffle(2, 6, 3, 7)],
    ...vector(VECTOR.most32),
  ];
  const body = [
    ...[OP.loop, VOID_BLOCK],
    ...rounded.flatMap(roundOne),
    ...[...pairMost(a, b), ...set(a), ...pairMost(c, d), ...set(b)],
    ...[...get(bytes), ...get(quarter), OP.add32],
    ...[...get(a), ...get(b), ...shuffle(0, 1, 4, 5), ...get(a), ...get(b), ...shuffle(2, 3, 6, 7)],
    ...[...vector(VECTOR.most32), ...access(VECTOR.store, 0)],
    ...[...get(quarter), OP.const32, VECTOR_BYTES, OP.add32, ...set(quarter)],
    ...next(at, bytes),
    OP.end,
  ];
  const locals = [
    [2, I32],
    [5, V128],
  ] as const;
  return { name: 'round', params: 1, locals, body };
}

/** Philox4x32-10 with the counters (position, block, 0, 0), a block a lane (`philox.ts`). */
function drawFunction() {
  const [bytes, position, key0, key1, at, target] = [0, 1, 2, 3, 4, 5] as const;
  const [c0, c1, c2, c3, low, high, blocks] = [6, 7, 8, 9, 10, 11, 12] as const;
  const keyOf = (round: number, half: 0 | 1) => 13 + 2 * round + half;
  const keys = Array.from({ length: PHILOX.rounds }, (_, round) =>
    ([key0, key1] as const).flatMap((key, half) => [
      ...[...get(key), OP.const32, ...signed(Math.imul(round, PHILOX.keySteps[half]!)), OP.add32],
      ...[...vector(VECTOR.splat32), ...set(keyOf(round, half as 0 | 1))],
    ]),
  ).flat();
  /** Products of all four lanes: `low` and `high` hold 64 bits of two each. */
  const multiply = (counter: number, factor: number) => [
    ...[...get(counter), ...eachInt32(factor | 0), ...vector(VECTOR.productsLow), ...set(low)],
    ...[...get(counter), ...eachInt32(factor | 0), ...vector(VECTOR.productsHigh), ...set(high)],
  ];
  const half = (which: 0 | 1) => [...get(low), ...get(high), ...shuffle(which, 2 + which, 4 + which, 6 + which)];
  const mixed = (counter: number, round: number, key: 0 | 1) => [
    ...[...half(1), ...get(counter), ...vector(VECTOR.xor)],
    ...[...get(keyOf(round, key)), ...vector(VECTOR.xor)],
  ];
  const rounds = Array.from({ length: PHILOX.rounds }, (_, round) => [
    ...[...multiply(c2, PHILOX.factors[1]), ...mixed(c1, round, 0), ...half(0), ...set(c1)],
    // The new first counter waits on the stack: the old one is still to be multiplied.
    ...[...multiply(c0, PHILOX.factors[0]), ...mixed(c3, round, 1), ...set(c2), ...half(0), ...set(c3)],
    ...set(c0),
  ]).flat();
  const rows = [
    ...[...get(c0), ...get(c1), ...shuffle(0, 4, 1, 5), ...set(low), ...get(c2), ...get(c3), ...shuffle(0, 4, 1, 5)],
    ...set(high),
    ...storeRows(target, low, high, 0),
    ...[...get(c0), ...get(c1), ...shuffle(2, 6, 3, 7), ...set(low), ...get(c2), ...get(c3), ...shuffle(2, 6, 3, 7)],
    ...set(high),
    ...storeRows(target, low, high, 2),
  ];
  const first = constant(new Uint8Array(Int32Array.from([0, 1, 2, 3]).buffer));
  const body = [
    ...keys,
    ...[...first, ...set(blocks)],
    // Behind the rounded logits and a quarter as much.
    ...[...get(bytes), ...get(bytes), OP.const32, 2, OP.shiftRight32, OP.add32, ...set(target)],
    ...[OP.loop, VOID_BLOCK],
    ...[...get(position), ...vector(VECTOR.splat32), ...set(c0), ...get(blocks), ...set(c1)],
    ...[...eachInt32(0), ...set(c2), ...eachInt32(0), ...set(c3)],
    ...[...rounds, ...rows],
    ...[...get(blocks), ...eachInt32(4), ...vector(VECTOR.add32), ...set(blocks)],
    ...[...get(target), OP.const32, ...signed(4 * VECTOR_BYTES), OP.add32, ...set(target)],
    ...next(at, bytes),
    OP.end,
  ];
  const locals = [
    [2, I32],
    [7 + 2 * PHILOX.rounds, V128],
  ] as const;
  return { name: 'draw', params: 4, locals, body };
}

/** Two blocks' words, of which `low` has the first two each and `high` the others. */
function storeRows(target: number, low: number, high: number, row: number): number[] {
  return [0, 1].flatMap((which) => [
    ...[...get(target), ...get(low), ...get(high), ...shuffle(2 * which, 2 * which + 1, 4 + 2 * which, 5 + 2 * which)],
    ...access(VECTOR.store, VECTOR_BYTES * (row + which)),
  ]);
}

/** The end of a loop over 16 tokens a turn. */
function next(at: number, bytes: number): number[] {
  const step = signed(4 * TOKENS_AT_ONCE);
  return [
    ...get(at),
    OP.const32,
    ...step,
    OP.add32,
    OP.tee,
    ...unsigned(at),
    ...get(bytes),
    OP.lessThan32,
    OP.branchIf,
    0,
  ];
}
