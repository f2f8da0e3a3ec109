/** From what the client asked to the hashes that all parties sign over (SPEC.md §4). */
import { canonicalJson } from './canonical.ts';
import { concat, fromHex, type Hash, sha256, taggedHash, toHex, tokensHash, u32, u64, utf8 } from './hash.ts';
import type { Sampling } from './sampling.ts';
import { TAGS } from './version.ts';

/** Files of a model folder whose bytes decide an answer, each by its SHA-256. */
export interface ModelFiles {
  readonly config: Hash;
  readonly tokenizer: Hash;
  readonly tokenizerConfig: Hash;
  /** The reference weights: `onnx/model.onnx`. */
  readonly weights: Hash;
}

/** Digest of a model: configuration, tokenizer, template (inside the tokenizer's configuration) and weights. */
export function modelDigest(files: ModelFiles): Hash {
  return toHex(
    taggedHash(
      TAGS.model,
      fromHex(files.config),
      fromHex(files.tokenizer),
      fromHex(files.tokenizerConfig),
      fromHex(files.weights),
    ),
  );
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

/** Hash of the body of a generating job: its chunk schedule. */
export function generateJobHash(chunkSizes: readonly number[]): Hash {
  return toHex(tokensHash(TAGS.job, [0, ...chunkSizes]));
}

/** Hash of what a scorer is asked to score: prompt and claimed tokens. */
export function scoredHash(promptIds: readonly number[], outputIds: readonly number[]): Hash {
  return toHex(taggedHash(TAGS.evidenceScore, fromHex(promptHash(promptIds)), fromHex(outputHash(outputIds))));
}

/** Hash of the client's nonce, or of the empty string where it sent none. */
export function clientNonceHash(nonce: string | null): Uint8Array {
  return sha256(concat(utf8(nonce ?? '')));
}
