/** Which of equally many, equivalent transcripts is served: the one with the lowest mean margin under the others (DESIGN §7). */
import type { Cluster, Group } from './compare.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { type ScoreTarget, type ScoringDeps, type TakenScore, takeScore, targetOf } from './scoring.ts';

export interface Ranked {
  readonly cluster: Cluster;
  readonly scores: readonly TakenScore[];
}

/**
 * Puts the group to follow first. Where one group is larger, it already is; where the largest are of one size, each is scored by
 * a member of every other one. Where a score is missing the order of the draw stands: silence must not win.
 */
export async function breakTie(
  deps: ScoringDeps,
  plan: AttemptPlan,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<Ranked> {
  const largest = cluster.filter((group) => group.members.length === cluster[0]!.members.length);
  if (largest.length === 1) return { cluster, scores: [] };
  const rated = await Promise.all(largest.map((group) => rate(deps, plan, group, largest, signal)));
  const scores = rated.flatMap((rating) => rating.scores);
  if (scores.length < largest.length * (largest.length - 1)) return { cluster, scores };
  const order = [...rated].sort((a, b) => a.meanMargin - b.meanMargin).map(({ group }) => group);
  return { cluster: [...order, ...cluster.slice(largest.length)], scores };
}

async function rate(
  deps: ScoringDeps,
  plan: AttemptPlan,
  group: Group,
  among: readonly Group[],
  signal: AbortSignal,
): Promise<{ group: Group; meanMargin: number; scores: TakenScore[] }> {
  const target = targetOf(group.members[0]!);
  const others = among.filter((other) => other !== group).map((other) => other.members[0]!.seat);
  const taken = await Promise.all(
    others.map((seat) => takeScore(deps, plan, { seat, role: 'member' }, target, signal)),
  );
  const scores = taken.filter((score) => score !== null);
  const meanMargin = scores.reduce((sum, score) => sum + score.judgement.meanMargin, 0) / scores.length;
  return { group, meanMargin, scores };
}

/**
 * A member that stopped at a near-tie scores what was served instead; only its acceptance makes it count.
 * @returns the scores that were taken
 */
export async function confirmEquivalents(
  deps: ScoringDeps,
  plan: AttemptPlan,
  members: readonly SealedMember[],
  served: ScoreTarget,
  signal: AbortSignal,
): Promise<TakenScore[]> {
  const equivalent = members.filter((member) => member.standing === 'equivalent');
  const taken = await Promise.all(
    equivalent.map(({ seat }) => takeScore(deps, plan, { seat, role: 'member' }, served, signal)),
  );
  for (const [at, score] of taken.entries()) {
    if (score?.judgement.vote !== 'accept') equivalent[at]!.standing = 'witness';
  }
  return taken.filter((score) => score !== null);
}
