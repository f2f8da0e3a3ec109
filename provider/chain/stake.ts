/** `assay stake`: opens the account, adds the signing key, puts stake in (spec-chain.md C2 to C4). */

import { chainDigests } from '#protocol/chain-messages';
import type { Hash } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { accountOf, allowanceOf, keyOf, tokenBalance, tokenOf } from './account.ts';
import { amountText, parseAmount } from './amount.ts';
import { runSteps, type Step, type StepsIo } from './steps.ts';

export interface StakeOrder {
  /** In whole tokens, such as `1000` or `12.5`. */
  readonly amount: string;
  /** The provider's signing key, which the account answers for from now on. */
  readonly signer: Signer;
  /** Hash of the manifest, which the account opens with. */
  readonly manifestHash: Hash;
  readonly dryRun: boolean;
}

/** Only what is not done yet; a second call adds stake. @throws {ChainError} */
export async function stake(chain: ChainAccess, order: StakeOrder, io: StepsIo): Promise<void> {
  const token = await tokenOf(chain);
  const amount = parseAmount(order.amount, token);
  if (amount === null) throw new ChainError(`--amount must be an amount of ${token.symbol}, such as 1000 or 12.5`);
  const balance = await tokenBalance(chain, chain.sender);
  if (balance < amount) {
    throw new ChainError(
      `${chain.sender} has ${amountText(balance, token)}, which is less than ${amountText(amount, token)}`,
    );
  }
  const held = await accountOf(chain, chain.sender);
  if (held !== null && held.convictedAt !== 0)
    throw new ChainError('the account was convicted: stake under another key');
  const steps: Step[] = [];
  if (held === null) {
    steps.push(
      registryStep(`open the account ${chain.sender}, which keeps this name for ever`, 'open', [order.manifestHash]),
    );
  }
  steps.push(...(await keySteps(chain, order.signer)));
  if ((await allowanceOf(chain, 'StakeRegistry')) < amount) {
    const spender = chain.network.addresses.StakeRegistry;
    steps.push({
      what: `let the StakeRegistry (${spender}) take ${amountText(amount, token)}`,
      call: { callee: 'token', functionName: 'approve', args: [spender, amount] },
    });
  }
  steps.push(registryStep(`stake ${amountText(amount, token)}`, 'stake', [chain.sender, amount]));
  await runSteps(chain, steps, io, order.dryRun);
  if (order.dryRun) return;
  const after = await accountOf(chain, chain.sender);
  io.print(
    `${chain.sender} has ${amountText(after?.active ?? 0n, token)} at stake; ${order.signer.address} signs for it`,
  );
}

/** A key proves itself: it signs that it answers for the account. */
async function keySteps(chain: ChainAccess, signer: Signer): Promise<Step[]> {
  const known = await keyOf(chain, signer.address);
  if (known?.account === chain.sender && known.live) return [];
  if (known !== null) {
    throw new ChainError(
      known.account === chain.sender
        ? `${signer.address} was retired: the provider needs another key`
        : `${signer.address} answers for ${known.account}, for ever: --key must be that account's`,
    );
  }
  const proof = signer.sign(
    chainDigests.signingKey(chain.network.domain, { account: chain.sender, key: signer.address }),
  );
  return [registryStep(`answer for all that ${signer.address} signs`, 'addKey', [chain.sender, signer.address, proof])];
}

function registryStep(what: string, functionName: string, args: readonly unknown[]): Step {
  return { what, call: { callee: 'StakeRegistry', functionName, args } };
}
