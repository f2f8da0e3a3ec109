/** What a gateway is made from; all that differs between main.ts, the tests and the simulation. */
import type { Domain } from '#protocol/eip712';
import type { Clock, Rng } from '#protocol/env';
import type { LogSigner } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import type { Recover, Signer } from '#protocol/signer';
import type { Traces } from '#protocol/trace-context';
import type { HeadMark } from './attest/signed-head.ts';
import type { KeyVault } from './attest/signing-keys.ts';
import type { ChainSetup } from './chain/chain-setup.ts';
import type { SecretBox } from './committee/epochs.ts';
import type { DeskMove } from './dispute/desk.ts';
import type { WebhookCall } from './events/webhook-call.ts';
import type { KeyRates } from './limits/key-limiter.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Operation } from './mount-routes.ts';
import type { ModelEntry } from './openai/answer.ts';
import type { ChatLimits } from './openai/limits.ts';
import type { PipelineLimits } from './round/accept.ts';
import type { ReplyFetch } from './round/reply.ts';
import type { WaveLimits } from './round/wave.ts';
import type { Store } from './store/handle.ts';

/** Everything that decides how a gateway behaves; all durations in milliseconds. */
export interface GatewayLimits extends WaveLimits, PipelineLimits {
  /** Least time for a sealed chunk, however fast its class; the most is `roundTimeoutMs`. */
  readonly sealLeastMs: number;
  readonly scoreTimeoutMs: number;
  readonly manifestTimeoutMs: number;
  /** From a ruling until its money moves. */
  readonly appealMs: number;
  /** Draw keys per epoch. */
  readonly epochSize: number;
  /** Most stake of one provider that counts in the draw. */
  readonly stakeCapNano: bigint;
  /** Answers in a million after which a scorer is tried; none without. */
  readonly scorerTrialPpm?: number;
}

export interface GatewayDeps {
  readonly store: Store;
  readonly fetch: ReplyFetch;
  /** The key that this gateway began with; `vault` holds those that followed. */
  readonly signer: Signer;
  readonly vault?: KeyVault;
  readonly logSigner: LogSigner;
  /** Is told of every checkpoint before its signature leaves. */
  readonly headMark?: HeadMark;
  readonly box: SecretBox;
  readonly recover: Recover;
  readonly domain: Domain;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where spans go; without, a client's trace context is passed on and nothing is recorded. */
  readonly traces?: Traces;
  readonly models: readonly ModelEntry[];
  readonly policyDefault: Policy;
  readonly limits: GatewayLimits;
  readonly chatLimits?: ChatLimits;
  /** How operators run it; without, it has no admin API and admits whom its configuration names alone. */
  readonly operation?: Operation;
  /** Limits of keys that have none of their own. */
  readonly keyRates?: KeyRates;
  readonly onDisputeMove?: (move: DeskMove) => void;
  /** Largest kept answer in bytes that is packed in place instead of in another thread; see `IdempotencyDeps`. */
  readonly packInPlaceBytesMax?: number;
  /** Calls webhooks; without, events wait for a gateway that has one. */
  readonly webhookCall?: WebhookCall;
  /** The chain that it settles on; without, the ledger alone holds the money. */
  readonly chain?: ChainSetup;
}
