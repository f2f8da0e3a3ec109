/** What middleware leaves for handlers, and what handlers leave for the log and the metrics. */
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { Address } from '#protocol/hash';
import type { ApiKey } from '../keys.ts';
import type { Admission } from '../limits/key-limiter.ts';

/** What is known of one request when it ends; handlers fill it in as they learn it. */
export interface Observation {
  keyId?: string;
  model?: string;
  mode?: string;
  verdict?: string;
  finish?: string;
  stream?: boolean;
  promptTokens?: number;
  outputTokens?: number;
  firstTokenMs?: number;
  /** Code of the error that ended the request, before or after headers were sent. */
  code?: string;
  /** Set by a handler whose body outlives it; the handler then calls `ended` itself. */
  deferred?: boolean;
}

export interface GatewayVariables {
  /** Unique within this gateway; `assay-id` of the answer and key of everything stored about it. */
  requestId: string;
  arrivedMs: number;
  observation: Observation;
  /** Records the request once; later calls do nothing. */
  ended: () => void;
  /** Set on routes behind `requireKey`. */
  apiKey: ApiKey;
  /** Set on routes behind `limitKeys`. */
  admission: Admission;
  /** Set on routes behind a provider's signature. */
  providerCall: ProviderCaller;
}

/** A provider that has signed this call, and the body that it signed. */
export interface ProviderCaller {
  readonly provider: Address;
  readonly body: Uint8Array;
  readonly atMs: number;
}

export type GatewayEnv = { Variables: GatewayVariables };
export type GatewayApp = Hono<GatewayEnv>;
export type GatewayContext = Context<GatewayEnv>;
export type GatewayMiddleware = MiddlewareHandler<GatewayEnv>;
