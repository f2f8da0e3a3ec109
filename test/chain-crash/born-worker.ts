/** A chain worker over a real chain, as main.ts would put it together, with a fate of its own. */
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { LogKeeper } from '../../gateway/attest/log-keeper.ts';
import { logSignerOf } from '../../gateway/attest/log-signer.ts';
import type { ChainTerms } from '../../gateway/chain/chain-setup.ts';
import { ChainWorker } from '../../gateway/chain/chain-worker.ts';
import type { ChainMove } from '../../gateway/chain/outbox.ts';
import { viemChainClient } from '../../gateway/chain/viem-client.ts';
import { createLog } from '../../gateway/log.ts';
import type { Store } from '../../gateway/store/handle.ts';
import type { HandClock } from '../fixtures/hand-clock.ts';
import { Fate, mortalClient, mortalStore } from './mortal.ts';
import type { TestChain } from './test-chain.ts';

export const CONFIRMATIONS = 3;
export const TERMS: ChainTerms = {
  confirmations: CONFIRMATIONS,
  bumpMs: 2_000,
  feeMaxWei: 10n ** 13n,
  pollMs: 1_000,
  rootMs: 3_000,
  reconcileMs: 10_000,
  voucherLeastNano: 1_000n,
};
export const ORIGIN = 'crash.example/chain';

export function bornWorker(
  chain: TestChain,
  store: Store,
  clock: HandClock,
  fate: Fate = new Fate(Number.POSITIVE_INFINITY, false),
  onMove: (move: ChainMove) => void = () => {},
): ChainWorker {
  const { network, gateway, url } = chain;
  const mortal = mortalStore(store, fate);
  const signer = nativeSigner(gateway.key);
  const logSigner = logSignerOf(ORIGIN, gateway.key, signer);
  return new ChainWorker({
    client: mortalClient(viemChainClient(url, network, gateway.key), fate),
    ...{ network, clock, onMove },
    store: mortal,
    log: new LogKeeper({ store: mortal, signer: logSigner, domain: network.domain, clock }),
    account: gateway.address,
    terms: TERMS,
    recover: recoverNative,
    events: createLog({ clock, level: 'silent' }),
    signers: async () => [signer],
    openedKey: async () => null,
    openedAudits: async () => null,
    onStakes: () => {},
  });
}
