/** What everybody may read of a dispute: no content of the request, nothing of the evidence. */
import type { z } from 'zod';
import type { zContradiction } from '#protocol/contradiction';
import type { DisputeRow } from '../store/disputes-repo.ts';

export function disputeView(row: DisputeRow) {
  const bundle = row.bundleJson === null ? null : (JSON.parse(row.bundleJson) as PublicBundle);
  return {
    id: row.disputeId,
    object: 'dispute',
    request_id: row.requestId,
    job_id: row.jobId,
    provider: row.provider,
    fault: row.fault,
    reason: bundle?.reason ?? null,
    state: row.state,
    ruling: row.ruling,
    /** First output token at which the accused left what was served, counted from 0. */
    first_divergence: bundle?.served?.divergesAt ?? null,
    finding: bundle?.finding ?? null,
    /** Signatures that convict by themselves, over hashes alone: with them anybody can go to the chain (spec-chain.md C6). */
    contradiction: bundle?.contradiction ?? null,
    frozen_nano: row.frozenNano.toString(),
    opened_at_ms: row.openedAtMs,
    ruled_at_ms: row.ruledAtMs,
    appeal_until_ms: row.appealUntilMs,
    settled_at_ms: row.settledAtMs,
  };
}

/** The parts of a bundle that hold no content. */
interface PublicBundle {
  readonly reason: string;
  readonly served: { readonly divergesAt: number | null } | null;
  readonly contradiction: z.input<typeof zContradiction> | null;
  readonly finding: { readonly reason: string; readonly count: number } | null;
}
