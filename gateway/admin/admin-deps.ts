/** What the admin API works on. */
import type { Clock, Rng } from '#protocol/env';
import type { Policy } from '#protocol/policy';
import type { SigningKeys } from '../attest/signing-keys.ts';
import type { ChainWorker } from '../chain/chain-worker.ts';
import type { EpochKeeper, SecretBox } from '../committee/epochs.ts';
import type { Exclusions } from '../committee/exclusions.ts';
import type { KeyAnnouncer } from '../committee/key-announcer.ts';
import type { Registry } from '../committee/registry.ts';
import type { EvidenceDesk } from '../evidence/evidence-desk.ts';
import type { GatewayContext } from '../http/context.ts';
import type { Log, LogFields } from '../log.ts';
import type { Store } from '../store/handle.ts';
import type { PolicyDefault } from './policy-default.ts';

export interface AdminDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly epochs: EpochKeeper;
  readonly exclusions: Exclusions;
  readonly evidence: EvidenceDesk;
  readonly signingKeys: SigningKeys;
  readonly announcer: KeyAnnouncer;
  readonly policy: PolicyDefault;
  readonly policyConfigured: Policy;
  readonly chain: ChainWorker | null;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** First stake of a provider that an operator admits without naming one. */
  readonly stakeNano: bigint;
  /** Seals the secrets of webhooks. */
  readonly box: SecretBox;
  readonly isPrivateWebhookAllowed: boolean;
  /** Ends calls to providers when the gateway stops. */
  readonly stopping: AbortSignal;
}

/** One line for every change that was carried out: what, by which call, to whom. */
export function audit(deps: Pick<AdminDeps, 'log'>, c: GatewayContext, event: string, fields: LogFields): void {
  deps.log.info(event, { requestId: c.get('requestId'), ...fields });
}
