/** `assay claim`: earnings under the gateway's root, rewards of slashes, bonds that came back (spec-chain.md C4, C5). */
import { z } from 'zod';
import { type EarningsProof, earningInTree, earningsRootId } from '#protocol/earnings';
import type { Address, Hex } from '#protocol/hash';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { answersFor, bondsOf, creditOf, readAs, type Token, tokenOf, zChainAddress } from './account.ts';
import { amountText, timeText } from './amount.ts';
import { runSteps, type Step, type StepsIo } from './steps.ts';

export interface ClaimOrder {
  /** What the gateway says about this provider's earnings; null asks for rewards and bonds alone. */
  readonly proof: EarningsProof | null;
  /** Whose earnings they have to be: the provider's signing key, or the account that answers for it. */
  readonly provider: Address;
  readonly dryRun: boolean;
}

const zRoot = z.object({
  id: z.string().regex(/^0x[0-9a-f]{52}$/) as unknown as z.ZodType<Hex, Hex>,
  activeAt: z.number(),
});

/** @returns base units that came in. @throws {ChainError} where the proof does not hold, or nothing can be claimed */
export async function claim(chain: ChainAccess, order: ClaimOrder, io: StepsIo): Promise<bigint> {
  const token = await tokenOf(chain);
  const found: { step: Step; amount: bigint }[] = [];
  if (order.proof !== null) found.push(...(await earnings(chain, order.proof, order.provider, token, io)));
  found.push(...(await rewards(chain, token)));
  if (found.length === 0) {
    io.print('there is nothing to claim');
    return 0n;
  }
  await runSteps(
    chain,
    found.map(({ step }) => step),
    io,
    order.dryRun,
  );
  return found.reduce((sum, { amount }) => sum + amount, 0n);
}

async function earnings(
  chain: ChainAccess,
  proof: EarningsProof,
  provider: Address,
  token: Token,
  io: StepsIo,
): Promise<{ step: Step; amount: bigint }[]> {
  await checkProof(chain, proof, provider);
  const { gateway, payee, cumulative } = proof;
  const args = [gateway, payee];
  const before = await readAs(chain, z.bigint(), { callee: 'Settlement', functionName: 'claimed', args });
  if (cumulative <= before) {
    io.print(`all ${amountText(before, token)} that the root gives ${payee} were claimed before`);
    return [];
  }
  const amount = cumulative - before;
  const to = await readAs(chain, zChainAddress, {
    callee: 'StakeRegistry',
    functionName: 'controllerOf',
    args: [payee],
  });
  const call = { callee: 'Settlement' as const, functionName: 'claim', args: [gateway, payee, provenEarnings(proof)] };
  return [{ amount, step: { what: `pay ${amountText(amount, token)} earned by ${payee} to ${to}`, call } }];
}

/** A leaf under a root, as the contract takes it. */
export function provenEarnings(proof: Omit<EarningsProof, 'gateway' | 'payee'>) {
  const { rootIndex, earnings, cumulative, leafIndex, path } = proof;
  return { rootIndex: BigInt(rootIndex), earnings, cumulative, leafIndex: BigInt(leafIndex), path };
}

/** A gateway's root as the chain keeps it; all zero where there is none. @throws {ChainError} */
export function rootAt(chain: ChainAccess, gateway: Address, index: number): Promise<z.output<typeof zRoot>> {
  return readAs(chain, zRoot, { callee: 'Settlement', functionName: 'rootOf', args: [gateway, BigInt(index)] });
}

/** Nothing is sent on the gateway's word: the root is the chain's, the leaf is under it. @throws {ChainError} */
export async function checkProof(chain: ChainAccess, proof: EarningsProof, provider: Address): Promise<void> {
  const { gateway, payee, rootIndex } = proof;
  if (payee !== provider && payee !== (await answersFor(chain, provider))) {
    throw new ChainError(`the gateway's proof is about ${payee}, which is not this provider`);
  }
  const posted = await rootAt(chain, gateway, rootIndex);
  if (posted.id !== earningsRootId(proof.earnings)) {
    throw new ChainError(`root ${rootIndex} of the gateway's proof is not the one on the chain`);
  }
  if (!earningInTree(proof, proof, proof.earnings)) throw new ChainError('the leaf of the proof is not under its root');
  const now = await chain.nowSeconds();
  if (now < posted.activeAt) throw new ChainError(`root ${rootIndex} pays from ${timeText(posted.activeAt)} on`);
  const next = await rootAt(chain, gateway, rootIndex + 1);
  if (next.activeAt !== 0 && now >= next.activeAt) {
    throw new ChainError(
      `the gateway's proof is under root ${rootIndex}, and a later one is active: it has to give that`,
    );
  }
}

/** Credits of the registry, and bonds: all that is booked for the sender. */
async function rewards(chain: ChainAccess, token: Token): Promise<{ step: Step; amount: bigint }[]> {
  const me = chain.sender;
  const found: { step: Step; amount: bigint }[] = [];
  const credit = await creditOf(chain, me);
  if (credit > 0n) {
    const call = { callee: 'StakeRegistry' as const, functionName: 'withdrawCredit', args: [me, me] };
    found.push({
      amount: credit,
      step: { what: `withdraw ${amountText(credit, token)} of rewards and refunds`, call },
    });
  }
  for (const callee of ['Evidence', 'Rulings'] as const) {
    const bond = await bondsOf(chain, callee, me);
    if (bond === 0n) continue;
    const call = { callee, functionName: 'withdrawBond', args: [me, me] };
    found.push({ amount: bond, step: { what: `withdraw ${amountText(bond, token)} of bonds in ${callee}`, call } });
  }
  return found;
}
