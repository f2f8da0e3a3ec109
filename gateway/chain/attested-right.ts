/** Whom the attestation of a disputed request shows to have been right: what referees go by, and so what is proposed to them (spec-chain.md C9.8). */
import { zStatement } from '#protocol/attestation';
import { safeParse } from '#protocol/schema';
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
  const bundle = safeParse(zDisputeBundle, JSON.parse(dispute.bundleJson));
  const statement = safeParse(zStatement, JSON.parse(statementJson));
  // What an earlier version wrote otherwise no referee could read either.
  return bundle.success && statement.success
    ? rightByStatement(statement.data, accusedIn(bundle.data), dispute.fault)
    : null;
}
