/** A whole gateway of toy providers on a real chain: they stake there, it registers, reads and sends by itself. */
import { expect, vi } from 'vitest';
import { type Address, toHex, ZERO_HASH } from '#protocol/hash';
import type { ChainSetup } from '../../gateway/chain/chain-setup.ts';
import { viemChainClient } from '../../gateway/chain/viem-client.ts';
import { accountOf } from '../../provider/chain/account.ts';
import { stake } from '../../provider/chain/stake.ts';
import { keyOf, signerOf, startToyNetwork, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { DEMO, startNetwork, type TestNetwork } from './chain-fixture.ts';

/** Longest that a condition is waited for: a busy machine takes seconds for a block of anvil. */
const PATIENCE_MS = 60_000;
const STAKE_DEMO = 50n;

export interface ChainGateway {
  readonly net: TestNetwork;
  readonly toy: ToyNetwork;
  /** The gateway's account. */
  readonly account: Address;
  /** A POST of JSON. */
  post(path: string, body: object, apiKey?: string): Promise<Response>;
  stop(): Promise<void>;
}

/** @param members providers that stake, and are seen to have, before it returns */
export async function startChainGateway(
  members: number,
  referees?: Parameters<typeof startNetwork>[0],
  options: ToyOptions = {},
): Promise<ChainGateway> {
  const net = await startNetwork(referees);
  const { network, rpcUrl } = net;
  const own = await net.party(100n, toHex(keyOf('gateway')));
  const account = own.chain.sender;
  const names = Array.from({ length: members }, (_, at) => `p${at}`);
  for (const name of names) {
    const { chain } = await net.party(100n, toHex(keyOf(name)));
    const order = { amount: String(STAKE_DEMO), signer: signerOf(name), manifestHash: ZERO_HASH, dryRun: false };
    await stake(chain, order, { print: () => undefined });
  }
  const chain: ChainSetup = {
    client: viemChainClient(rpcUrl, network, keyOf('gateway')),
    network,
    account,
    terms: {
      ...{ confirmations: 0, pollMs: 50, rootMs: 50, reconcileMs: 3_600_000 },
      ...{ bumpMs: 60_000, feeMaxWei: 10n ** 13n, voucherLeastNano: DEMO },
    },
  };
  const toy = await startToyNetwork({ ...options, members, chain });
  const rich = await net.party(100n);
  await soon(async () => expect(await accountOf(rich.chain, account)).not.toBeNull());
  // Anybody may add stake: the gateway's own key sends for the gateway alone.
  const amount = STAKE_DEMO * DEMO;
  const { StakeRegistry } = network.addresses;
  await rich.chain.send({ callee: 'token', functionName: 'approve', args: [StakeRegistry, amount] });
  await rich.chain.send({ callee: 'StakeRegistry', functionName: 'stake', args: [account, amount] });
  await soon(async () => {
    const { data } = (await (await toy.call('/v1/providers')).json()) as { data: { stake_nano: string }[] };
    expect(data.filter(({ stake_nano: nano }) => BigInt(nano) > 0n)).toHaveLength(members);
  });
  return {
    ...{ net, toy, account },
    post: (path, body, apiKey) =>
      toy.call(path, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
        },
        body: JSON.stringify(body),
      }),
    async stop() {
      await toy.stop();
      await net.stop();
    },
  };
}

/** Asks again and again until it holds: blocks and looks come when they come. */
export async function soon(holds: () => Promise<void>): Promise<void> {
  await vi.waitFor(holds, { timeout: PATIENCE_MS, interval: 50 });
}
