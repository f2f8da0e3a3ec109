/** Who is accused in an attempt, and the disputes that follow (DESIGN §8; spec-judge.md §7.7). */
import { canonicalJson } from '#protocol/canonical';
import { faultOf } from '#protocol/contradiction';
import type { ChoiceOutcome } from '../attest/statement.ts';
import { type AccumulatedWire, disputeIdOf, openingBundle } from '../dispute/bundle.ts';
import { signMove } from '../dispute/moves.ts';
import { tellClient } from '../events/client-events.ts';
import { openDispute } from '../store/change-dispute.ts';
import type { Tx } from '../store/handle.ts';
import type { PipelineDeps } from './accept.ts';
import type { Accusation, Attempt, AttemptResult } from './attempt.ts';
import type { Choice } from './choices.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import type { TakenScore } from './scoring.ts';

/** A choice and who is accused in it: members answer for each choice apart. */
export interface AccusedChoice {
  readonly choice: Choice;
  readonly accusations: readonly Accusation[];
}

/** @returns the choice with everybody who is accused in it */
export function accusedIn(choice: Choice): AccusedChoice {
  return { choice, accusations: accusationsOf(choice.attempt) };
}

/** How the choice came about, for the statement. */
export function outcomeOf({ choice, accusations }: AccusedChoice, result: AttemptResult): ChoiceOutcome {
  const { attempt } = choice;
  return {
    ...result,
    plan: choice.plan,
    waves: attempt.waves,
    scores: attempt.attestedScores,
    faults: faultsOf(attempt, accusations),
  };
}

/** Rejected members, and members whose own signatures contradict each other; one member may be both. */
function accusationsOf(attempt: Attempt): Accusation[] {
  const signed = attempt.members.flatMap((member): Accusation[] => {
    const { contradiction } = member;
    if (contradiction === null) return [];
    return [{ member, fault: faultOf(contradiction.kind), reason: contradiction.kind, contradiction }];
  });
  return [...attempt.accused, ...signed];
}

function faultsOf(attempt: Attempt, accusations: readonly Accusation[]): ChoiceOutcome['faults'] {
  const disputed = accusations.map(({ member, fault }) => ({
    provider: member.seat.address,
    fault,
    disputeId: disputeIdOf(member.jobId, fault),
  }));
  const others = attempt.members.flatMap((member) => {
    const { fault } = member;
    if (fault === null || accusations.some((accusation) => accusation.member === member)) return [];
    return [{ provider: member.seat.address, fault, disputeId: null }];
  });
  return [...disputed, ...others];
}

/** Opens what each choice's accusations come to; with the end of the request, so that nothing is accused and forgotten. */
export async function openDisputes(
  tx: Tx,
  deps: PipelineDeps,
  accused: readonly AccusedChoice[],
  results: readonly AttemptResult[],
): Promise<void> {
  for (const [at, { choice, accusations }] of accused.entries()) {
    const { plan, attempt } = choice;
    for (const accusation of accusations) {
      await openDisputeAbout(tx, deps, { plan, scores: attempt.scores }, accusation, results[at]?.served ?? null);
    }
  }
}

/** Opens one dispute and logs it, unless this very accusation is known. */
export async function openDisputeAbout(
  tx: Tx,
  deps: PipelineDeps,
  { plan, scores }: { readonly plan: AttemptPlan; readonly scores: readonly TakenScore[] },
  accusation: Accusation,
  served: SealedMember | null,
  {
    accumulated = null,
    freezes = true,
  }: { readonly accumulated?: AccumulatedWire | null; readonly freezes?: boolean } = {},
): Promise<void> {
  const { member, fault, reason } = accusation;
  const bundle = openingBundle(plan, accusation, scores, served, accumulated);
  const body = { provider: member.seat.address, fault, reason };
  const { move, entry } = signMove(deps, bundle.disputeId, 'opened', body, deps.clock.nowMs());
  const opening = await openDispute(tx, {
    disputeId: bundle.disputeId,
    requestId: plan.requestId,
    jobId: member.jobId,
    provider: member.seat.address,
    fault,
    bundleJson: canonicalJson(bundle),
    retainUntilMs: plan.retainUntilMs,
    move,
    freezes,
  });
  if (opening.outcome !== 'opened') return;
  await deps.log.append(tx, entry);
  const facts = { dispute_id: bundle.disputeId, fault };
  await tellClient(tx, plan.requestId, { type: 'dispute.opened', facts }, move.atMs);
}

/** Disputes go on after the answer; the stake they froze changes the next epoch's draw. */
export function argue(deps: PipelineDeps, accusations: readonly Accusation[]): void {
  if (accusations.length === 0) return;
  deps.epochs.renew();
  for (const { member, fault } of accusations) {
    deps.background(
      deps.desk.process(disputeIdOf(member.jobId, fault), deps.stopping).then(() => deps.desk.settleDue()),
    );
  }
}
