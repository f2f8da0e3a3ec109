/** How `assay referee` holds a proposed division against the attestation of the request (spec-chain.md C9.8). */
import { z } from 'zod';
import { parseAttestation, type Statement } from '#protocol/attestation';
import type { Address, Hash } from '#protocol/hash';
import { recoverNative } from '#protocol/signer-native';
import type { ChainAccess } from '../../contracts/chain/access.ts';
import { baseOf, DECIMALS_MAX } from '../chain/units.ts';
import type { DisputeBundle } from '../dispute/bundle.ts';
import {
  accusedIn,
  divisionProblem,
  type ProposedDivision,
  rightByStatement,
  statementProblem,
} from '../dispute/division.ts';

const zReply = z.object({ attestation: z.string().nullable() });
const zDecimals = z.int().min(0).max(DECIMALS_MAX);
const zAccount = z.object({ operator: z.string() });
const zChannel = z.object({ redeemed: z.bigint(), epoch: z.bigint() });

export interface DivisionSource {
  readonly chain: ChainAccess;
  /** Key that the gateway signs with now. */
  readonly gatewayAddress: Address;
  /** A signed GET at the gateway. */
  readonly ask: (path: string) => Promise<unknown>;
}

/** What is wrong with a division that the gateway proposes, or null. @throws {Error} where gateway or chain do not answer */
export async function checkDivision(
  source: DivisionSource,
  one: { readonly dispute_id: Hash; readonly account: Address },
  bundle: DisputeBundle,
  division: ProposedDivision,
): Promise<string | null> {
  const { chain, gatewayAddress, ask } = source;
  const { attestation } = zReply.parse(await ask(`/v1/cases/${one.dispute_id}/attestation`));
  const parsed = attestation === null ? null : parseAttestation(attestation);
  if (attestation !== null && parsed === null) return 'the attestation is malformed';
  const registry = (functionName: string, args: readonly unknown[]) =>
    chain.read({ callee: 'StakeRegistry', functionName, args });
  const accountOf = async (key: string) => String(await registry('answers', [key])).toLowerCase() as Address;
  const gateway = await accountOf(gatewayAddress);
  if (parsed !== null) {
    const check = { domain: chain.network.domain, recover: recoverNative };
    const problem = statementProblem(parsed, bundle.requestId, check);
    if (problem !== null) return problem;
    if ((await accountOf(parsed.statement.gateway)) !== gateway) return 'another gateway has signed the attestation';
  }
  const statement: Statement | null = parsed?.statement ?? null;
  const accounts = new Map<Address, Address>();
  for (const provider of rightByStatement(statement, accusedIn(bundle), bundle.fault)) {
    const account = await accountOf(provider);
    if (BigInt(account) !== 0n) accounts.set(provider as Address, account);
  }
  const operatorOf = async (account: Address) =>
    zAccount.parse(await registry('accountOf', [account])).operator.toLowerCase() as Address;
  const barred = [one.account, await operatorOf(one.account), gateway, await operatorOf(gateway)];
  const decimals = zDecimals.parse(await chain.read({ callee: 'token', functionName: 'decimals', args: [] }));
  const args = [division.client, gateway];
  const channel = zChannel.parse(await chain.read({ callee: 'Settlement', functionName: 'channelOf', args }));
  return divisionProblem(division, {
    ...{ statement, bundle, accounts, barred },
    charged: baseOf(BigInt(statement?.price.chargedNano ?? 0), decimals),
    // Whoever ended an exit begins again with nothing redeemed.
    hasPaid: channel.redeemed > 0n || channel.epoch > 0n,
  });
}
