/** What sampling does for every token of the vocabulary: rounding, and the words of the noise. In vectors where the platform has them, with equal results. */
import { LOGIT_Q16_MAX, LOGIT_Q16_MIN, LOGIT_SCALE, quantiseLogit } from './evidence.ts';
import { philox4x32 } from './philox.ts';
import { createSamplerModule, type SamplerModule, TOKENS_AT_ONCE } from './sampler-wasm.ts';
import { PAGE_BYTES } from './wasm-assembly.ts';

/** Philox gives four words at a time. */
export const BLOCK_TOKENS = 4;

/** All of it is valid until the kernel's next call. */
export interface RoundedLogits {
  /** int32 of 2^-16, as `quantiseLogit`. */
  readonly values: Int32Array;
  /** Largest of every four. */
  readonly highs: Int32Array;
}

export interface NoiseWords {
  /** By token id; of blocks that were asked for. */
  readonly words: Uint32Array;
  readonly ask: (block: number) => void;
}

export interface SamplerKernel {
  readonly round: (logits: Float32Array) => RoundedLogits;
  /** Words of as many tokens as were rounded last. @param position with both halves of the key uint32 */
  readonly draw: (position: number, key0: number, key1: number) => NoiseWords;
}

/** In plain JavaScript: what WebAssembly is held to, and what serves where there is none. */
export function createPortableKernel(): SamplerKernel {
  let tokens = 0;
  return {
    round: (logits) => {
      tokens = logits.length;
      const values = new Int32Array(tokens);
      for (let id = 0; id < tokens; id++) {
        const logit = logits[id]!;
        const scaled = Math.floor(logit * LOGIT_SCALE + 0.5);
        // Nearly all are within the range; the call for the others is what takes time.
        values[id] = scaled > LOGIT_Q16_MIN && scaled < LOGIT_Q16_MAX ? scaled : quantiseLogit(logit);
      }
      const highs = new Int32Array(Math.ceil(tokens / BLOCK_TOKENS));
      for (let block = 0; block < highs.length; block++) highs[block] = highestOf(values, block);
      return { values, highs };
    },
    draw: (position, key0, key1) => {
      const words = new Uint32Array(Math.ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS);
      const four = new Uint32Array(BLOCK_TOKENS);
      const ask = (block: number) => {
        philox4x32(four, position, block, 0, 0, key0, key1);
        words.set(four, BLOCK_TOKENS * block);
      };
      return { words, ask };
    },
  };
}

/** In WebAssembly: a fifth of the time. @returns null where that is missing or forbidden */
export function createWasmKernel(): SamplerKernel | null {
  const module = createSamplerModule();
  return module === null ? null : kernelOver(module);
}

function kernelOver({ memory, round, draw }: SamplerModule): SamplerKernel {
  let bytes = 0;
  let views = viewsOf(memory.buffer, 0);
  const makeRoom = (tokens: number) => {
    if (tokens === views.rounded.values.length) return;
    // Rounded logits, the best of every four, and words: 4 + 1 + 4 bytes a token.
    bytes = 4 * TOKENS_AT_ONCE * Math.ceil(tokens / TOKENS_AT_ONCE);
    const missing = Math.ceil(((bytes / 4) * 9) / PAGE_BYTES) - memory.buffer.byteLength / PAGE_BYTES;
    if (missing > 0) memory.grow(missing);
    views = viewsOf(memory.buffer, tokens);
  };
  return {
    round: (logits) => {
      makeRoom(logits.length);
      views.logits.set(logits);
      // A fresh page or another vocabulary stands behind the last token; nothing may be above it.
      views.logits.fill(Number.NEGATIVE_INFINITY, logits.length);
      round(bytes);
      return views.rounded;
    },
    draw: (position, key0, key1) => {
      draw(bytes, position, key0, key1);
      return views.noise;
    },
  };
}

function viewsOf(buffer: ArrayBuffer, tokens: number) {
  const room = TOKENS_AT_ONCE * Math.ceil(tokens / TOKENS_AT_ONCE);
  const highs = new Int32Array(buffer, 4 * room, Math.ceil(tokens / BLOCK_TOKENS));
  return {
    logits: new Float32Array(buffer, 0, room),
    rounded: { values: new Int32Array(buffer, 0, tokens), highs },
    noise: { words: new Uint32Array(buffer, 5 * room, room), ask: () => {} },
  };
}

/** The largest of a block, the last of which may be short. */
export function highestOf(values: Int32Array, block: number): number {
  const first = BLOCK_TOKENS * block;
  const end = Math.min(first + BLOCK_TOKENS, values.length);
  let high = values[first]!;
  for (let id = first + 1; id < end; id++) if (values[id]! > high) high = values[id]!;
  return high;
}

/** What this process samples with. */
export const SAMPLER_KERNEL: SamplerKernel = createWasmKernel() ?? createPortableKernel();
