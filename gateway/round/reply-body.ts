/** Bodies of providers' replies: bounded, of the type that was asked for, and given up the moment they are not (SPEC.md §6.6). */
import { StringDecoder } from 'node:string_decoder';
import { ProviderFailure } from './provider-failure.ts';
import type { Reply } from './reply.ts';

/** A provider's own error object: a code of 64, a message of 512 and a signature, with room for escapes. */
export const ERROR_BYTES_MAX = 16 * 1024;
/** Replies that say nothing but that it is done: `{}`. */
export const DONE_BYTES_MAX = 1024;
/** 64 models of at most 700 bytes are 45 KB. */
export const MANIFEST_BYTES_MAX = 256 * 1024;
/** Evidence of one token: at most 8 pairs of 22 characters and 6 numbers with their names, 330 bytes. */
const EVIDENCE_BYTES = 512;
/** A Merkle path of 64 hashes of 69 characters. */
const PATH_BYTES = 64 * 72;
/** What an event holds besides its tokens: a claim has about 900 bytes, a reveal 800, a commitment 350. */
const EVENT_BYTES = 4 * 1024;
/** A token id of 7 digits, a runner-up and a gap of 10: 30 bytes with commas and brackets. */
const TOKEN_BYTES = 64;
/** A token id of 7 digits and a log-probability of 11 characters: 22 bytes with comma and brackets. */
const LOGPROB_BYTES = 32;

/** Most bytes of a reply to `POST …/evidence`. */
export function evidenceBytesMax(positions: number): number {
  return EVENT_BYTES + positions * (EVIDENCE_BYTES + PATH_BYTES);
}

/** Most bytes of a reply to `POST /v1/scores`. */
export function scoreBytesMax(outputTokens: number): number {
  return EVENT_BYTES + outputTokens * EVIDENCE_BYTES;
}

/** Most bytes of one event of a job's stream, and of the whole stream. */
export interface StreamBounds {
  readonly eventBytesMax: number;
  readonly totalBytesMax: number;
}

/** Bounds of a job's stream, from what was ordered: each chunk is sealed and opened once, and may be repeated once. */
export function streamBounds(order: {
  readonly maxTokens: number;
  readonly chunkSizes: readonly number[];
  readonly logprobs?: number | undefined;
}): StreamBounds {
  let chunks = 0;
  for (let tokens = 0; tokens < order.maxTokens; chunks++) {
    tokens += order.chunkSizes[Math.min(chunks, order.chunkSizes.length - 1)]!;
  }
  const logprobBytes = order.logprobs === undefined ? 0 : LOGPROB_BYTES * (1 + order.logprobs);
  const tokensMax = order.maxTokens * (TOKEN_BYTES + logprobBytes);
  const once = (2 * chunks + 2) * EVENT_BYTES + tokensMax;
  return { eventBytesMax: EVENT_BYTES + tokensMax, totalBytesMax: 2 * once };
}

/**
 * Refuses what is not plainly of this media type. Nothing is read from a compressed body: a kilobyte of it may be a gigabyte
 * of zeros, and nobody asked for one.
 * @throws {ProviderFailure} provider_malformed
 */
export async function expectType(response: Reply, type: string): Promise<void> {
  const given = (response.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  const encoding = (response.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (given === type && encoding === 'identity') return;
  await dropBody(response);
  throw new ProviderFailure('provider_malformed', response.status);
}

/** Closes the connection of a reply that nobody wants to read. */
export async function dropBody(response: Reply): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}

/**
 * The body's text, piece by piece. Whoever stops reading closes the connection.
 * @param bytesMax most bytes in all
 * @throws {ProviderFailure} provider_unreachable where the connection breaks, provider_malformed beyond the bound
 */
export async function* textOf(response: Reply, bytesMax: number): AsyncGenerator<string> {
  if (!response.body) return;
  const decoder = new StringDecoder('utf8');
  const reader = response.body.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw new ProviderFailure('provider_unreachable', response.status);
      });
      if (done || !value) return;
      bytes += value.byteLength;
      if (bytes > bytesMax) throw new ProviderFailure('provider_malformed', response.status);
      yield decoder.write(value);
    }
  } finally {
    // Also when the consumer stops early: the provider must see that nobody listens.
    await reader.cancel().catch(() => undefined);
  }
}

/** The whole body. @throws {ProviderFailure} as `textOf` */
export async function readText(response: Reply, bytesMax: number): Promise<string> {
  let text = '';
  for await (const piece of textOf(response, bytesMax)) text += piece;
  return text;
}
