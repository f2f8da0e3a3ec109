/** The seam between OpenAI's surface and the committee: what is asked, what comes back and in which order. */
import type { AssayMemberWire } from '#protocol/assay-member';
import type { KnownCalibration } from '#protocol/calibration';
import type { ResponseContent } from '#protocol/content';
import type { Hash } from '#protocol/hash';
import type { ShownLogprobs, TokenLogprobs } from '#protocol/logprobs';
import type { Policy } from '#protocol/policy';
import type { Sampling } from '#protocol/sampling';
import type { TextModel } from '#protocol/text';

export type { ContentChoice, ResponseContent } from '#protocol/content';

/** A served model. */
export interface ModelEntry {
  readonly id: string;
  readonly digest: Hash;
  /** Seconds since the Unix epoch. */
  readonly created: number;
  readonly ownedBy: string;
  /** Most tokens of prompt and answer together. */
  readonly contextMax: number;
  readonly text: TextModel;
  /** Oldest first: the last is in force, the others are those that open disputes were begun under. */
  readonly calibrations: readonly KnownCalibration[];
  /** Nano-units for a million tokens. */
  readonly price: { readonly inputNanoPerMtok: bigint; readonly outputNanoPerMtok: bigint };
}

/** The served models, in the order of `/v1/models`. */
export interface ModelRegistry {
  list(): readonly ModelEntry[];
  /** The model with exactly this id, or null. */
  find(id: string): ModelEntry | null;
}

/** One parsed request. */
export interface AnswerRequest {
  readonly requestId: string;
  readonly keyId: string;
  readonly model: ModelEntry;
  /** Token ids of each prompt, at least one; a chat has one. */
  readonly prompts: readonly (readonly number[])[];
  readonly sampling: Sampling;
  /** uint64, or null where the gateway draws one. */
  readonly seed: bigint | null;
  readonly maxTokens: number;
  /** Of all prompts together, in their order: OpenAI's `n` for each, each with a seed of its own. */
  readonly choices: number;
  /** Names of the tools that the answer may call; empty where it may call none. */
  readonly toolNames: readonly string[];
  readonly policy: Policy;
  readonly bodyHash: Hash;
  readonly clientNonce: string | null;
  readonly stream: boolean;
  /** Alternatives with log-probabilities a token, 0 to 20; null where the client wants none. */
  readonly logprobs: number | null;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
  /** Present where the client gave the call a key. */
  readonly keyed?: KeyedCall;
}

/** A client's key for one call (DESIGN §11). */
export interface KeyedCall {
  readonly key: string;
  /** Hash of everything that makes it the same call. */
  readonly fingerprint: Hash;
  readonly expiresAtMs: number;
}

/** How a keyed answer is kept for whoever repeats the call; both texts are sealed. */
export interface AnswerKeep {
  /** Becomes durable with the settlement: with the attestation, enough to end the answer after a crash. */
  readonly unfinished: string;
  /** Replaces it before the end of the answer leaves. */
  finished(sealed: SealedAnswer): Promise<string>;
}

export type FinishKind = 'stop' | 'stop_string' | 'length';

/** How one choice ended. */
export interface FinishedChoice {
  readonly finish: FinishKind;
  readonly outputTokens: number;
}

/** What the pipeline says, in this order: one `opened`, any number of `tokens`, one `final`. */
export type AnswerEvent =
  /** Before anything is generated; response headers can leave. */
  | {
      readonly type: 'opened';
      readonly security: Readonly<Record<string, string | number>>;
      readonly policyText: string;
    }
  /** Released tokens of a choice in order: its transcript, terminal EOS and stop string included. */
  | {
      readonly type: 'tokens';
      readonly choice: number;
      readonly ids: readonly number[];
      /** One per id, or null where none were asked for. */
      readonly logprobs: readonly TokenLogprobs[] | null;
    }
  | {
      readonly type: 'final';
      /** By index. */
      readonly choices: readonly FinishedChoice[];
      /** Of choice 0; the others' follow from it (SPEC.md §4.4). */
      readonly seed: bigint;
      readonly verdict: string;
      /** Fields of the answer that the verdict does not cover. */
      readonly unverified: readonly string[];
      /** Whose the log-probabilities are and what they were sealed with; null where none were asked for. */
      readonly sealedLogprobs: NonNullable<AssayMemberWire['logprobs']> | null;
      /** The evidence behind the scores of what was served; null where none was asked for. */
      readonly sealedScores: NonNullable<AssayMemberWire['scores']> | null;
      /** Signs what is really answered; called once, with the rendered choices. */
      seal(
        content: ResponseContent,
        logprobs: readonly ShownLogprobs[] | null,
        keep?: AnswerKeep,
      ): Promise<SealedAnswer>;
    };

/** The attestation in the two places where a client finds it. */
export interface SealedAnswer {
  /** The `assay` member of the body. */
  readonly assay: Readonly<Record<string, unknown>>;
  /** assay-id, assay-verdict, assay-attestation (or its URL above 6 KB), assay-security. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The committee, as this side sees it. */
export interface AnswerPipeline {
  /** @throws {ProtocolError} from the iteration, at any point of it */
  answer(request: AnswerRequest): AsyncIterable<AnswerEvent>;
  /** The seal of an answer that was settled before. @throws {ProtocolError} not_found */
  sealedAnswer(requestId: string): Promise<SealedAnswer>;
}
