/** A gateway's work on its chain, put together from its parts. */
import type { LogKeeper } from './attest/log-keeper.ts';
import type { SigningKeys } from './attest/signing-keys.ts';
import { ChainWorker } from './chain/chain-worker.ts';
import type { EpochKeeper } from './committee/epochs.ts';
import type { GatewayDeps } from './gateway-deps.ts';

interface Parts {
  readonly logKeeper: LogKeeper;
  readonly signingKeys: SigningKeys;
  readonly epochs: EpochKeeper;
}

/** @returns null in a gateway without a chain */
export function chainWorkerOf(
  { store, clock, recover, log: events, chain }: GatewayDeps,
  { logKeeper, signingKeys, epochs }: Parts,
): ChainWorker | null {
  if (chain === undefined) return null;
  return new ChainWorker({
    ...chain,
    ...{ store, clock, recover, events },
    log: logKeeper,
    signers: () => signingKeys.chain(),
    openedKey: (drawRoot, index) => epochs.openedUnder(drawRoot, index),
    openedAudits: (commitment, epoch) => epochs.openedAudits(commitment, epoch),
    onStakes: () => epochs.renew(),
  });
}
