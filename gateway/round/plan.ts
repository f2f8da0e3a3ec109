/** What is fixed for one attempt, and the signed orders made from it (SPEC.md §4, §6). Pure but for the signer. */
import type { KnownCalibration } from '#protocol/calibration';
import type { Domain } from '#protocol/eip712';
import { type Address, fromHex, type Hash, toHex } from '#protocol/hash';
import { type JobOrderWire, type ScoreOrderWire, ticketToWire } from '#protocol/messages';
import { generateJobHash, promptHash, samplingHash, scoredHash } from '#protocol/request';
import type { Sampling } from '#protocol/sampling';
import type { Signer } from '#protocol/signer';
import { digests, type RequestTerms, requestHash, TICKET_KINDS, type Ticket } from '#protocol/typed';

/** One attempt at one request. Prices in nano-units per million tokens, times in milliseconds. */
export interface AttemptPlan {
  readonly requestId: string;
  readonly attempt: number;
  readonly model: string;
  readonly modelDigest: Hash;
  readonly promptIds: readonly number[];
  readonly sampling: Sampling;
  /** uint64. */
  readonly seed: bigint;
  readonly maxTokens: number;
  readonly nonce: Hash;
  /** Tokens per chunk; the last size repeats. One chunk of maxTokens where nobody streams. */
  readonly chunkSizes: readonly number[];
  /** Alternatives with log-probabilities a token, 0 to 20, of this vocabulary; absent where none are ordered. */
  readonly logprobs?: { readonly top: number; readonly vocabSize: number } | undefined;
  readonly inputNanoPerMtok: bigint;
  readonly outputNanoPerMtok: bigint;
  readonly issuedAtMs: number;
  /** When generating jobs must have ended: who has not is late. */
  readonly jobsEndAtMs: number;
  readonly expiresAtMs: number;
  readonly retainUntilMs: number;
  readonly checkpoint: Hash;
  /** By which everything about this attempt is judged; null for a model that nobody has calibrated. */
  readonly calibration: KnownCalibration | null;
}

/** Who signs orders, and where their signatures hold. */
export interface Issuer {
  readonly signer: Signer;
  readonly domain: Domain;
}

/** Terms of plans that are in use; a plan never changes, and every ticket of it has the same terms. */
const knownTerms = new WeakMap<AttemptPlan, { readonly terms: RequestTerms; readonly requestHash: Hash }>();

function hashedTerms(plan: AttemptPlan) {
  let known = knownTerms.get(plan);
  if (known === undefined) {
    const terms: RequestTerms = {
      model: plan.model,
      modelDigest: plan.modelDigest,
      promptHash: promptHash(plan.promptIds),
      samplingHash: samplingHash(plan.sampling),
      seed: plan.seed,
      maxTokens: plan.maxTokens,
      nonce: plan.nonce,
    };
    known = { terms, requestHash: requestHash(terms) };
    knownTerms.set(plan, known);
  }
  return known;
}

export function termsOf(plan: AttemptPlan): RequestTerms {
  return hashedTerms(plan).terms;
}

/** Hash of the plan's terms, as tickets and statements carry it. */
export function requestHashOf(plan: AttemptPlan): Hash {
  return hashedTerms(plan).requestHash;
}

/** A ticket with its hash (the digest that is signed) ready to be stored before it is signed. */
export interface IssuedTicket {
  readonly ticket: Ticket;
  readonly ticketHash: Hash;
}

type TicketTimes = Pick<AttemptPlan, 'issuedAtMs' | 'expiresAtMs' | 'retainUntilMs'>;

function ticketFor(
  plan: AttemptPlan,
  domain: Domain,
  job: { jobId: Hash; provider: Address; kind: number; jobHash: Hash; roundId: Hash; padHash: Hash },
  times: TicketTimes = plan,
): IssuedTicket {
  const ticket: Ticket = {
    ...job,
    requestHash: requestHashOf(plan),
    inputNanoPerMtok: plan.inputNanoPerMtok,
    outputNanoPerMtok: plan.outputNanoPerMtok,
    issuedAtMs: times.issuedAtMs,
    expiresAtMs: times.expiresAtMs,
    retainUntilMs: times.retainUntilMs,
    checkpoint: plan.checkpoint,
  };
  return { ticket, ticketHash: toHex(digests.ticket(domain, ticket)) };
}

/** The ticket of a generating job. */
export function generateTicket(
  plan: AttemptPlan,
  domain: Domain,
  job: { jobId: Hash; provider: Address; roundId: Hash; padHash: Hash },
): IssuedTicket {
  return ticketFor(plan, domain, {
    ...job,
    kind: TICKET_KINDS.generate,
    jobHash: generateJobHash(plan.chunkSizes, plan.logprobs?.top),
  });
}

/**
 * The ticket of a scoring job: no round, so no padding either. It is issued now, and lasts as long as any other of its gateway:
 * how old an order is would tell its scorer what it is asked for.
 */
export function scoreTicket(
  plan: AttemptPlan,
  domain: Domain,
  job: { jobId: Hash; provider: Address; roundId: Hash },
  outputIds: readonly number[],
  nowMs: number,
): IssuedTicket {
  const work = {
    ...job,
    padHash: `0x${'00'.repeat(32)}`,
    kind: TICKET_KINDS.score,
    jobHash: scoredHash(plan.promptIds, outputIds),
  } as const;
  return ticketFor(plan, domain, work, {
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + (plan.expiresAtMs - plan.issuedAtMs),
    retainUntilMs: nowMs + (plan.retainUntilMs - plan.issuedAtMs),
  });
}

function sharedTerms(plan: AttemptPlan, issuer: Issuer, issued: IssuedTicket) {
  return {
    ticket: ticketToWire(issued.ticket),
    // The ticket's hash is the digest that is signed.
    signature: issuer.signer.sign(fromHex(issued.ticketHash)),
    model: plan.model,
    modelDigest: plan.modelDigest,
    promptIds: [...plan.promptIds],
    sampling: plan.sampling,
    seed: plan.seed.toString(),
    maxTokens: plan.maxTokens,
    nonce: plan.nonce,
  };
}

/** The signed body of `POST /v1/jobs`; call it once the ticket is durable. */
export function generateOrder(plan: AttemptPlan, issuer: Issuer, issued: IssuedTicket): JobOrderWire {
  const logprobs = plan.logprobs === undefined ? {} : { logprobs: plan.logprobs.top };
  return { ...sharedTerms(plan, issuer, issued), ...logprobs, chunkSizes: [...plan.chunkSizes] };
}

/** The signed body of `POST /v1/scores`; call it once the ticket is durable. */
export function scoreOrder(
  plan: AttemptPlan,
  issuer: Issuer,
  issued: IssuedTicket,
  outputIds: readonly number[],
): ScoreOrderWire {
  return { ...sharedTerms(plan, issuer, issued), outputIds: [...outputIds] };
}

/** Tokens that chunk `index` may hold: its scheduled size, cut to what is left of maxTokens. */
export function chunkCapacity(
  plan: Pick<AttemptPlan, 'chunkSizes' | 'maxTokens'>,
  index: number,
  before: number,
): number {
  const size = plan.chunkSizes[Math.min(index, plan.chunkSizes.length - 1)]!;
  return Math.min(size, plan.maxTokens - before);
}
