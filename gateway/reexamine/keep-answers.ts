/** Keeps what an answer that rests on one provider's word may be looked at again by, in the transaction that settles it (SPEC.md §8.3). */
import { PPM } from '#protocol/log';
import { sealWork } from '../audit/audit-work.ts';
import type { SecretBox } from '../committee/epochs.ts';
import { jobPrice } from '../ledger/price.ts';
import type { Running } from '../round/accept.ts';
import type { AttemptResult } from '../round/attempt.ts';
import type { Tx } from '../store/handle.ts';
import { keepAnswer } from '../store/reexamine-repo.ts';

/**
 * A quorum's answer is not kept: other operators have generated the same.
 * @param windowMs longest time that it may be kept; 0 keeps nothing
 */
export async function keepAnswers(
  tx: Tx,
  { box, windowMs }: { readonly box: SecretBox; readonly windowMs: number },
  { choices, request }: Pick<Running, 'choices' | 'request'>,
  results: readonly Pick<AttemptResult, 'served'>[],
  answeredAtMs: number,
): Promise<void> {
  const { policy, requestId } = request;
  if (windowMs === 0 || (policy.mode === 'quorum' && policy.n > 1)) return;
  for (const [choice, { served }] of results.entries()) {
    const { plan, attempt } = choices[choice]!;
    const { promptIds, retainUntilMs } = plan;
    const score = { inputTokens: promptIds.length, outputTokens: 0, scoredTokens: served.tokens.length };
    await keepAnswer(tx, {
      requestId,
      choice,
      jobId: served.jobId,
      provider: served.seat.address,
      operator: served.seat.operator,
      mode: policy.mode,
      askedPpm: Math.round((policy.auditRate ?? 0) * PPM),
      costNano: jobPrice(plan, score).payNano,
      answeredAtMs,
      keepUntilMs: Math.min(retainUntilMs, answeredAtMs + windowMs),
      sealedWork: sealWork(box, { plan, member: served, involved: attempt.members.map(({ seat }) => seat) }),
    });
  }
}
