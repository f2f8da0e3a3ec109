/** A client's escrow for one gateway: money in, vouchers, an API key over them, and out again without anybody's leave (spec-chain.md C5, C9.5). */
import { z } from 'zod';
import { chainDigests } from '#protocol/chain-messages';
import type { Address, Hash, Hex } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { allowanceOf, readAs, type Token, tokenBalance, tokenOf } from './account.ts';
import { amountText, parseAmount, timeText } from './amount.ts';
import { runSteps, type Step, type StepsIo } from './steps.ts';

const zChannel = z.object({ deposited: z.bigint(), redeemed: z.bigint(), epoch: z.bigint(), exitAt: z.number() });
export type Channel = z.output<typeof zChannel>;

export interface EscrowOrder {
  /** The gateway's account. */
  readonly gateway: Address;
  /** In whole tokens; null deposits nothing. */
  readonly deposit: string | null;
  /** Begins to take out what no voucher has signed away. */
  readonly exit: boolean;
  /** Takes it out, once the delay is over. */
  readonly withdraw: boolean;
  readonly dryRun: boolean;
}

export function channelOf(chain: ChainAccess, gateway: Address): Promise<Channel> {
  return readAs(chain, zChannel, { callee: 'Settlement', functionName: 'channelOf', args: [chain.sender, gateway] });
}

/** Does what is asked for on the chain. @throws {ChainError} */
export async function moveEscrow(chain: ChainAccess, order: EscrowOrder, io: StepsIo): Promise<void> {
  const token = await tokenOf(chain);
  const steps: Step[] = [];
  const call = (functionName: string, args: readonly unknown[]) => ({
    callee: 'Settlement' as const,
    functionName,
    args: [order.gateway, ...args],
  });
  if (order.deposit !== null) steps.push(...(await deposits(chain, order.deposit, token, call)));
  const { exitAt } = await channelOf(chain, order.gateway);
  if (order.exit) {
    if (exitAt !== 0) throw new ChainError(`an exit runs already: it can be finished from ${timeText(exitAt)} on`);
    steps.push({
      what: 'begin to take out what no voucher signs away; a deposit calls it off',
      call: call('startExit', []),
    });
  }
  if (order.withdraw) {
    if (exitAt === 0) throw new ChainError('no exit runs: --exit begins one');
    steps.push({
      what: `take it out to ${chain.sender}; older vouchers are worth nothing then`,
      call: call('finishExit', []),
    });
  }
  if (steps.length > 0) await runSteps(chain, steps, io, order.dryRun);
}

async function deposits(
  chain: ChainAccess,
  text: string,
  token: Token,
  call: (functionName: string, args: readonly unknown[]) => Step['call'],
): Promise<Step[]> {
  const amount = parseAmount(text, token);
  if (amount === null) throw new ChainError(`--deposit must be an amount of ${token.symbol}, such as 100 or 12.5`);
  if ((await tokenBalance(chain, chain.sender)) < amount) {
    throw new ChainError(`${chain.sender} has less than ${amountText(amount, token)}`);
  }
  const { Settlement } = chain.network.addresses;
  const approve = {
    what: `let the Settlement (${Settlement}) take ${amountText(amount, token)}`,
    call: { callee: 'token' as const, functionName: 'approve', args: [Settlement, amount] },
  };
  const isAllowed = (await allowanceOf(chain, 'Settlement')) >= amount;
  const deposit = { what: `put ${amountText(amount, token)} into escrow`, call: call('deposit', [amount]) };
  return isAllowed ? [deposit] : [approve, deposit];
}

/** A voucher as a gateway takes it. */
export interface SignedVoucher {
  readonly client: Address;
  readonly epoch: string;
  readonly cumulative: string;
  readonly signature: Hex;
}

/**
 * Signs so much more than the chain has seen redeemed: nobody's word says what was signed before, so that a gateway cannot ask for it twice.
 * @param text whole tokens @throws {ChainError} where the escrow does not hold it
 */
export async function signVoucher(
  chain: ChainAccess,
  gateway: Address,
  text: string,
  signer: Signer,
): Promise<SignedVoucher> {
  const token = await tokenOf(chain);
  const amount = parseAmount(text, token);
  if (amount === null) throw new ChainError(`--pay must be an amount of ${token.symbol}, such as 20 or 0.5`);
  const { deposited, redeemed, epoch } = await channelOf(chain, gateway);
  const cumulative = redeemed + amount;
  if (cumulative > deposited) throw new ChainError(`the escrow holds ${amountText(deposited - redeemed, token)} more`);
  const client = chain.sender;
  const value = { settlement: chain.network.addresses.Settlement, client, gateway, epoch, cumulative };
  const signature = signer.sign(chainDigests.voucher(chain.network.domain, value));
  return { client, epoch: epoch.toString(), cumulative: cumulative.toString(), signature };
}

/** A statement that an API key spends what vouchers bring, or no more. */
export function signEscrowKey(chain: ChainAccess, gateway: Address, keyHash: Hash, revoked: boolean, signer: Signer) {
  const client = chain.sender;
  const value = { settlement: chain.network.addresses.Settlement, client, gateway, keyHash, revoked };
  const signature = signer.sign(chainDigests.escrowKey(chain.network.domain, value));
  return { client, key_hash: keyHash, revoked, signature };
}

/** What the chain holds for the gateway, in one line. */
export async function escrowLine(chain: ChainAccess, gateway: Address): Promise<string> {
  const token = await tokenOf(chain);
  const { deposited, redeemed, exitAt } = await channelOf(chain, gateway);
  const exit = exitAt === 0 ? '' : `; an exit can be finished from ${timeText(exitAt)} on`;
  return `in escrow ${amountText(deposited - redeemed, token)}, redeemed ${amountText(redeemed, token)}${exit}`;
}
