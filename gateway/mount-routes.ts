/** Every route beside the OpenAI surface: public, providers' own, operators'. */

import type { Domain } from '#protocol/eip712';
import type { Clock, Rng } from '#protocol/env';
import type { Address } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import type { Recover } from '#protocol/signer';
import { mountAdmin } from './admin/admin-routes.ts';
import type { PolicyDefault } from './admin/policy-default.ts';
import type { LogKeeper } from './attest/log-keeper.ts';
import type { ReceiptDesk } from './attest/receipts.ts';
import type { SigningKeys } from './attest/signing-keys.ts';
import { mountCases } from './chain/case-routes.ts';
import { mountChainRoutes } from './chain/chain-routes.ts';
import type { ChainWorker } from './chain/chain-worker.ts';
import type { Breakers } from './committee/breakers.ts';
import type { EpochKeeper, SecretBox } from './committee/epochs.ts';
import type { Exclusions } from './committee/exclusions.ts';
import type { KeyAnnouncer } from './committee/key-announcer.ts';
import type { Registry } from './committee/registry.ts';
import type { DisputeDesk } from './dispute/desk.ts';
import type { EventHub } from './events/event-hub.ts';
import { mountEvents } from './events/event-routes.ts';
import type { EvidenceDesk } from './evidence/evidence-desk.ts';
import type { GatewayApp, GatewayMiddleware } from './http/context.ts';
import { mountEpochKeys } from './http/epoch-keys.ts';
import { mountPublicRoutes } from './http/public-routes.ts';
import type { Log } from './log.ts';
import { mountProviderDesk } from './provider-desk/provider-routes.ts';
import type { Store } from './store/handle.ts';

/** How operators run a gateway. */
export interface Operation {
  /** Opens the admin API; null leaves it out. */
  readonly adminKey: string | null;
  /** First stake of a provider that is admitted without naming one. */
  readonly stakeNano: bigint;
  /** Providers that are admitted as soon as they apply. */
  readonly allowedProviders: readonly Address[];
  /** Whether webhooks may be sent into private networks. */
  readonly isPrivateWebhookAllowed?: boolean;
}

export interface RouteDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly domain: Domain;
  readonly recover: Recover;
  readonly box: SecretBox;
  readonly policyDefault: Policy;
  readonly operation?: Operation;
}

/** Parts of one gateway that routes work on. */
export interface RouteParts {
  readonly receipts: ReceiptDesk;
  readonly breakers: Breakers;
  readonly registry: Registry;
  readonly epochs: EpochKeeper;
  readonly logKeeper: LogKeeper;
  readonly desk: DisputeDesk;
  readonly evidence: EvidenceDesk;
  readonly signingKeys: SigningKeys;
  readonly exclusions: Exclusions;
  readonly announcer: KeyAnnouncer;
  readonly policy: PolicyDefault;
  readonly chain: ChainWorker | null;
  readonly hub: EventHub;
  readonly ready: () => boolean;
  readonly stopping: AbortSignal;
}

export function mountRoutes(app: GatewayApp, auth: GatewayMiddleware, deps: RouteDeps, parts: RouteParts): void {
  const { operation, log, store, clock, rng, domain, recover } = deps;
  const { signingKeys, logKeeper } = parts;
  mountPublicRoutes(app, auth, { store, ...parts, log: logKeeper });
  mountEpochKeys(app, parts.epochs);
  mountEvents(app, auth, { store, clock, hub: parts.hub });
  mountChainRoutes(app, parts.chain);
  const isOwn = (address: Address) => signingKeys.of(address) !== null;
  mountCases(app, { store, clock, domain, recover, chain: parts.chain, receipts: parts.receipts, isOwn });
  const shared = { ...parts, store, clock, rng, domain, recover, stakeNano: operation?.stakeNano ?? 0n };
  mountProviderDesk(app, {
    ...shared,
    get signer() {
      return signingKeys.active;
    },
    log: logKeeper,
    events: log,
    isOwn,
    allowed: new Set(operation?.allowedProviders ?? []),
  });
  const adminKey = operation?.adminKey ?? null;
  if (adminKey === null) return;
  const isPrivateWebhookAllowed = operation?.isPrivateWebhookAllowed ?? false;
  const policyConfigured = deps.policyDefault;
  mountAdmin(app, adminKey, { ...shared, log, box: deps.box, policyConfigured, isPrivateWebhookAllowed });
}
