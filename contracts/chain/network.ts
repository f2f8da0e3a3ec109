/** The file that `assay deploy` writes: where a network's contracts are, and how they are called. */
import type { Abi } from 'viem';
import { z } from 'zod';
import type { Domain } from '#protocol/eip712';
import type { Address } from '#protocol/hash';
import { safeParse, zAddress } from '#protocol/schema';
import { CONTRACTS, type ContractName } from './deploy.ts';

/** Addresses are written with their checksum, and read without. */
const zAnyAddress = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/)
  .transform((text) => text.toLowerCase())
  .pipe(zAddress);
const zAbi = z.array(z.looseObject({ type: z.string() })).min(1);
const each = <T extends z.ZodType>(schema: T) =>
  z.object(Object.fromEntries(CONTRACTS.map((name) => [name, schema])) as Record<ContractName, T>);

const zNetwork = z.object({
  chainId: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  token: zAnyAddress,
  addresses: each(zAnyAddress),
  abis: each(zAbi),
  fromBlock: z.int().min(0).default(0),
});

/** One network, as its participants know it. */
export interface Network {
  readonly chainId: number;
  /** ERC-20 token of stake and settlement. */
  readonly token: Address;
  readonly addresses: Readonly<Record<ContractName, Address>>;
  readonly abis: Readonly<Record<ContractName, Abi>>;
  /** The newest block before its contracts: events are read from there on. */
  readonly fromBlock: number;
  /** Where signatures of this network are valid: its chain, and its StakeRegistry. */
  readonly domain: Domain;
}

/** The network of a file's text; null where it is not one. */
export function parseNetwork(text: string): Network | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = safeParse(zNetwork, json);
  if (!parsed.success) return null;
  const { chainId, token, addresses, abis, fromBlock } = parsed.data;
  const domain = { chainId: BigInt(chainId), verifyingContract: addresses.StakeRegistry };
  return { chainId, token, addresses, abis: abis as unknown as Network['abis'], fromBlock, domain };
}
