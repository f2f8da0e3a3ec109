/** What contracts say of demands and cases, over JSON-RPC (spec-chain.md C6, C7). */
import type { createPublicClient } from 'viem';
import type { Address, Hash } from '#protocol/hash';
import type { Network } from '../../contracts/chain/network.ts';
import type { CaseState, ChainClient, DemandState } from './chain-client.ts';
import { EVIDENCE_ABI, RULINGS_ABI, TOKEN_ABI } from './contracts.ts';

/** Places in the contracts' enums. */
const DEMAND_OPEN = 1;
const ASKED: Readonly<Record<number, DemandState['asks']>> = { 9: 'key', 10: 'audit' };
const CASE_STATES: readonly CaseState['state'][] = ['none', 'opened', 'ruled', 'appealed', 'settled'];
const OUTCOMES: readonly CaseState['outcome'][] = ['none', 'upheld', 'rejected'];

type Readings = Pick<ChainClient, 'demand' | 'case' | 'isReferee' | 'caseBond' | 'tokenBalance'>;

export function disputeReadings(
  client: ReturnType<typeof createPublicClient>,
  { token, addresses: { Evidence: evidence, Rulings: rulings } }: Network,
): Readings {
  return {
    async demand(id: Hash, number: number) {
      const call = { address: evidence, abi: EVIDENCE_ABI, functionName: 'demandOf', args: [id] } as const;
      const found = await client.readContract({ ...call, blockNumber: BigInt(number) });
      const { status, answerBy, fault, index, expected } = found;
      return { isOpen: status === DEMAND_OPEN, answerBy, asks: ASKED[fault] ?? 'opening', index, expected };
    },
    async case(caseId: Hash, number: number) {
      const call = { address: rulings, abi: RULINGS_ABI, functionName: 'caseOf', args: [caseId] } as const;
      const found = await client.readContract({ ...call, blockNumber: BigInt(number) });
      const { state, outcome, deadline, version, opener } = found;
      const named = { state: CASE_STATES[state]!, outcome: OUTCOMES[outcome]! };
      return { ...named, deadline, version, opener: opener.toLowerCase() as Address };
    },
    isReferee: (version, instance, member) =>
      client.readContract({
        ...{ address: rulings, abi: RULINGS_ABI, functionName: 'isReferee' },
        args: [version, instance, member],
      }),
    caseBond: () => client.readContract({ address: rulings, abi: RULINGS_ABI, functionName: 'bond' }),
    tokenBalance: (owner) =>
      client.readContract({ address: token, abi: TOKEN_ABI, functionName: 'balanceOf', args: [owner] }),
  };
}
