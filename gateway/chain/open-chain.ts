/** A gateway's chain from its configuration: network file, key, terms (spec-chain.md C9.1). */
import { readFileSync } from 'node:fs';
import { parsePrivateKey } from '#protocol/private-key';
import { parseNetwork } from '../../contracts/chain/network.ts';
import type { ChainConfig } from '../config-chain.ts';
import type { NetworkPlace } from '../store/chain-network-repo.ts';
import type { ChainSetup } from './chain-setup.ts';
import type { ChainMove } from './outbox.ts';
import { viemChainClient } from './viem-client.ts';

const WEI_PER_GWEI = 1_000_000_000n;

/**
 * @param ownKey of the gateway, which sends where no other key is named
 * @returns null where no network is configured
 * @throws {Error} where a file cannot be read or is not what it should be; never quoting it
 */
export function openChain(
  config: ChainConfig,
  ownKey: Uint8Array,
  onMove?: (move: ChainMove) => void,
): ChainSetup | null {
  if (config.network === null || config.rpcUrl === null) return null;
  const network = parseNetwork(readFileSync(config.network, 'utf8'));
  if (network === null) throw new Error('the network file is not one that `assay deploy` writes');
  const { accountKeyFile } = config;
  const key = accountKeyFile === null ? ownKey : parsePrivateKey(readFileSync(accountKeyFile, 'utf8'));
  const client = viemChainClient(config.rpcUrl, network, key);
  return {
    client,
    network,
    account: config.account ?? client.sender,
    terms: {
      confirmations: config.confirmations,
      pollMs: config.chainPollMs,
      rootMs: config.rootMs,
      reconcileMs: config.reconcileMs,
      bumpMs: config.feeBumpMs,
      feeMaxWei: BigInt(config.feeMaxGwei) * WEI_PER_GWEI,
      voucherLeastNano: config.voucherLeastNano,
    },
    ...(onMove ? { onMove } : {}),
  };
}

/** What a database is tied to. */
export function placeOf({ network, account }: Pick<ChainSetup, 'network' | 'account'>): NetworkPlace {
  const { chainId, token, addresses } = network;
  return { chainId, registry: addresses.StakeRegistry, settlement: addresses.Settlement, token, account };
}
