/** A client of a test's gateway that pays on the chain: an escrow, a voucher, and an API key of its own (spec-chain.md C9.5). */
import { expect } from 'vitest';
import { chainDigests } from '#protocol/chain-messages';
import { type Address, fromHex, sha256, toHex, utf8 } from '#protocol/hash';
import { portableSigner } from '#protocol/signer';
import { DEMO } from './chain-fixture.ts';
import { type ChainGateway, soon } from './chain-gateway.ts';

/** What its voucher has brought into the ledger, in base units. */
export const PAID_IN = 2n * DEMO;

/** With an escrow, of which it has paid some, and a key of its own. */
export async function payingClient({
  net,
  account,
  post,
  toy,
}: ChainGateway): Promise<{ client: Address; apiKey: string }> {
  const { domain, addresses } = net.network;
  const { key, chain } = await net.party(10n);
  const [signer, client, apiKey] = [portableSigner(fromHex(key)), chain.sender, 'sk-assay-a-client-made-this-one'];
  const named = { settlement: addresses.Settlement, client, gateway: account };
  await chain.send({ callee: 'token', functionName: 'approve', args: [addresses.Settlement, 5n * DEMO] });
  await chain.send({ callee: 'Settlement', functionName: 'deposit', args: [account, 5n * DEMO] });
  await soon(async () => expect((await toy.call(`/v1/escrow/${client}`)).status).toBe(200));
  const keyHash = toHex(sha256(utf8(apiKey)));
  const ofKey = signer.sign(chainDigests.escrowKey(domain, { ...named, keyHash, revoked: false }));
  await post('/v1/escrow/keys', { client, key_hash: keyHash, revoked: false, signature: ofKey });
  const cumulative = PAID_IN;
  const signature = signer.sign(chainDigests.voucher(domain, { ...named, epoch: 0n, cumulative }));
  await post('/v1/vouchers', { client, epoch: '0', cumulative: String(cumulative), signature });
  await soon(async () => {
    expect(await (await toy.call(`/v1/escrow/${client}`)).json()).toMatchObject({ redeemed: String(cumulative) });
  });
  return { client, apiKey };
}
