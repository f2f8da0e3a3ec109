/** What the chain says of one staked account, parsed. */
import { z } from 'zod';
import { type Address, type Hash, ZERO_HASH } from '#protocol/hash';
import { safeParse, zAddress } from '#protocol/schema';
import { type Call, type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import type { ContractName } from '../../contracts/chain/deploy.ts';

/** viem gives addresses with their checksum. */
export const zChainAddress = z
  .string()
  .transform((text) => text.toLowerCase())
  .pipe(zAddress);
export const NOBODY: Address = `0x${'00'.repeat(20)}`;

const zAccount = z.object({
  operator: zChainAddress,
  active: z.bigint(),
  queued: z.bigint(),
  frozen: z.bigint(),
  openedAt: z.number(),
  convictedAt: z.number(),
  reporter: zChainAddress,
});
export type StakedAccount = z.output<typeof zAccount>;
const zUnbondings = z.array(z.object({ amount: z.bigint(), readyAt: z.number() }));
export type Unbondings = z.output<typeof zUnbondings>;
const zKey = z.tuple([zChainAddress, z.number(), z.number()]);

/** The token, as people read amounts of it. */
export interface Token {
  readonly symbol: string;
  readonly decimals: number;
}

/** A view's result through a schema. @throws {ChainError} */
export async function readAs<T>(chain: ChainAccess, schema: z.ZodType<T>, call: Call): Promise<T> {
  const parsed = safeParse(schema, await chain.read(call));
  if (!parsed.success) throw new ChainError(`${call.callee}.${call.functionName} answered in an unknown form`);
  return parsed.data;
}

const registry = (functionName: string, args: readonly unknown[]): Call => ({
  callee: 'StakeRegistry',
  functionName,
  args,
});

/** The account of an address; null where none was opened. */
export async function accountOf(chain: ChainAccess, account: Address): Promise<StakedAccount | null> {
  const held = await readAs(chain, zAccount, registry('accountOf', [account]));
  return held.openedAt === 0 ? null : held;
}

export function unbondingsOf(chain: ChainAccess, account: Address): Promise<Unbondings> {
  return readAs(chain, zUnbondings, registry('unbondingsOf', [account]));
}

/** The account that a key was added to, whether or not it still answers; null for none. */
export async function keyOf(chain: ChainAccess, key: Address): Promise<{ account: Address; live: boolean } | null> {
  const [account, , answersUntil] = await readAs(chain, zKey, registry('keys', [key]));
  return account === NOBODY ? null : { account, live: answersUntil === 0 };
}

/** The account that answers for what a key signs now; null for none. */
export async function answersFor(chain: ChainAccess, key: Address): Promise<Address | null> {
  const account = await readAs(chain, zChainAddress, registry('answers', [key]));
  return account === NOBODY ? null : account;
}

export async function tokenOf(chain: ChainAccess): Promise<Token> {
  const symbol = await readAs(chain, z.string().max(32), { callee: 'token', functionName: 'symbol', args: [] });
  const decimals = await readAs(chain, z.int().min(0).max(77), { callee: 'token', functionName: 'decimals', args: [] });
  return { symbol, decimals };
}

export function tokenBalance(chain: ChainAccess, owner: Address): Promise<bigint> {
  return readAs(chain, z.bigint(), { callee: 'token', functionName: 'balanceOf', args: [owner] });
}

export function allowanceOf(chain: ChainAccess, spender: ContractName): Promise<bigint> {
  const args = [chain.sender, chain.network.addresses[spender]];
  return readAs(chain, z.bigint(), { callee: 'token', functionName: 'allowance', args });
}

/** What a slash has brought an address, in the registry. */
export function creditOf(chain: ChainAccess, owner: Address): Promise<bigint> {
  return readAs(chain, z.bigint(), registry('credits', [owner]));
}

export function bondsOf(chain: ChainAccess, contract: 'Evidence' | 'Rulings', owner: Address): Promise<bigint> {
  return readAs(chain, z.bigint(), { callee: contract, functionName: 'bonds', args: [owner] });
}

/** The hash that an account opens with where no manifest is known. */
export const NO_MANIFEST: Hash = ZERO_HASH;
