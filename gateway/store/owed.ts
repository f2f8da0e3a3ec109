/** What a client is owed of a request, by the ledger and on a chain alike: so that nobody is paid twice (SPEC.md §11.8, spec-chain.md C9.8). */
import { refundsInCase } from './chain-cases-repo.ts';
import { disputesOfRequest } from './disputes-repo.ts';
import type { Handle } from './handle.ts';
import type { RequestRow } from './requests-repo.ts';

/**
 * What it paid, has not got back, and no open dispute withholds; nothing while referees have a case that refunds it, or once they have upheld one.
 * @returns nano
 */
export async function owedNano(
  handle: Handle,
  { requestId, chargedNano, refundedNano }: Pick<RequestRow, 'requestId' | 'chargedNano' | 'refundedNano'>,
): Promise<bigint> {
  if (await refundsInCase(handle, requestId)) return 0n;
  const withheldNano = (await disputesOfRequest(handle, requestId))
    .filter(({ state }) => state !== 'settled')
    .reduce((sum, dispute) => sum + dispute.withheldClientNano, 0n);
  return chargedNano - refundedNano - withheldNano;
}
