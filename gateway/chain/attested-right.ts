/** Whom the attestation of a disputed request shows to have been right: what referees go by, and so what is proposed to them (spec-chain.md C9.8). */
import { zStatement } from '#protocol/attestation';
import { zDisputeBundle } from '../dispute/bundle.ts';
import { accusedIn, rightByStatement } from '../dispute/division.ts';
import { attestationOf } from '../store/attestations-repo.ts';
import type { DisputeRow } from '../store/disputes-repo.ts';
import type { Handle } from '../store/handle.ts';

type Dispute = Pick<DisputeRow, 'requestId' | 'fault' | 'bundleJson'>;

/** @returns providers; null where the request was never answered, so that nobody can be shown to have paid or to have been right */
export async function attestedRight(handle: Handle, dispute: Dispute): Promise<ReadonlySet<string> | null> {
  const statementJson = (await attestationOf(handle, dispute.requestId))?.statementJson ?? null;
  if (statementJson === null || dispute.bundleJson === null) return null;
  const bundle = zDisputeBundle.parse(JSON.parse(dispute.bundleJson));
  return rightByStatement(zStatement.parse(JSON.parse(statementJson)), accusedIn(bundle), dispute.fault);
}
