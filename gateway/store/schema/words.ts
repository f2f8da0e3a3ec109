/**
 * The closed lists of words that columns may hold. They repeat lists of the code where a migration depends on them, so that this
 * folder imports nothing and drizzle-kit can read it alone; a test holds both lists together.
 */
export const PROVIDER_ROLES = ['member', 'referee'] as const;
export const PROVIDER_STATUSES = ['active', 'quarantined', 'left'] as const;
/** `announced`: in the log, not signing yet. `past`: signs only what it had begun. */
export const SIGNING_KEY_STATES = ['announced', 'active', 'past'] as const;
export const APPLICATION_STATES = ['pending', 'admitted', 'refused'] as const;
export const DRAW_STATES = ['used', 'aborted'] as const;
export const REQUEST_STATES = ['accepted', 'running', 'settled', 'failed'] as const;
export const REQUEST_VERDICTS = [
  'agreed',
  'equivalent',
  'disputed',
  'inconclusive',
  'unverified',
  'best_effort',
  'failed',
  'disconnected',
] as const;
export const WORK_ROLES = ['member', 'scorer', 'referee'] as const;
export const JOB_STATES = ['issued', 'committed', 'revealed', 'claimed', 'failed', 'late'] as const;
export const JOB_STANDINGS = ['counted', 'equivalent', 'rejected', 'late', 'failed', 'witness'] as const;
export const FAULT_WORDS = [
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
export const AUDIT_KIND_WORDS = ['score', 'regenerate'] as const;
export const AUDIT_OUTCOME_WORDS = ['held', 'rejected', 'unsure', 'undone'] as const;
export const OCCASION_WORDS = ['first', 'last'] as const;
/** `inconclusive`: nobody could say, or be had in time. */
export const REEXAMINED_OUTCOMES = ['stands', 'overturned', 'inconclusive'] as const;
export const DELIVERY_STATES = ['waiting', 'delivered', 'given_up'] as const;
export const DISPUTE_STATES = ['opened', 'evidence', 'ruled', 'settled'] as const;
export const EVIDENCE_STAGES = ['clear', 'quarantine', 'slash'] as const;
export const RULING_WORDS = ['upheld', 'rejected', 'abandoned'] as const;
export const ACCOUNT_KINDS = [
  'external',
  'reserve',
  'burn',
  'rounding',
  'fees',
  'client',
  'escrow',
  'cover',
  'earnings',
  'stake',
  'frozen',
  'withheld',
] as const;
export const BUDGET_PERIOD_WORDS = ['hour', 'day', 'month'] as const;
export const TRANSFER_WORDS = ['deposit', 'withdrawal', 'hold', 'close', 'late', 'freeze', 'dispute'] as const;
/** Life of a transaction in the outbox (spec-chain.md C9). */
export const INTENT_STATES = ['queued', 'sent', 'mined', 'confirmed', 'failed'] as const;
/** `decided`: durable and perhaps on its way. `posted`: confirmed. `foreign`: posted, and decided by nobody here. */
export const ROOT_STATES = ['decided', 'posted', 'disabled', 'failed', 'foreign'] as const;
/** A case before a chain's referees. `entered`: on its way there; `failed`: the contract did not take it. */
export const CASE_STATES = ['entered', 'opened', 'ruled', 'appealed', 'settled', 'failed'] as const;
/** Those that are not at their end. */
export const LIVE_CASES = ['entered', 'opened', 'ruled', 'appealed'] as const;
export const CASE_OUTCOMES = ['upheld', 'rejected'] as const;
