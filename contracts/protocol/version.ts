/** Protocol version and the domain-separation tags of every hash (SPEC.md §1). */

/** Version of the wire protocol; part of the EIP-712 domain. */
export const PROTOCOL_VERSION = '1';

/** One tag per hashed structure; a tagged hash is sha256(tag ‖ 0x00 ‖ fields). */
export const TAGS = {
  model: 'assay/model/1',
  prompt: 'assay/prompt/1',
  sampling: 'assay/sampling/1',
  body: 'assay/body/1',
  job: 'assay/job/1',
  tokens: 'assay/tokens/1',
  commitment: 'assay/commitment/1',
  pad: 'assay/pad/1',
  slots: 'assay/slots/1',
  roots: 'assay/roots/1',
  claims: 'assay/claims/1',
  audit: 'assay/audit/1',
  auditCommitment: 'assay/audit-commitment/1',
  auditSecret: 'assay/audit-secret/1',
  draw: 'assay/draw/1',
  drawKey: 'assay/draw-key/1',
  order: 'assay/order/1',
  snapshot: 'assay/snapshot/1',
  choiceSeed: 'assay/choice-seed/1',
  attestationBody: 'assay/attestation-body/1',
  logEntry: 'assay/log-entry/1',
  evidenceScore: 'assay/score/1',
  logprobs: 'assay/logprobs/1',
  logprobSalt: 'assay/logprob-salt/1',
  dispute: 'assay/dispute/1',
  toolCall: 'assay/tool-call/1',
  calibration: 'assay/calibration/1',
} as const;

export type Tag = (typeof TAGS)[keyof typeof TAGS];
