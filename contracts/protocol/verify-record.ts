/** Checks on what members signed and sealed: tickets, claims, commitments, rounds, scores (SPEC.md §10.4). Pure. */
import type { MemberRecord, Statement, WaveRecord } from './attestation.ts';
import type { Domain } from './eip712.ts';
import { type Hash, toHex, ZERO_HASH } from './hash.ts';
import { outputHash, scoredHashOf } from './request.ts';
import { commitmentHash, memberSlots, padHash, rootsHash, sealRound } from './round.ts';
import type { Recover } from './signer.ts';
import { type Claim, digests, TICKET_KINDS } from './typed.ts';
import { finding, type VerifyItem } from './verify-item.ts';

/** A member with the wave it sat in. */
interface Seat {
  readonly wave: WaveRecord;
  readonly member: MemberRecord;
}

export function seatsOf(statement: Statement): Seat[] {
  return statement.waves.flatMap((wave) => wave.members.map((member) => ({ wave, member })));
}

/** Whether a seat stands behind the answer. */
export function isBehind(member: MemberRecord): boolean {
  return member.standing === 'counted' || member.standing === 'equivalent';
}

/** No job and no round stands for two: not in one choice, and not in two choices. */
export function checkOnce(choices: readonly Statement[]): VerifyItem {
  const waves = choices.flatMap((choice) => choice.waves);
  const jobs = waves.flatMap((wave) => wave.members.map(({ ticket }) => ticket.jobId));
  const repeated = hasRepeats(jobs)
    ? 'two tickets share a job'
    : hasRepeats(waves.map((wave) => wave.roundId))
      ? 'two waves share a round id'
      : null;
  return finding('tickets', repeated, `${jobs.length} tickets`);
}

/** Every ticket orders this request from this member in this wave. */
export function checkTickets(statement: Statement): VerifyItem {
  const seats = seatsOf(statement);
  const problem = firstProblem(seats, ({ wave, member }) => {
    const { ticket, provider } = member;
    if (ticket.provider !== provider) return `the ticket of ${provider} is for another provider`;
    if (ticket.roundId !== wave.roundId) return `the ticket of ${provider} is for another wave`;
    if (ticket.requestHash !== statement.requestHash) return `the ticket of ${provider} is for another request`;
    if (ticket.kind !== TICKET_KINDS.generate) return `the ticket of ${provider} does not order an answer`;
    return ticket.expiresAtMs > ticket.issuedAtMs ? null : `the ticket of ${provider} was never valid`;
  });
  return finding('tickets', problem, `${seats.length} tickets`);
}

/** Every claim is signed by its member and answers its ticket; nobody who counts lacks one. */
export function checkClaims(statement: Statement, domain: Domain, recover: Recover): VerifyItem {
  const seats = seatsOf(statement);
  const problem = firstProblem(seats, ({ member }) => {
    const { claim, ticket, provider } = member;
    if (claim === null) return isBehind(member) ? `${provider} counts but has no claim` : null;
    const { value, signature } = claim;
    if (recover(digests.claim(domain, value), signature) !== provider) return `${provider} did not sign its claim`;
    const ticketHash = toHex(digests.ticket(domain, ticket));
    const answers =
      value.provider === provider &&
      value.jobId === ticket.jobId &&
      value.ticketHash === ticketHash &&
      value.requestHash === ticket.requestHash &&
      value.roundId === ticket.roundId &&
      value.checkpoint === ticket.checkpoint;
    return answers ? null : `the claim of ${provider} does not answer its ticket`;
  });
  return finding('claims', problem, `${seats.filter(({ member }) => member.claim).length} signed claims`);
}

/**
 * The served tokens, cut as the member sealed them, hash to its commitments; the same for every member that claims the
 * same transcript. Other members' chains can only be compared with their claims.
 */
export function checkCommitments(statement: Statement): VerifyItem {
  const transcriptHash = outputHash(statement.outputIds);
  let recomputed = 0;
  const problem = firstProblem(seatsOf(statement), ({ wave, member }) => {
    const { claim, commitments, provider } = member;
    if (provider === statement.served && claim?.value.transcriptHash !== transcriptHash) {
      return `${provider} did not claim the tokens that were served`;
    }
    if (claim === null) return null;
    // A cancelled member may have sealed a chunk more than it opened and claimed.
    if (claim.value.lastCommitment !== commitments[claim.value.chunkCount - 1]) {
      return `the claim of ${provider} is not about its commitments`;
    }
    if (claim.value.transcriptHash !== transcriptHash || !isBehind(member)) return null;
    recomputed++;
    return chainProblem(statement, wave, member, claim.value);
  });
  const served = seatsOf(statement).some(({ member }) => member.provider === statement.served && isBehind(member));
  return finding(
    'commitments',
    problem ?? (served ? null : 'the served member is not among those that count'),
    `the tokens of ${recomputed} members recomputed to their commitments`,
  );
}

function chainProblem(statement: Statement, wave: WaveRecord, member: MemberRecord, claim: Claim): string | null {
  const { commitments, openings, provider, ticket } = member;
  const { chunkCount, outputTokens } = claim;
  if (openings.length !== commitments.length) return `an opening of ${provider} is missing`;
  if (chunkCount !== commitments.length) return `${provider} sealed more than it claims`;
  if (outputTokens !== statement.outputIds.length) return `${provider} claims another number of tokens`;
  let [previous, previousRoot, at]: [Hash, Hash, number] = [ZERO_HASH, ZERO_HASH, 0];
  for (let index = 0; index < openings.length; index++) {
    const opening = openings[index]!;
    if (opening.last !== (index === openings.length - 1)) return `${provider} sealed its last chunk elsewhere`;
    const tokens = statement.outputIds.slice(at, at + opening.tokenCount);
    at += opening.tokenCount;
    const { jobId } = ticket;
    const sealed = { ...opening, jobId, index, previous, previousRoot, tokensHash: outputHash(tokens) };
    if (commitmentHash(provider, sealed) !== commitments[index]) {
      return `commitment ${index} of ${provider} does not hold the served tokens`;
    }
    previous = commitments[index]!;
    previousRoot = wave.roots[index] ?? ZERO_HASH;
  }
  return at === statement.outputIds.length ? null : `${provider} sealed another number of tokens`;
}

/** Every root holds the listed commitments and padding, nothing else, and was opened by all that count. */
export function checkRounds(statement: Statement): VerifyItem {
  const problem = firstProblem(statement.waves, waveProblem);
  const rounds = statement.waves.reduce((sum, wave) => sum + wave.roots.length, 0);
  return finding('rounds', problem, `${rounds} sealed rounds rebuilt in ${statement.waves.length} waves`);
}

function waveProblem(wave: WaveRecord): string | null {
  const slots = memberSlots(wave.padSeed, wave.roundId, wave.members.length);
  if (wave.members.some((member, seat) => member.slot !== slots[seat])) return 'a member sat in another slot';
  const sealed = padHash(wave.padSeed);
  const other = wave.members.find((member) => member.ticket.padHash !== sealed);
  if (other) return `the ticket of ${other.provider} was bound to other padding`;
  if (wave.members.some((member) => member.commitments.length > wave.roots.length)) return 'a round root is missing';
  for (let index = 0; index < wave.roots.length; index++) {
    const present = wave.members.filter((member) => member.commitments.length > index);
    if (present.length === 0) return `nobody sealed anything in round ${index}`;
    const commitments = new Map(present.map((member) => [member.slot, member.commitments[index]!]));
    if (sealRound(wave.roundId, index, wave.padSeed, commitments).root !== wave.roots[index]) {
      return `the root of round ${index} holds something else than is listed`;
    }
  }
  return firstProblem(wave.members, (member) => {
    if (!isBehind(member) || member.claim === null) return null;
    const { chunkCount, rootsHash: claimed } = member.claim.value;
    return claimed === rootsHash(wave.roots.slice(0, chunkCount))
      ? null
      : `${member.provider} opened under other roots`;
  });
}

/**
 * Every score is signed by its scorer and is about the tokens that its record names, of a member of the committee: its
 * claimed transcript, or the part that was open when a split was settled. A rejected member may have claimed nothing.
 * @param openedProblem what is wrong with evidence of scores that came with the answer, or null
 */
export function checkScores(
  statement: Statement,
  domain: Domain,
  recover: Recover,
  openedProblem: string | null,
): VerifyItem | null {
  if (openedProblem !== null) return finding('scores', openedProblem, '');
  if (statement.scores.length === 0) return null;
  const members = new Set(seatsOf(statement).map(({ member }) => member.provider));
  const problem = firstProblem(statement.scores, ({ provider, about, outputHash: tokens, score, signature }) => {
    if (!members.has(about)) return `the score of ${provider} is about nobody of the committee`;
    const scored = scoredHashOf(statement.request.promptHash, tokens);
    if (score.provider !== provider || recover(digests.score(domain, score), signature) !== provider) {
      return `${provider} did not sign its score`;
    }
    return score.transcriptHash === scored ? null : `the score of ${provider} is about another transcript`;
  });
  return finding('scores', problem, `${statement.scores.length} signed scores`);
}

/** No score counts twice, and there is one referee, in all choices together. */
export function checkScoresOnce(choices: readonly Statement[]): VerifyItem | null {
  const scores = choices.flatMap((choice) => choice.scores);
  if (scores.length === 0) return null;
  const repeated = hasRepeats(scores.map(({ score }) => score.jobId)) ? 'two scores share a job' : null;
  // The referee is the operator's own: a second one would be a second voice that costs the operator nothing.
  const referees = new Set(scores.filter(({ role }) => role === 'referee').map(({ provider }) => provider));
  const crowded = referees.size > 1 ? 'there are two referees' : null;
  return finding('scores', repeated ?? crowded, `${scores.length} signed scores`);
}

function firstProblem<T>(values: readonly T[], problemOf: (value: T) => string | null): string | null {
  for (const value of values) {
    const problem = problemOf(value);
    if (problem !== null) return problem;
  }
  return null;
}

export function hasRepeats(values: readonly string[]): boolean {
  return new Set(values).size !== values.length;
}
