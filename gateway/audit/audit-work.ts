/** What an audit needs of an answer, as it is kept until the audit is done: sealed, for it holds prompt and transcript (SPEC.md §8.1). */
import { z } from 'zod';
import type { KnownCalibration } from '#protocol/calibration';
import { canonicalJson } from '#protocol/canonical';
import { toHex, utf8 } from '#protocol/hash';
import { zAddress, zTimeMs } from '#protocol/schema';
import { digests } from '#protocol/typed';
import type { SecretBox } from '../committee/epochs.ts';
import type { Seat } from '../committee/seat.ts';
import { disputedJob, disputeTerms, zDisputeBundle } from '../dispute/bundle.ts';
import type { ModelEntry } from '../openai/answer.ts';
import { type MemberDeps, SealedMember } from '../round/member.ts';
import type { AttemptPlan } from '../round/plan.ts';
import type { RequestRow } from '../store/requests-repo.ts';

const zWork = z.strictObject({
  terms: zDisputeBundle.shape.terms,
  audited: zDisputeBundle.shape.accused,
  calibration: zDisputeBundle.shape.calibration,
  /** Who had a part in the answer: no auditor is one of them, or of their operators. */
  involved: z.array(z.strictObject({ address: zAddress, operator: z.string().max(256) })).max(64),
  issuedAtMs: zTimeMs,
  expiresAtMs: zTimeMs,
  retainUntilMs: zTimeMs,
});

/** An answer as an auditor looks at it. */
export interface AuditedAnswer {
  readonly plan: AttemptPlan;
  readonly member: SealedMember;
  readonly involved: readonly Pick<Seat, 'address' | 'operator'>[];
}

export function sealWork(box: SecretBox, { plan, member, involved }: AuditedAnswer): string {
  const { issuedAtMs, expiresAtMs, retainUntilMs } = plan;
  const work: z.input<typeof zWork> = {
    terms: disputeTerms(plan),
    audited: disputedJob(member),
    calibration: plan.calibration?.hash ?? null,
    involved: involved.map(({ address, operator }) => ({ address, operator })),
    issuedAtMs,
    expiresAtMs,
    retainUntilMs,
  };
  return box.seal(utf8(canonicalJson(work)));
}

/** @throws {Error} where the box does not open it: another key, or a changed row */
export function openWork(
  box: SecretBox,
  sealed: string,
  request: RequestRow,
  model: ModelEntry,
  deps: MemberDeps,
): AuditedAnswer {
  const work = zWork.parse(JSON.parse(new TextDecoder().decode(box.open(sealed))));
  const { terms, audited } = work;
  const { provider: address, operator, numericClass, url } = audited;
  const plan: AttemptPlan = {
    ...terms,
    requestId: request.requestId,
    seed: BigInt(terms.seed),
    logprobs: terms.logprobs === undefined ? undefined : { top: terms.logprobs, vocabSize: model.text.vocabSize },
    inputNanoPerMtok: request.inputNanoPerMtok,
    outputNanoPerMtok: request.outputNanoPerMtok,
    issuedAtMs: work.issuedAtMs,
    jobsEndAtMs: work.expiresAtMs,
    expiresAtMs: work.expiresAtMs,
    retainUntilMs: work.retainUntilMs,
    calibration: calibrationOf(model, work.calibration),
  };
  const { ticket } = audited;
  const issued = { ticket, ticketHash: toHex(digests.ticket(deps.domain, ticket)) };
  const member = new SealedMember(deps, { address, operator, url, numericClass }, issued);
  member.commitments.push(...audited.commitments.map((commitment) => ({ ...commitment, jobId: ticket.jobId })));
  member.openings.push(...audited.openings);
  member.tokens.push(...audited.tokens);
  member.claim = audited.claim;
  return { plan, member, involved: work.involved };
}

function calibrationOf({ calibrations }: ModelEntry, hash: string | null): KnownCalibration | null {
  return calibrations.find((known) => known.hash === hash) ?? null;
}
