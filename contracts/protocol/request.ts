/** From what the client asked to the hashes that all parties sign over (SPEC.md §4). */
import { canonicalJson } from './canonical.ts';
import { concat, fromHex, type Hash, sha256, taggedHash, toHex, tokensHash, u32, u64, utf8 } from './hash.ts';
import type { Sampling } from './sampling.ts';
import { TAGS } from './version.ts';

/**
 * Files of a model folder whose bytes decide an answer, each by its SHA-256. Every file that templates, tokenizer or
 * end-of-sequence ids are read from is here: one that is not would let two folders with one digest answer differently.
 */
export interface ModelFiles {
  readonly config: Hash;
  readonly tokenizer: Hash;
  readonly tokenizerConfig: Hash;
  /** Overrides the end-of-sequence ids; zero where the folder has no such file. */
  readonly generationConfig: Hash;
  /** Goes before the template in the tokenizer's configuration; zero where the folder has no such file. */
  readonly chatTemplate: Hash;
  /** The reference weights, see `weightsHash`. */
  readonly weights: Hash;
}

/** Where each of them lies in a model folder. */
export const MODEL_FILE_PATHS = {
  config: 'config.json',
  tokenizer: 'tokenizer.json',
  tokenizerConfig: 'tokenizer_config.json',
  generationConfig: 'generation_config.json',
  chatTemplate: 'chat_template.jinja',
  weights: 'onnx/model.onnx',
} as const satisfies Record<keyof ModelFiles, string>;

/** Digest of a model: configuration, tokenizer, templates and weights. */
export function modelDigest(files: ModelFiles): Hash {
  const { config, tokenizer, tokenizerConfig, generationConfig, chatTemplate, weights } = files;
  const fields = [config, tokenizer, tokenizerConfig, generationConfig, chatTemplate, weights];
  return toHex(taggedHash(TAGS.model, ...fields.map(fromHex)));
}

/**
 * One hash for weights of several files: the graph (`onnx/model.onnx`), then its external data files in ascending order
 * of their names. A graph without external data is its own SHA-256.
 */
export function weightsHash(graph: Hash, externalData: readonly Hash[]): Hash {
  return externalData.length === 0 ? graph : toHex(sha256(concat(fromHex(graph), ...externalData.map(fromHex))));
}

/** Hash of the prompt's token ids. */
export function promptHash(ids: readonly number[]): Hash {
  return toHex(tokensHash(TAGS.prompt, ids));
}

/** Hash of output token ids, in a chunk or in a whole transcript. */
export function outputHash(ids: readonly number[]): Hash {
  return toHex(tokensHash(TAGS.tokens, ids));
}

/** Hash of the sampling parameters: tag ‖ their RFC 8785 form. */
export function samplingHash(sampling: Sampling): Hash {
  return toHex(taggedHash(TAGS.sampling, utf8(canonicalJson(sampling))));
}

/** The sampler key of choice `choice`: the seed itself for choice 0, else the first 64 bits of H(seed, choice). */
export function choiceSeed(seed: bigint, choice: number): bigint {
  if (choice === 0) return seed;
  const hash = taggedHash(TAGS.choiceSeed, u64(seed), u32(choice));
  return new DataView(hash.buffer, hash.byteOffset).getBigUint64(0);
}

/**
 * Hash of the body of a generating job: its chunk schedule and, where log-probabilities are ordered, how many
 * alternatives a token.
 */
export function generateJobHash(chunkSizes: readonly number[], logprobs?: number): Hash {
  const head = logprobs === undefined ? [0] : [1, logprobs];
  return toHex(tokensHash(TAGS.job, [...head, ...chunkSizes]));
}

/** Hash of what a scorer is asked to score: prompt and claimed tokens. */
export function scoredHash(promptIds: readonly number[], outputIds: readonly number[]): Hash {
  return scoredHashOf(promptHash(promptIds), outputHash(outputIds));
}

/** The same from the two hashes, for who has not the tokens. */
export function scoredHashOf(prompt: Hash, output: Hash): Hash {
  return toHex(taggedHash(TAGS.evidenceScore, fromHex(prompt), fromHex(output)));
}

/** Hash of the client's nonce, or of the empty string where it sent none. */
export function clientNonceHash(nonce: string | null): Uint8Array {
  return sha256(concat(utf8(nonce ?? '')));
}
