/** Calls of the contracts as the outbox keeps them: a name for the effect, an address, bytes. Pure. */
import { encodeFunctionData } from 'viem';
import { claimChanges, type Voucher } from '#protocol/chain-messages';
import type { Contradiction } from '#protocol/contradiction';
import { type Address, type Hash, type Hex, ZERO_HASH } from '#protocol/hash';
import type { CheckpointSeal, Opening } from '#protocol/typed';
import type { Intent } from '../store/chain-outbox-repo.ts';
import { EVIDENCE_ABI, REGISTRY_ABI, SETTLEMENT_ABI } from './contracts.ts';

/** Where the calls go. */
export interface Contracts {
  readonly StakeRegistry: Address;
  readonly Settlement: Address;
  readonly Evidence: Address;
  readonly Rulings: Address;
}

/** Every name of a root's intent begins so. */
export const ROOT_INTENT = 'root:';
/** And of a redemption's. */
export const REDEEM_INTENT = 'redeem:';

export interface PostedRoot {
  readonly sequence: number;
  readonly root: Hash;
  readonly leafCount: number;
  readonly total: bigint;
}

export function postRoot(
  { Settlement }: Contracts,
  gateway: Address,
  root: PostedRoot,
  head: CheckpointSeal,
  signature: Hex,
): Intent {
  const checkpoint = { origin: head.origin, size: BigInt(head.size), root: head.root };
  return {
    key: `${ROOT_INTENT}${root.sequence}`,
    to: Settlement,
    data: encodeFunctionData({
      abi: SETTLEMENT_ABI,
      functionName: 'postRoot',
      args: [gateway, root.root, BigInt(root.leafCount), root.total, checkpoint, signature],
    }),
  };
}

export function redeem({ Settlement }: Contracts, voucher: Voucher, signature: Hex): Intent {
  const { client, gateway, epoch, cumulative } = voucher;
  return {
    key: `${REDEEM_INTENT}${client}:${epoch}:${cumulative}`,
    to: Settlement,
    data: encodeFunctionData({
      abi: SETTLEMENT_ABI,
      functionName: 'redeem',
      args: [gateway, client, epoch, cumulative, signature],
    }),
  };
}

export function openAccount({ StakeRegistry }: Contracts): Intent {
  const data = encodeFunctionData({ abi: REGISTRY_ABI, functionName: 'open', args: [ZERO_HASH] });
  return { key: 'register:open', to: StakeRegistry, data };
}

export function nameLog({ StakeRegistry }: Contracts, account: Address, origin: string): Intent {
  const data = encodeFunctionData({ abi: REGISTRY_ABI, functionName: 'nameLog', args: [account, origin] });
  return { key: 'register:log', to: StakeRegistry, data };
}

export function addSigningKey({ StakeRegistry }: Contracts, account: Address, key: Address, proof: Hex): Intent {
  const data = encodeFunctionData({ abi: REGISTRY_ABI, functionName: 'addKey', args: [account, key, proof] });
  return { key: `register:key:${key}`, to: StakeRegistry, data };
}

/** The key that a demand asks for, with its path under the epoch's root. */
export function answerKey({ Evidence }: Contracts, id: Hash, opened: { key: Hash; path: readonly Hash[] }): Intent {
  const args = [id, opened.key, opened.path] as const;
  return {
    key: demandIntent(id),
    to: Evidence,
    data: encodeFunctionData({ abi: EVIDENCE_ABI, functionName: 'answerKey', args }),
  };
}

/** The secret of an epoch's audits that a demand asks for. */
export function answerAudit({ Evidence }: Contracts, id: Hash, secret: Hash): Intent {
  return {
    key: demandIntent(id),
    to: Evidence,
    data: encodeFunctionData({ abi: EVIDENCE_ABI, functionName: 'answerAudit', args: [id, secret] }),
  };
}

export const demandIntent = (id: Hash): string => `demand:${id}`;

/**
 * Proof of a fault from its own signatures, which no judge is needed for.
 * @returns null where the contract cannot read it: an opening that fits its seal and names another one before it
 */
export function proveContradiction(
  { Evidence }: Contracts,
  dispute: { readonly disputeId: string; readonly jobId: Hash; readonly fits: boolean },
  contradiction: Contradiction,
): Intent | null {
  const data = proofData(dispute, contradiction);
  return data && { key: `evidence:${dispute.disputeId}`, to: Evidence, data };
}

function proofData({ jobId, fits }: { jobId: Hash; fits: boolean }, contradiction: Contradiction): Hex | null {
  switch (contradiction.kind) {
    case 'two_commitments': {
      const { index, first, second } = contradiction;
      const pair = [first.commitment, first.signature, second.commitment, second.signature] as const;
      return encodeFunctionData({
        abi: EVIDENCE_ABI,
        functionName: 'proveTwoCommitments',
        args: [jobId, index, ...pair, ZERO_HASH],
      });
    }
    case 'two_claims': {
      const { first, second } = contradiction;
      const { places, words } = claimChanges(first.claim, second.claim);
      return encodeFunctionData({
        abi: EVIDENCE_ABI,
        functionName: 'proveTwoClaims',
        args: [first.claim, first.signature, places, words, second.signature, ZERO_HASH],
      });
    }
    case 'opening_does_not_fit': {
      if (fits) return null;
      const { sealed, reveal } = contradiction;
      const opening: Opening = reveal.opening;
      return encodeFunctionData({
        abi: EVIDENCE_ABI,
        functionName: 'proveBadOpening',
        args: [sealed.commitment, sealed.signature, opening, reveal.signature, ZERO_HASH],
      });
    }
  }
}
