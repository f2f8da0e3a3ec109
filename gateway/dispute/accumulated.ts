/** Whether accumulated evidence bears out an accusation of `model_substitution`: recomputed from what the bundle holds (spec-judge.md §7.10). Pure. */
import { feed, openAccount, standingOf } from '#protocol/evidence-account';
import type { Hash } from '#protocol/hash';
import { FACTOR_SCALE } from '#protocol/wealth';
import { countedProblem, type PairBounds } from '../evidence/counted.ts';
import type { SignatureCheck } from './authentic.ts';
import type { DisputeBundle } from './bundle.ts';

/** How accounts are judged again. */
export interface AccountCourt extends SignatureCheck {
  /** The bounds of a calibration by its hash; null where the judge has it not. */
  readonly boundsBy: (calibration: Hash) => PairBounds | null;
}

/** `slash`: the account is where the accusation says. Else why it is not shown; a closed list. */
export type AccountFinding =
  | 'slash'
  | 'not_reached'
  | 'no_entries'
  | 'other_account'
  | 'calibration_unknown'
  | 'evidence_unfit';

/**
 * Recomputes the account: every kept response must give the factors of its entry, signed scores and claim included; all entries together
 * must reach what a slash needs. Of responses whose evidence is kept no more, the entry of the log is all there is.
 */
export function accountFinding({ accumulated, accused, terms }: DisputeBundle, court: AccountCourt): AccountFinding {
  if (accumulated === null) return 'no_entries';
  const { entries, kept } = accumulated;
  const isOwn = entries.every(
    ({ operator, modelDigest }) => operator === accused.operator && modelDigest === terms.modelDigest,
  );
  const last = entries.at(-1)!;
  const isAboutThisJob = last.responseHash === accused.ticket.jobId && last.provider === accused.provider;
  const byHash = new Map(entries.map((entry) => [entry.responseHash, entry]));
  // The response at issue is always shown, and no entry counts twice.
  const isShown = kept.some(({ responseHash }) => responseHash === last.responseHash);
  if (!isOwn || !isAboutThisJob || !isShown || byHash.size !== entries.length) return 'other_account';
  for (const { responseHash, evidence } of kept) {
    const entry = byHash.get(responseHash);
    if (entry === undefined) return 'evidence_unfit';
    const boundsOf = court.boundsBy(entry.calibration);
    if (boundsOf === null) return 'calibration_unknown';
    if (countedProblem(evidence, entry, boundsOf, court) !== null) return 'evidence_unfit';
  }
  const account = openAccount();
  for (const { responseHash, client, own, scores, factors } of entries) {
    feed(account, {
      responseId: responseHash,
      promptId: responseHash,
      client: String(client),
      own,
      operator: scores[0]!.operator,
      factors: factors.map((factor) => factor / FACTOR_SCALE),
    });
  }
  return standingOf(account).stage === 'slash' ? 'slash' : 'not_reached';
}
