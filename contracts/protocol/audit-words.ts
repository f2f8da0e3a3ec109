/** Closed lists of what audits do and come to (SPEC.md §8.1). */

/** How an audit looks at a choice: another provider scores its tokens, or answers the same request anew. */
export const AUDIT_KINDS = ['score', 'regenerate'] as const;
export type AuditKind = (typeof AUDIT_KINDS)[number];

/** What an audit came to. `unsure`: the auditor could say neither; `undone`: nobody could be had in time. */
export const AUDIT_OUTCOMES = ['held', 'rejected', 'unsure', 'undone'] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];
