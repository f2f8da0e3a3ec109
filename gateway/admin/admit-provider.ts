/** Admitting one provider by an operator's word: manifest, signature, first stake, a new epoch. */

import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import type { EpochKeeper } from '../committee/epochs.ts';
import type { AdmissionProblem, Registry } from '../committee/registry.ts';
import type { EvidenceDesk } from '../evidence/evidence-desk.ts';
import { stakeAccount } from '../ledger/accounts.ts';
import { depositOnce } from '../store/grants.ts';
import type { Store } from '../store/handle.ts';

const PROBLEMS: Readonly<Record<AdmissionProblem, string>> = {
  unreachable: 'No provider answers there with a manifest.',
  bad_signature: 'The manifest there is not signed by the address that it names.',
  wrong_role: 'The provider there has the other role.',
  wrong_address: 'Another provider than the applicant answers there.',
  wrong_clock: 'The clock of the provider there is more than 30 s ahead.',
  removed: 'The provider there was removed.',
};

export interface AdmitDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly epochs: EpochKeeper;
  readonly evidence: Pick<EvidenceDesk, 'inherit'>;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
}

/**
 * @param order.expected the only address to admit; null takes whoever answers
 * @throws {ProtocolError} invalid_request with `param` url
 */
export async function admitProvider(
  { store, registry, epochs, evidence, clock, stopping }: AdmitDeps,
  order: { url: string; role: 'member' | 'referee'; stakeNano: bigint; expected?: Address },
): Promise<Address> {
  const { url, role, stakeNano, expected } = order;
  const admitted = await registry.admit(url, role, stopping, { again: true, ...(expected ? { expected } : {}) });
  if ('problem' in admitted) throw new ProtocolError('invalid_request', PROBLEMS[admitted.problem], { param: 'url' });
  const { address, isNew } = admitted;
  if (isNew) await evidence.inherit(address);
  // The same reference as a start's: nobody is given its first stake twice.
  await store.withTx((tx) =>
    depositOnce(tx, `genesis:stake:${address}`, stakeAccount(address), stakeNano, clock.nowMs()),
  );
  epochs.renew();
  return address;
}
