/** Jobs, rounds and idempotency keys against the requests that they belong to (SPEC.md §11.5, §11.7). */

import { zClaimEvent, zScoreReply, zTicket } from '#protocol/messages';
import { safeParse } from '#protocol/schema';
import { digests } from '#protocol/typed';
import type { WholeDatabase } from '../store/whole-database.ts';
import type { FsckKeys } from './check-log.ts';
import { type Damage, damage } from './damage.ts';

type Job = WholeDatabase['jobs'][number];
/** What is stored of a claim or score: the message without a scorer's evidence. */
const zStoredScore = zScoreReply.pick({ score: true, signature: true });

export function checkWork(rows: WholeDatabase, keys: FsckKeys): Damage[] {
  return [...checkJobs(rows, keys), ...checkCovers(rows), ...checkRounds(rows), ...checkIdempotency(rows)];
}

function checkJobs(rows: WholeDatabase, keys: FsckKeys): Damage[] {
  const requests = new Map(rows.requests.map((request) => [request.requestId, request]));
  const held = new Set(rows.transfers.map(({ id }) => id));
  return rows.jobs.flatMap((job) => {
    const found: Damage[] = [];
    const ticket = readTicket(job.ticketJson);
    if (ticket === null) found.push(damage('unreadable_row', job.jobId, 'ticket'));
    else if (ticket.jobId !== job.jobId || ticket.provider !== job.provider || ticket.roundId !== job.roundId) {
      found.push(damage('job_wrong', job.jobId, 'its ticket is another job’s'));
    }
    if (job.earnedNano > job.maxNano) found.push(damage('job_wrong', job.jobId, `earned more than ${job.maxNano}`));
    const request = requests.get(job.requestId);
    const isLate = held.has(`hold:${job.jobId}`);
    const hasEnded = request?.state === 'settled' || request?.state === 'failed';
    if (hasEnded && !isLate && job.standing === null) found.push(damage('job_wrong', job.jobId, 'no standing'));
    return [...found, ...checkClaim(job, keys)];
  });
}

function readTicket(text: string) {
  try {
    const parsed = safeParse(zTicket, JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Claims and scores are the providers' own words: each is signed by the job's provider, about this job. */
function checkClaim({ jobId, provider, claimJson }: Job, { domain, recover }: FsckKeys): Damage[] {
  if (claimJson === null) return [];
  const wrong = [damage('job_wrong', jobId, 'claim or score is not its provider’s')];
  let stored: unknown;
  try {
    stored = JSON.parse(claimJson);
  } catch {
    return [damage('unreadable_row', jobId, 'claim')];
  }
  const claim = safeParse(zClaimEvent, stored);
  if (claim.success) {
    const { claim: value, signature } = claim.data;
    return value.jobId === jobId && recover(digests.claim(domain, value), signature) === provider ? [] : wrong;
  }
  const score = safeParse(zStoredScore, stored);
  if (!score.success) return [damage('unreadable_row', jobId, 'claim')];
  const signer = recover(digests.score(domain, score.data.score), score.data.signature);
  return score.data.score.jobId === jobId && signer === provider ? [] : wrong;
}

/** INVARIANT of the store: a request's cover reaches all that its jobs can earn; late jobs have covers of their own. */
function checkCovers(rows: WholeDatabase): Damage[] {
  const held = new Set(rows.transfers.map(({ id }) => id));
  const most = new Map<string, bigint>();
  for (const { jobId, requestId, maxNano } of rows.jobs) {
    if (!held.has(`hold:${jobId}`)) most.set(requestId, (most.get(requestId) ?? 0n) + maxNano);
  }
  return rows.requests.flatMap(({ requestId, coverNano }) => {
    const sum = most.get(requestId) ?? 0n;
    return sum > coverNano ? [damage('job_over_cover', requestId, `${sum} over ${coverNano} nano`)] : [];
  });
}

function checkRounds(rows: WholeDatabase): Damage[] {
  const ofJobs = new Set(rows.jobs.map(({ roundId, requestId }) => `${roundId}/${requestId}`));
  return rows.rounds.flatMap(({ roundId, roundIndex, requestId }) =>
    ofJobs.has(`${roundId}/${requestId}`)
      ? []
      : [damage('round_wrong', `${roundId}/${roundIndex}`, `no job of ${requestId} is in it`)],
  );
}

function checkIdempotency(rows: WholeDatabase): Damage[] {
  const requests = new Map(rows.requests.map((request) => [request.requestId, request]));
  return rows.idempotencyKeys.flatMap(({ requestId, keyId, sealedAnswer }) => {
    const request = requests.get(requestId);
    if (request?.keyId !== keyId) return [damage('idempotency_wrong', requestId, 'another API key')];
    if (sealedAnswer === null || request.state === 'settled') return [];
    return [damage('idempotency_wrong', requestId, `has an answer, but ${request.state}`)];
  });
}
