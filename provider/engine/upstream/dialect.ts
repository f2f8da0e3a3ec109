/** What the engine needs from one kind of inference server, and the shapes that all kinds share. */
import { z } from 'zod';
import { EVIDENCE_TOP_MAX } from '#protocol/evidence';
import { safeParse, TOKENS_MAX, zTokenId } from '#protocol/schema';
import { EngineError } from '../engine.ts';
import type { UpstreamClient } from './http-client.ts';

export const DIALECTS = ['vllm', 'sglang', 'llamacpp'] as const;
export type DialectName = (typeof DIALECTS)[number];

/** Log-probabilities of one position, in any order and minus any constant: (token id, natural logarithm). */
export type LogprobList = readonly (readonly [id: number, logprob: number])[];

/** A token that the server generated; what is taken in its place is decided by our own rule. */
export interface Proposal {
  readonly id: number;
  /** At least the best `LOGPROBS_ASKED`. */
  readonly list: LogprobList;
}

/** A claimed token under the server's model. */
export interface ScoredPosition {
  readonly logprob: number;
  readonly list: LogprobList;
}

/** How a run of proposals ended: at a token that the server takes for an end, or for want of room or budget. */
export type RunEnd = 'stopped' | 'spent';

/** What a server says about itself. */
export interface ServerFacts {
  readonly version: string;
  /** Most tokens that one call may hold, or null where the server does not say. */
  readonly contextMax: number | null;
  /** Size of its vocabulary, or null where it does not say. */
  readonly vocabSize: number | null;
}

/** One call's reach. */
export interface Reach {
  readonly signal: AbortSignal;
  readonly mayRetry: boolean;
}

/** One kind of server; all methods throw EngineError. */
export interface Dialect {
  facts(reach: Reach): Promise<ServerFacts>;
  /** Greedy continuation by at most `count` tokens; the server may end it earlier, with or without its end token. */
  propose(ids: readonly number[], count: number, reach: Reach): AsyncGenerator<Proposal, RunEnd, void>;
  /** Exactly the next token, end tokens included. */
  peek(ids: readonly number[], reach: Reach): Promise<Proposal>;
  /** One item per token of `outputIds`. @param contextMax the server's own, or null */
  score(
    ids: { readonly promptIds: readonly number[]; readonly outputIds: readonly number[] },
    contextMax: number | null,
    reach: Reach,
  ): Promise<ScoredPosition[]>;
}

/** What dialects are made of. */
export interface DialectDeps {
  readonly client: UpstreamClient;
  /** Name that the server knows the model by. */
  readonly model: string;
  /** Tokens that end an answer by the model folder, which is what counts. */
  readonly eosIds: readonly number[];
  readonly vocabSize: number;
  /** A token that is a whole character by itself. */
  readonly plainId: number;
}

/** Log-probabilities to ask for: what evidence holds. */
export const LOGPROBS_ASKED = EVIDENCE_TOP_MAX;

/** JSON has no infinities: servers clamp (vLLM -9999, llama.cpp the lowest float) or write null (SGLang). */
export const zLogprob = z.union([z.number(), z.null().transform(() => Number.NEGATIVE_INFINITY)]);

export const zIds = z.array(zTokenId).max(TOKENS_MAX);

/** Largest answer in bytes for so many positions: ids, numbers and the text of 9 tokens, JSON escapes included. */
export function bytesMaxFor(positions: number): number {
  return 2 ** 20 + positions * 2 ** 13;
}

/** @throws EngineError `upstream_malformed`; zod's messages quote the input, so nothing of them leaves. */
export function parseReply<T>(schema: z.ZodType<T>, reply: unknown, what: string): T {
  const parsed = safeParse(schema, reply);
  if (!parsed.success) throw new EngineError('upstream_malformed', `the upstream's ${what} has another shape`);
  return parsed.data;
}

/** @throws EngineError `upstream_malformed` */
export function checkLength(got: number, expected: number, what: string): void {
  if (got === expected) return;
  throw new EngineError('upstream_malformed', `the upstream gave ${got} ${what} in place of ${expected}`);
}

/** @throws EngineError `upstream_no_token_ids`: text that is read back into ids is not what was generated. */
export function requireIds(ids: readonly number[] | null | undefined): readonly number[] {
  if (ids != null) return ids;
  throw new EngineError('upstream_no_token_ids', 'the upstream does not return token ids');
}

/** @throws EngineError `upstream_mismatch` where the server has read another prompt than it was sent. */
export function checkPrompt(same: boolean): void {
  if (!same) throw new EngineError('upstream_mismatch', 'the upstream has read another prompt than it was sent');
}

export function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}
