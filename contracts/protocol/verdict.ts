/** Verdicts and faults: the two closed lists that judges, ledgers and verifiers share (SPEC.md §7). */

/**
 * `agreed`: identical transcripts stand behind the answer. `equivalent`: they part at an honest near-tie.
 * `disputed`: served, while a dispute about another seat of the same request is open. `inconclusive`: nothing decided.
 * `unverified`: one seat answered and nobody compared it (mode `single`).
 */
export const VERDICTS = ['agreed', 'equivalent', 'disputed', 'inconclusive', 'unverified'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Misbehaviour of a provider, then of the gateway itself. */
export const FAULTS = [
  'equivocation',
  'bad_opening',
  'non_reveal',
  'wrong_output',
  'bad_evidence',
  'model_substitution',
  'copied_output',
  'timeout',
  'malformed',
  'lying_scorer',
  'two_roots',
  'forked_log',
  'false_draw',
  'contradicting_attestation',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Outcome of one check: inconclusive never counts as passed. */
export type CheckResult =
  | { readonly outcome: 'passed' }
  | { readonly outcome: 'failed'; readonly fault: Fault; readonly reason: string }
  | { readonly outcome: 'inconclusive'; readonly reason: string };

/** How a seat's transcript entered the verdict. */
export const STANDINGS = ['counted', 'equivalent', 'rejected', 'late', 'failed', 'witness'] as const;
export type Standing = (typeof STANDINGS)[number];
