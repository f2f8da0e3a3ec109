/** Who shares in the slash of an upheld dispute (spec-money.md §11.8). Pure. */
import type { JobRow } from '../store/jobs-repo.ts';

type Job = Pick<JobRow, 'choice' | 'provider' | 'role' | 'standing'>;

/**
 * Providers that had a part in what stood in the choice of the accused job, as members or scorers, and none in what fell: who
 * was right in another choice was not lied about in this one. Judges are paid out of no slash.
 */
export function rightOf(jobs: readonly Job[], accused: Pick<Job, 'choice' | 'provider'> | null): string[] {
  const ofChoice = jobs.filter(({ choice }) => choice === accused?.choice);
  const wrong = new Set(ofChoice.filter(({ standing }) => standing === 'rejected').map(({ provider }) => provider));
  const right = ofChoice.filter(
    ({ role, standing }) => role !== 'referee' && (standing === 'counted' || standing === 'equivalent'),
  );
  const providers = new Set(right.map(({ provider }) => provider));
  return [...providers].filter((provider) => provider !== accused?.provider && !wrong.has(provider));
}
