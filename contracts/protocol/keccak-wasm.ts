/**
 * Keccak-f[1600] as a WebAssembly module that is assembled here at the start: 64-bit lanes are native there, which JavaScript has to put
 * together from halves (FIPS 202 §3; Keccak's own padding, as Ethereum has it). Null where WebAssembly may not be compiled.
 */
import { I32, I64, instantiate, OP, signed, unsigned, VOID_BLOCK } from './wasm-assembly.ts';

const LANES = 25;
const ROUNDS = 24;
/** Bytes of a block of Keccak-256: 1600 bits less twice the 256 of capacity. */
const RATE_BYTES = 136;
/** Where the round constants lie in memory, behind the 200 bytes of the state. */
const CONSTANTS_AT = 256;

/** Locals of the function: the pointer to the round's constant, the state, the column parities, the moved lanes. */
const POINTER = 0;
const lane = (i: number) => 1 + i;
const parity = (x: number) => 1 + LANES + x;
const moved = (i: number) => 1 + LANES + 5 + i;

/** Keccak-256 over WebAssembly, or null where that is missing or forbidden. */
export function createKeccak256(): ((bytes: Uint8Array) => Uint8Array) | null {
  const locals = [
    [1, I32],
    [2 * LANES + 5, I64],
  ] as const;
  const made = instantiate([{ name: 'permute', params: 0, locals, body: permutation() }]);
  return made === null ? null : spongeOver(made.memory.buffer, made.exports.permute as () => void);
}

function spongeOver(memory: ArrayBuffer, permute: () => void): (bytes: Uint8Array) => Uint8Array {
  const state = new Uint8Array(memory, 0, 8 * LANES);
  const constants = new DataView(memory, CONSTANTS_AT, 8 * ROUNDS);
  for (const [round, constant] of roundConstants().entries()) constants.setBigUint64(8 * round, constant, true);
  return (bytes) => {
    state.fill(0);
    let at = 0;
    for (; at + RATE_BYTES <= bytes.length; at += RATE_BYTES) {
      for (let i = 0; i < RATE_BYTES; i++) state[i]! ^= bytes[at + i]!;
      permute();
    }
    const left = bytes.length - at;
    for (let i = 0; i < left; i++) state[i]! ^= bytes[at + i]!;
    // Pad10*1 without a domain suffix: SHA-3 came later and puts 0x06 here.
    state[left]! ^= 0x01;
    state[RATE_BYTES - 1]! ^= 0x80;
    permute();
    return state.slice(0, 32);
  };
}

/** FIPS 202 §3.2.5: bit 2^j − 1 of a round's constant is the LFSR's output. */
function roundConstants(): bigint[] {
  let register = 1;
  return Array.from({ length: ROUNDS }, () => {
    let constant = 0n;
    for (let j = 0; j < 7; j++) {
      if (register & 1) constant |= 1n << BigInt(2 ** j - 1);
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
    return constant;
  });
}

/** FIPS 202 §3.2.2, by lane x + 5y. */
function rotations(): number[] {
  const offsets = new Array<number>(LANES).fill(0);
  let [x, y] = [1, 0];
  for (let t = 0; t < 24; t++) {
    offsets[x + 5 * y] = (((t + 1) * (t + 2)) / 2) % 64;
    [x, y] = [y, (2 * x + 3 * y) % 5];
  }
  return offsets;
}

function permutation(): number[] {
  const address = (offset: number) => [3, ...unsigned(offset)];
  const state = Array.from({ length: LANES }, (_, i) => i);
  return [
    ...state.flatMap((i) => [OP.const32, 0, OP.load64, ...address(8 * i), OP.set, lane(i)]),
    ...[OP.const32, ...signed(CONSTANTS_AT), OP.set, POINTER],
    ...[OP.loop, VOID_BLOCK],
    ...round(),
    ...[OP.get, POINTER, OP.const32, 8, OP.add32, OP.tee, POINTER],
    ...[OP.const32, ...signed(CONSTANTS_AT + 8 * ROUNDS), OP.lessThan32, OP.branchIf, 0],
    OP.end,
    ...state.flatMap((i) => [OP.const32, 0, OP.get, lane(i), OP.store64, ...address(8 * i)]),
  ];
}

/** Theta, rho and pi, chi, iota (FIPS 202 §3.2). */
function round(): number[] {
  const five = [0, 1, 2, 3, 4];
  const offsets = rotations();
  const theta = [
    ...five.flatMap((x) => [
      ...[OP.get, lane(x)],
      ...[5, 10, 15, 20].flatMap((row) => [OP.get, lane(x + row), OP.xor64]),
      ...[OP.set, parity(x)],
    ]),
    ...offsets.flatMap((_, i) => [
      ...[OP.get, lane(i), OP.get, parity((i + 4) % 5), OP.xor64],
      ...[OP.get, parity((i + 1) % 5), OP.const64, 1, OP.rotl64, OP.xor64, OP.set, lane(i)],
    ]),
  ];
  const rhoPi = offsets.flatMap((offset, i) => {
    const [x, y] = [i % 5, Math.floor(i / 5)];
    return [OP.get, lane(i), OP.const64, ...signed(offset), OP.rotl64, OP.set, moved(y + 5 * ((2 * x + 3 * y) % 5))];
  });
  const chi = offsets.flatMap((_, i) => {
    const row = i - (i % 5);
    const [next, after] = [moved(row + ((i + 1) % 5)), moved(row + ((i + 2) % 5))];
    const minusOne = [OP.const64, ...signed(-1)];
    return [OP.get, next, ...minusOne, OP.xor64, OP.get, after, OP.and64, OP.get, moved(i), OP.xor64, OP.set, lane(i)];
  });
  const iota = [OP.get, lane(0), OP.get, POINTER, OP.load64, 3, 0, OP.xor64, OP.set, lane(0)];
  return [...theta, ...rhoPi, ...chi, ...iota];
}
