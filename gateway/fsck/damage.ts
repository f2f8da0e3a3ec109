/** What `assay fsck` can find, one code each; the hint says what the line means to an operator (OPERATIONS.md). */

/** The closed list of findings, with what each of them means. */
export const DAMAGES = {
  file_damaged: 'SQLite finds broken pages: restore a backup',
  dangling_reference: 'rows refer to rows that are gone',
  unreadable_row: 'stored text does not have the form that it was written in',
  books_unbalanced: 'money was made or lost: a transfer or a balance was changed by hand',
  hold_left: 'money is still held for what has ended',
  hold_missing: 'an open request lacks the hold that it was accepted with',
  close_wrong: 'a request and the transfer that ended it do not tell the same',
  charge_wrong: 'what the client was charged is not what its account paid',
  earned_wrong: 'what jobs earned is not what providers were paid for the request',
  frozen_wrong: 'stake frozen for a dispute is not what the dispute says',
  withheld_wrong: 'pay withheld for a dispute is not what the dispute says',
  dispute_money_wrong: 'a dispute and the transfers that freeze and settle it do not tell the same',
  log_gap: 'entries of the log are missing, or there are more than were counted',
  log_leaf_wrong: 'an entry of the log was changed: its hash is another',
  log_node_wrong: 'a stored node of the tree is not what its leaves give',
  checkpoint_wrong: 'a checkpoint has another root than the log: the log was changed after it was signed',
  checkpoint_note_wrong: 'a note does not say or sign what its row does',
  request_log_wrong: 'an ended request and its entry in the log do not match',
  log_orphan: 'an entry of the log tells of something that the database does not know',
  draw_wrong: 'draws are not consecutive, or do not match the requests that took them',
  epoch_wrong: 'an epoch does not match its entry in the log',
  attestation_missing: 'an answered request has no attestation',
  attestation_wrong: 'a statement is not the one that was logged and signed',
  receipt_wrong: 'a stored receipt does not prove its answer',
  job_wrong: 'a job does not match its ticket or its request',
  job_over_cover: 'jobs of a request could earn more than was set aside for them',
  round_wrong: 'a round is not of the request that it is stored for, or an answer shows another root',
  dispute_wrong: 'a dispute does not match its job or its moves',
  dispute_move_wrong: 'a move of a dispute is not the one that was signed and logged',
  budget_wrong: 'the budget of an API key does not count what its requests were quoted and charged',
  signing_key_wrong: 'a signing key of the gateway is not as the log announced it, or not exactly one signs',
  evidence_wrong: 'accumulated evidence is not what a replay of its entries in the log comes to',
  audit_wrong: 'an audit was promised by no answer, or is not what its entry in the log says',
  audit_money_wrong: 'what clients paid for audits, or what audits cost, is not what was promised and done',
  jackpot_wrong: 'a prize for a planted error was paid to nobody who found one, or was not paid',
  examination_wrong: 'an examination, what it saw or what its provider paid for it is not what the log says',
  reexamined_wrong: 'what a conviction led to is not what disputes and log say',
  overturn_wrong: 'an answer stands or has fallen otherwise than the log says, or the log’s word is not ours',
  refund_wrong: 'what clients got back is not what disputes have paid them',
  idempotency_wrong: 'an idempotency key points at a call that is not its own, or has an answer that the call has not',
} as const;

export type DamageCode = keyof typeof DAMAGES;

/** One finding. */
export interface Damage {
  readonly code: DamageCode;
  /** The row it is about: a request, job, dispute, account or log index. */
  readonly id: string;
  /** What was compared, in a few words; ids and numbers only. */
  readonly detail: string;
}

export function damage(code: DamageCode, id: string | number, detail: string): Damage {
  return { code, id: String(id), detail };
}

/** One line for a terminal. */
export function damageLine({ code, id, detail }: Damage): string {
  return `${code} ${id === '' ? '-' : id}: ${detail} (${DAMAGES[code]})`;
}
