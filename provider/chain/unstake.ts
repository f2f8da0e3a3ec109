/** `assay unstake`: begins to take stake out, and takes out what is ready (spec-chain.md C3, C4). */
import { z } from 'zod';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import {
  accountOf,
  readAs,
  type StakedAccount,
  type Token,
  tokenOf,
  type Unbondings,
  unbondingsOf,
} from './account.ts';
import { amountText, parseAmount, timeText } from './amount.ts';
import { runSteps, type Step, type StepsIo } from './steps.ts';

export interface UnstakeOrder {
  /** In whole tokens, or `all`; null begins nothing. */
  readonly amount: string | null;
  /** Takes out what has waited long enough. */
  readonly withdraw: boolean;
  readonly dryRun: boolean;
}

/** @throws {ChainError} */
export async function unstake(chain: ChainAccess, order: UnstakeOrder, io: StepsIo): Promise<void> {
  const account = chain.sender;
  const held = await accountOf(chain, account);
  if (held === null) throw new ChainError(`${account} has no account: --key must be the key that staked`);
  const token = await tokenOf(chain);
  const steps: Step[] = [];
  if (order.withdraw) steps.push(...(await withdrawals(chain, held, token, io)));
  if (order.amount !== null) {
    const amount = order.amount === 'all' ? held.active : parseAmount(order.amount, token);
    if (amount === null || amount === 0n) throw new ChainError('--amount must be an amount that is at stake, or all');
    if (amount > held.active) throw new ChainError(`only ${amountText(held.active, token)} is at stake`);
    const delay = await readAs(chain, z.number(), { callee: 'StakeRegistry', functionName: 'unbondDelay', args: [] });
    steps.push({
      what: `begin to take out ${amountText(amount, token)}; it earns no more seats, and can be slashed until it is withdrawn, ${delay / 86_400} days from now at the earliest`,
      call: { callee: 'StakeRegistry', functionName: 'unbond', args: [account, amount] },
    });
  }
  if (steps.length > 0) await runSteps(chain, steps, io, order.dryRun);
  show(await accountOf(chain, account), await unbondingsOf(chain, account), token, io);
}

/** One step for each unbonding that is ready, last first: the last one takes the place of one that is paid. */
async function withdrawals(chain: ChainAccess, held: StakedAccount, token: Token, io: StepsIo): Promise<Step[]> {
  const account = chain.sender;
  if (held.convictedAt !== 0) throw new ChainError('the account was convicted: its stake is gone');
  const now = await chain.nowSeconds();
  const queue = await unbondingsOf(chain, account);
  const steps = queue.flatMap(({ amount, readyAt }, index) =>
    readyAt > now
      ? []
      : {
          what: `withdraw ${amountText(amount, token)} to ${account}`,
          call: { callee: 'StakeRegistry' as const, functionName: 'withdraw', args: [account, BigInt(index), account] },
        },
  );
  if (steps.length === 0) io.print('nothing can be withdrawn yet');
  return steps.reverse();
}

function show(held: StakedAccount | null, queue: Unbondings, token: Token, io: StepsIo): void {
  if (held === null) return;
  const frozen = held.frozen === 0n ? '' : `, ${amountText(held.frozen, token)} of all frozen by open cases`;
  io.print(`at stake ${amountText(held.active, token)}${frozen}`);
  for (const { amount, readyAt } of queue)
    io.print(`  ${amountText(amount, token)} can be withdrawn from ${timeText(readyAt)}`);
}
