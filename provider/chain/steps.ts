/** Transactions of one command: said before they are sent, with what they cost, and reported one by one. */
import { formatEther } from 'viem';
import type { Call, ChainAccess, Mined } from '../../contracts/chain/access.ts';

/** One transaction, and what it does in words that follow "will". */
export interface Step {
  readonly what: string;
  readonly call: Call;
}

/** Rounded up from test/bench/results/gas.md and from what anvil takes: a later step cannot be tried before the earlier ones. */
const TYPICAL_GAS: Readonly<Record<string, bigint>> = {
  open: 80_000n,
  addKey: 85_000n,
  approve: 47_000n,
  stake: 75_000n,
  unbond: 101_000n,
  withdraw: 75_000n,
  claim: 96_000n,
  withdrawCredit: 60_000n,
  withdrawBond: 60_000n,
  announce: 46_000n,
  answerOpening: 90_000n,
  disableRoot: 60_000n,
};
/** What proofs and demands take at most, but for long draws. */
const OTHER_GAS = 250_000n;

export interface StepsIo {
  readonly print: (line: string) => void;
}

/** Sends the steps in order, or only says what they would be. @throws {ChainError} at the first that fails */
export async function runSteps(
  chain: ChainAccess,
  steps: readonly Step[],
  io: StepsIo,
  dryRun: boolean,
): Promise<Mined[]> {
  const price = await chain.client.getGasPrice();
  const gas = steps.reduce((sum, { call }) => sum + (TYPICAL_GAS[call.functionName] ?? OTHER_GAS), 0n);
  io.print(`${chain.sender} on chain ${chain.network.chainId} will:`);
  steps.forEach(({ what }, at) => {
    io.print(`  ${at + 1}. ${what}`);
  });
  io.print(`costs about ${gas} gas, ${formatEther(gas * price)} of the chain's coin at the price of now`);
  if (dryRun) {
    io.print('nothing was sent (--dry-run)');
    return [];
  }
  const mined: Mined[] = [];
  for (const [at, { what, call }] of steps.entries()) {
    const done = await chain.send(call);
    io.print(minedLine(`${at + 1}/${steps.length} done: ${what}`, done));
    mined.push(done);
  }
  return mined;
}

/** One transaction in one line: what, hash, gas. */
export function minedLine(what: string, { hash, gasUsed }: Mined): string {
  return `${what}; ${hash}, ${gasUsed} gas`;
}
