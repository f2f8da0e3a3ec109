/** Checks that enough independent seats stand behind the answer, by the policy that was promised (SPEC.md §10.4). Pure. */

import type { Statement } from './attestation.ts';
import { weakestVerdict } from './choices.ts';
import { type PolicyJson, policyJsonSchema } from './policy-json.ts';
import { isAlone } from './policy-values.ts';
import { outputHash } from './request.ts';
import { safeParse } from './schema.ts';
import { finding, notChecked, type VerifyItem } from './verify-item.ts';
import { hasRepeats, isBehind, seatsOf } from './verify-record.ts';
import { checkWitnessed, type OpenedScores } from './verify-witnessed.ts';
import { neededOf } from './voices.ts';

/**
 * Identical seats are proved. Equivalent seats and accepting scorers rest on the gateway's reading of evidence that is not in
 * the attestation (a score's signature covers the evidence, not the vote); where the answer needs them, the item is
 * `not checked`.
 */
export function checkAgreement(statement: Statement, opened: OpenedScores): VerifyItem {
  const parsed = safeParse(policyJsonSchema, statement.policy);
  if (!parsed.success) return finding('agreement', 'the attested policy is malformed', '');
  const policy = parsed.data;
  const members = seatsOf(statement).map(({ member }) => member);
  if (hasRepeats(members.map((member) => member.operator)) || hasRepeats(members.map((member) => member.provider))) {
    return finding('agreement', 'an operator has two seats', '');
  }
  if (statement.waves.slice(0, -1).some(({ members }) => members.some(isBehind))) {
    // Who sits in a later wave may have been told what an earlier one had opened.
    return finding('agreement', 'seats of several waves stand behind the answer', '');
  }
  if (statement.verdict === 'unverified') {
    const honest = isAlone(policy.mode) && members.filter(isBehind).length === 1;
    if (!honest)
      return finding(
        'agreement',
        'an answer that others stand behind by policy is passed off as one that nobody promised',
        '',
      );
    return notChecked('agreement', `verdict: unverified (${policy.mode}): one seat answered and nobody compared it`);
  }
  if (isAlone(policy.mode)) return finding('agreement', 'one seat cannot agree with itself', '');
  const transcript = outputHash(statement.outputIds);
  const counted = members.filter((member) => member.standing === 'counted');
  if (counted.some((member) => member.claim?.value.transcriptHash !== transcript)) {
    return finding('agreement', 'a counted seat claims another transcript', '');
  }
  if (policy.mode === 'witnessed') return checkWitnessed(statement, policy, opened);
  return countSeats(statement, policy, counted.length);
}

/** The verdict of the whole answer is that of its weakest choice. */
export function checkWeakest(statement: Statement, choices: readonly Statement[]): VerifyItem {
  const weakest = weakestVerdict(choices.map((choice) => choice.verdict));
  const problem = weakest === statement.verdict ? null : 'the verdict is not that of the weakest choice';
  return finding('agreement', problem, `verdict: ${statement.verdict}`);
}

function countSeats(statement: Statement, policy: PolicyJson, identical: number): VerifyItem {
  const members = seatsOf(statement).map(({ member }) => member);
  const equivalent = members.filter((member) => member.standing === 'equivalent').length;
  const { accepting, opposing } = countScorers(statement);
  const { needed, standing, of } = statement.agreement;
  const text = `${identical} of ${members.length} seats identical, ${equivalent} equivalent, ${accepting} scorers accept`;
  if (statement.verdict === 'inconclusive') {
    if (policy.on_inconclusive !== 'best_effort') {
      return finding('agreement', 'inconclusive, and the policy asked for an error instead', '');
    }
    return notChecked('agreement', `verdict: inconclusive: ${text}`);
  }
  const backing = identical + equivalent + accepting;
  const rule = neededOf(policy.agree, policy.n, backing + opposing);
  if (needed < rule) return finding('agreement', `${rule} seats must stand behind the answer, not ${needed}`, '');
  if (standing > backing || of < standing) return finding('agreement', `only ${backing} seats stand behind it`, '');
  if (standing < needed) return finding('agreement', `${standing} seats stand behind it, ${needed} are needed`, '');
  if (statement.verdict === 'agreed' && equivalent > 0) return finding('agreement', 'an equivalent seat is hidden', '');
  if (statement.verdict === 'disputed') return notChecked('agreement', `verdict: disputed: ${text}; a dispute is open`);
  const found = `verdict: ${statement.verdict}: ${text}, ${needed} needed`;
  return identical >= needed
    ? finding('agreement', null, found)
    : notChecked('agreement', `${found}; the others by the gateway's reading of their evidence`);
}

/**
 * Scorers from outside the committee who scored exactly the served tokens, one voice per operator: a score of a part that
 * was open at a split says nothing about the rest.
 */
function countScorers(statement: Statement): { accepting: number; opposing: number } {
  const members = seatsOf(statement).map(({ member }) => member);
  const seated = new Set(members.map((member) => member.operator));
  const transcript = outputHash(statement.outputIds);
  const votes = new Map<string, boolean>();
  for (const { operator, role, outputHash: scored, accepted } of statement.scores) {
    if (scored !== transcript || accepted === null || (seated.has(operator) && role === 'member')) continue;
    votes.set(`${role}:${operator}`, (votes.get(`${role}:${operator}`) ?? true) && accepted);
  }
  const accepting = [...votes.values()].filter((vote) => vote).length;
  return { accepting, opposing: votes.size - accepting };
}
