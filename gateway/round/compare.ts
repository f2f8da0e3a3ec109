/** Comparing the opened transcripts of a round: groups of equals, near-ties, splits (spec-judge.md §7.1-7.3). */
import type { TokenEvidence } from '#protocol/evidence';
import { evidenceInRoot } from '#protocol/evidence-tree';
import type { Hash } from '#protocol/hash';
import type { FinishKind } from '#protocol/typed';
import { tolerancesOf } from '../judge/classes.ts';
import { firstDivergence, judgeDivergence } from '../judge/divergence.ts';
import { impliedFinish as finishOf, type ShapeProblem, type ShapeRules, shapeProblem } from '../judge/shape.ts';
import { DeadlineError, within } from './deadline.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';
import { ProviderFailure } from './provider-failure.ts';
import type { WaveDeps } from './wave.ts';

/** Members whose transcripts are the same, token by token. */
export interface Group {
  readonly members: readonly SealedMember[];
}

/** Groups that part at honest near-ties only; the first is the one to follow. */
export type Cluster = readonly Group[];

/** How the opened part ends by the rules alone: null while it goes on. */
export function impliedFinish(member: SealedMember, rules: ShapeRules): FinishKind | null {
  return finishOf(member.tokens, member.finished, rules);
}

/** The first rule of the order that the member's transcript breaks, or null. */
export function memberShapeProblem(member: SealedMember, rules: ShapeRules): ShapeProblem | null {
  return shapeProblem({ tokens: member.tokens, finish: impliedFinish(member, rules) }, rules);
}

/** Groups by identical transcripts, larger first, then in the order of the draw. */
export function groupsOf(members: readonly SealedMember[]): Group[] {
  const groups = new Map<string, SealedMember[]>();
  for (const member of members) {
    const key = `${member.finished}:${member.tokens.join(',')}`;
    groups.set(key, [...(groups.get(key) ?? []), member]);
  }
  return [...groups.values()].map((group) => ({ members: group })).sort((a, b) => b.members.length - a.members.length);
}

/** Joins groups whose first divergence is a near-tie by the committed evidence of both sides. */
export async function clustersOf(
  deps: WaveDeps,
  plan: AttemptPlan,
  groups: readonly Group[],
  signal: AbortSignal,
): Promise<Cluster[]> {
  const clusters: Group[][] = [];
  for (const group of groups) {
    let home: Group[] | undefined;
    for (const cluster of clusters) {
      if (await isTie(deps, plan, cluster[0]!, group, signal)) {
        home = cluster;
        break;
      }
    }
    if (home) home.push(group);
    else clusters.push([group]);
  }
  return clusters;
}

async function isTie(deps: WaveDeps, plan: AttemptPlan, a: Group, b: Group, signal: AbortSignal): Promise<boolean> {
  const [left, right] = [a.members[0]!, b.members[0]!];
  const position = firstDivergence(left.tokens, right.tokens);
  // Equal tokens with different ends, or one a prefix of the other: no choice of tokens to be tied about.
  if (position === null || position >= Math.min(left.tokens.length, right.tokens.length)) return false;
  const [evidenceA, evidenceB] = await Promise.all([
    groupEvidence(deps, a, position, signal),
    groupEvidence(deps, b, position, signal),
  ]);
  if (!evidenceA || !evidenceB) return false;
  const verdict = judgeDivergence(
    { token: left.tokens[position]!, evidence: evidenceA },
    { token: right.tokens[position]!, evidence: evidenceB },
    { position, seed: plan.seed, sampling: plan.sampling },
    tolerancesOf(plan.calibration?.calibration ?? null, left.seat.numericClass, right.seat.numericClass),
  );
  return verdict === 'tie';
}

async function groupEvidence(
  deps: WaveDeps,
  group: Group,
  position: number,
  signal: AbortSignal,
): Promise<TokenEvidence | null> {
  for (const member of group.members) {
    const opened = await openEvidence(deps, member, [position], signal);
    const item = opened?.get(position);
    if (item) return item.evidence;
  }
  return null;
}

/** What must be known of a job to check the evidence that it opens. */
export interface OpenedTranscript {
  readonly seat: { readonly url: string };
  readonly jobId: Hash;
  readonly tokens: readonly number[];
  readonly openings: readonly { readonly tokenCount: number; readonly evidenceRoot: Hash; readonly index: number }[];
}

/** Evidence of one position with its path under the chunk's sealed root. */
export interface OpenedEvidence {
  readonly evidence: TokenEvidence;
  readonly path: readonly Hash[];
}

/**
 * Evidence of exactly these positions, proven under the sealed roots; null where the member refuses, is late, or shows
 * something else than it had committed to: all three are the fault `bad_evidence`. What it says is for judges to read.
 */
export async function openEvidence(
  deps: Pick<WaveDeps, 'clock' | 'client'> & { readonly limits: Pick<WaveDeps['limits'], 'roundTimeoutMs'> },
  member: OpenedTranscript,
  positions: readonly number[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, OpenedEvidence> | null> {
  const deadline = deps.clock.nowMs() + deps.limits.roundTimeoutMs;
  try {
    const items = await within(deps.clock, deadline, signal, (inner) =>
      deps.client.evidence(member.seat.url, member.jobId, positions, inner()),
    );
    const opened = new Map<number, OpenedEvidence>();
    for (const item of items) {
      // Neither twice nor unasked: extra evidence is a failure like missing evidence.
      if (!positions.includes(item.position) || opened.has(item.position)) return null;
      const chunk = chunkAt(member, item.position);
      if (!chunk || chunk.index !== item.chunkIndex) return null;
      if (!evidenceInRoot(chunk, item.position, item.evidence, item.path)) return null;
      opened.set(item.position, { evidence: item.evidence, path: item.path });
    }
    return positions.every((position) => opened.has(position)) ? opened : null;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof DeadlineError || error instanceof ProviderFailure) return null;
    throw error;
  }
}

/** The opened chunk that holds an output position. */
function chunkAt(member: OpenedTranscript, position: number) {
  let firstPosition = 0;
  for (const opening of member.openings) {
    if (position < firstPosition + opening.tokenCount) return { ...opening, firstPosition };
    firstPosition += opening.tokenCount;
  }
  return null;
}

/** Members of all groups of a cluster. */
export function membersOf(cluster: readonly Group[]): SealedMember[] {
  return cluster.flatMap((group) => [...group.members]);
}

/** How many they are. */
export function sizeOf(cluster: readonly Group[]): number {
  return membersOf(cluster).length;
}
