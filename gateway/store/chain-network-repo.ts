/** Which network a database belongs to: what was signed for one is not valid on another (spec-chain.md C1, C9.1). */
import { type Domain, LOCAL_DOMAIN } from '#protocol/eip712';
import type { Address } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';
import { logSize } from './log-repo.ts';
import { putSetting, settingJson } from './settings-repo.ts';

const NETWORK_SETTING = 'chain.network';
const DECIMALS_SETTING = 'chain.decimals';

/** A gateway's place on a chain. */
export interface NetworkPlace {
  readonly chainId: number;
  readonly registry: Address;
  readonly settlement: Address;
  readonly token: Address;
  readonly account: Address;
}

/**
 * Ties a new database to its network, for ever.
 * @param place null for a gateway without a chain
 * @throws {Error} where it belongs to another one: its log and receipts are signed for that
 */
export async function keepNetwork(tx: Tx, place: NetworkPlace | null, nowMs: number): Promise<void> {
  const known = await settingJson(tx, NETWORK_SETTING);
  const wanted = place === null ? null : textOf(place);
  if (known === wanted) return;
  if (known === null && (await logSize(tx)) === 0) {
    await putSetting(tx, NETWORK_SETTING, wanted!, nowMs);
    return;
  }
  if (known === null) throw new Error('the database was begun without a chain, and cannot be taken onto one');
  if (wanted === null) throw new Error('the database belongs to a chain; name it (--network, --rpc-url)');
  throw new Error('the database belongs to another network, or to another account of it');
}

/** The domain of all signatures in a database. */
export async function storedDomain(handle: Handle): Promise<Domain> {
  const text = await settingJson(handle, NETWORK_SETTING);
  if (text === null) return LOCAL_DOMAIN;
  const { chainId, registry } = JSON.parse(text) as NetworkPlace;
  return { chainId: BigInt(chainId), verifyingContract: registry };
}

/** Decimals of the token; null while nobody has asked the chain. They are kept: amounts would change with them. */
export async function storedDecimals(handle: Handle): Promise<number | null> {
  const text = await settingJson(handle, DECIMALS_SETTING);
  return text === null ? null : Number(text);
}

export async function keepDecimals(tx: Tx, decimals: number, nowMs: number): Promise<void> {
  await putSetting(tx, DECIMALS_SETTING, String(decimals), nowMs);
}

function textOf({ chainId, registry, settlement, token, account }: NetworkPlace): string {
  return JSON.stringify({ chainId, registry, settlement, token, account });
}
