/** Calls of `Rulings` as the outbox keeps them (spec-chain.md C7). Pure. */
import { encodeAbiParameters, encodeFunctionData } from 'viem';
import { type Address, fromHex, type Hash, type Hex, keccak256, toHex } from '#protocol/hash';
import type { Fault } from '#protocol/verdict';
import type { Intent } from '../store/chain-outbox-repo.ts';
import type { Contracts } from './calls.ts';
import { RULINGS_ABI, TOKEN_ABI } from './contracts.ts';

/** Faults that referees judge, in the order of the contract's enum. */
export const JUDGED_FAULTS = [
  'wrong_output',
  'bad_evidence',
  'copied_output',
  'lying_scorer',
  'model_substitution',
] as const satisfies readonly Fault[];
export type JudgedFault = (typeof JUDGED_FAULTS)[number];

/** Places in the contract's enum. */
export const OUTCOME_NUMBERS = { upheld: 1, rejected: 2 } as const;
/** Bonds that one approval covers. */
export const APPROVED_CASES = 100;

/** Who gets what of a slash. */
export interface Division {
  readonly client: Address;
  /** Base units. */
  readonly refund: bigint;
  readonly right: readonly Address[];
}

interface Accusation {
  readonly account: Address;
  readonly disputeId: Hash;
  readonly bundleHash: Hash;
  readonly fault: JudgedFault;
}

/** Keccak-256 of `abi.encode(rulings, account, disputeId, bundleHash, uint8(fault))`. */
export function caseName(rulings: Address, { account, disputeId, bundleHash, fault }: Accusation): Hash {
  const types = ['address', 'address', 'bytes32', 'bytes32', 'uint8'].map((type) => ({ type }));
  const values = [rulings, account, disputeId, bundleHash, JUDGED_FAULTS.indexOf(fault)];
  return toHex(keccak256(fromHex(encodeAbiParameters(types, values))));
}

/** Lets `Rulings` take the bonds of the next cases. @param opened cases so far */
export function approveBonds({ Rulings }: Contracts, token: Address, bond: bigint, opened: number): Intent {
  const args = [Rulings, bond * BigInt(APPROVED_CASES)] as const;
  const data = encodeFunctionData({ abi: TOKEN_ABI, functionName: 'approve', args });
  return { key: `case:bonds:${Math.floor(opened / APPROVED_CASES)}`, to: token, data };
}

export function openCase({ Rulings }: Contracts, { account, disputeId, bundleHash, fault }: Accusation): Intent {
  const args = [account, disputeId, bundleHash, JUDGED_FAULTS.indexOf(fault)] as const;
  const data = encodeFunctionData({ abi: RULINGS_ABI, functionName: 'openCase', args });
  return { key: openIntent(disputeId), to: Rulings, data };
}

export const openIntent = (disputeId: string): string => `case:open:${disputeId}`;

/** @param signatures of one outcome, by ascending signer */
export function ruleCase(
  { Rulings }: Contracts,
  caseId: Hash,
  instance: 0 | 1,
  outcome: keyof typeof OUTCOME_NUMBERS,
  division: Division,
  signatures: readonly Hex[],
): Intent {
  const args = [caseId, OUTCOME_NUMBERS[outcome], division, signatures] as const;
  const functionName = instance === 0 ? 'rule' : 'ruleAppeal';
  const data = encodeFunctionData({ abi: RULINGS_ABI, functionName, args });
  return { key: `case:rule:${caseId}:${instance}`, to: Rulings, data };
}

export function endCase({ Rulings }: Contracts, caseId: Hash, division: Division): Intent {
  const data = encodeFunctionData({ abi: RULINGS_ABI, functionName: 'finalize', args: [caseId, division] });
  return { key: `case:end:${caseId}`, to: Rulings, data };
}
