/** One member's sealed job as the gateway sees it: every event is checked against what must come next (SPEC.md §5). */

import { type Contradiction, contradictionProven, faultOf } from '#protocol/contradiction';
import type { Domain } from '#protocol/eip712';
import { type Hash, ZERO_HASH } from '#protocol/hash';
import { logprobSalt, logprobsProblem, type TokenLogprobs } from '#protocol/logprobs';
import type { ClaimEvent, CommitmentEvent, JobOrderWire, PermissionOrder, RevealEvent } from '#protocol/messages';
import { outputHash } from '#protocol/request';
import { openingFits, rootsHash } from '#protocol/round';
import type { Recover } from '#protocol/signer';
import { type Claim, digests, FINISH_KINDS, type FinishKind, type Opening } from '#protocol/typed';
import type { Fault, Standing } from '#protocol/verdict';
import type { Seat } from '../committee/seat.ts';
import { type LinkedAbort, linkAbort } from './deadline.ts';
import type { AttemptPlan, IssuedTicket } from './plan.ts';
import type { JobEvent, ProviderClient } from './provider-client.ts';
import { ProviderFailure } from './provider-failure.ts';

/** What a member did wrong; never thrown past the wave. */
export class MemberFault extends Error {
  override readonly name = 'MemberFault';
  readonly fault: Fault;
  readonly evidence: Contradiction | null;

  constructor(fault: Fault, evidence: Contradiction | null = null) {
    super(fault);
    this.fault = fault;
    this.evidence = evidence;
  }
}

export interface MemberDeps {
  readonly client: ProviderClient;
  readonly domain: Domain;
  readonly recover: Recover;
}

/** Chunk limits the member must keep. */
export interface ChunkRule {
  readonly capacity: number;
  readonly logprobs?: AttemptPlan['logprobs'];
}

export class SealedMember {
  readonly seat: Seat;
  readonly issued: IssuedTicket;
  /** Beyond the seats that the client pays for. */
  readonly isExtra: boolean;
  readonly commitments: CommitmentEvent[] = [];
  /** Commitments that went into a round's root: a seal that arrived after the deadline is not among them. */
  readonly sealed: Hash[] = [];
  readonly openings: Opening[] = [];
  readonly roots: Hash[] = [];
  readonly tokens: number[] = [];
  readonly shortEvidence: (readonly [number, number])[] = [];
  /** One per token where they were ordered, and the random parts of the salts that bind them. */
  readonly logprobs: TokenLogprobs[] = [];
  readonly innerSalts: Hash[] = [];
  claim: { value: Claim; signature: `0x${string}` } | null = null;
  standing: Standing = 'counted';
  fault: Fault | null = null;
  /** Its own signatures against each other, kept for the dispute that they open. */
  contradiction: Contradiction | null = null;
  readonly #deps: MemberDeps;
  #abort: LinkedAbort | null = null;
  #events: AsyncGenerator<JobEvent> | null = null;

  constructor(deps: MemberDeps, seat: Seat, issued: IssuedTicket, isExtra = false) {
    this.#deps = deps;
    this.seat = seat;
    this.issued = issued;
    this.isExtra = isExtra;
  }

  get jobId(): Hash {
    return this.issued.ticket.jobId;
  }

  /** Whether its last opened chunk was its last. */
  get finished(): boolean {
    return this.openings.at(-1)?.last ?? false;
  }

  /** How it says its transcript ended; null before the claim. */
  get finish(): FinishKind | null {
    return this.claim ? FINISH_KINDS[this.claim.value.finish]! : null;
  }

  async start(order: JobOrderWire, signal: AbortSignal): Promise<void> {
    this.#abort = linkAbort([signal]);
    this.#events = await this.#deps.client.openJob(this.seat.url, order, this.#abort.signal);
  }

  /** Ends the stream and everything waiting on it. */
  close(): void {
    this.#abort?.release();
    this.#abort?.abort(new MemberFault('timeout'));
    void this.#events?.return(undefined).catch(() => undefined);
  }

  async #next(): Promise<JobEvent> {
    const step = await this.#events?.next();
    if (!step || step.done) throw new MemberFault('malformed');
    const event = step.value;
    if (event.kind === 'error') throw new MemberFault(event.code === 'job_lost' ? 'timeout' : 'malformed');
    if (event.kind === 'commitment') this.#refuseSecond(event.event);
    return event;
  }

  /** Two signed commitments for one index are the clearest of all faults. */
  #refuseSecond(event: CommitmentEvent): void {
    const first = this.commitments.find((known) => known.index === event.index);
    if (!first || first.commitment === event.commitment || event.jobId !== this.jobId) return;
    const { index } = event;
    const evidence: Contradiction = { kind: 'two_commitments', index, first: signedOf(first), second: signedOf(event) };
    throw new MemberFault(...this.#faultBy(evidence));
  }

  /** Nobody answers for a contradiction that somebody else has signed: without proof it is mere noise. */
  #faultBy(evidence: Contradiction): [Fault, Contradiction | null] {
    const accused = { provider: this.seat.address, jobId: this.jobId };
    return contradictionProven(evidence, accused, this.#deps)
      ? [faultOf(evidence.kind), evidence]
      : ['malformed', null];
  }

  /** Waits for the seal of the next chunk. */
  async nextCommitment(): Promise<Hash> {
    const event = await this.#next();
    if (event.kind !== 'commitment') throw new MemberFault('malformed');
    const { jobId, index, commitment, signature } = event.event;
    if (jobId !== this.jobId || index !== this.openings.length) throw new MemberFault('malformed');
    const digest = digests.commitment(this.#deps.domain, { jobId, index, commitment });
    if (this.#deps.recover(digest, signature) !== this.seat.address) throw new MemberFault('malformed');
    this.commitments.push(event.event);
    return commitment;
  }

  /** Hands over the permission of a sealed round. */
  async permit(order: PermissionOrder, signal: AbortSignal): Promise<void> {
    this.roots.push(order.permission.roundRoot);
    await this.#deps.client.permit(this.seat.url, this.jobId, order, signal);
  }

  /** Waits for the opening of the sealed chunk and checks it; its tokens are then part of the transcript. */
  async nextReveal(rule: ChunkRule): Promise<Opening> {
    let event: JobEvent;
    try {
      event = await this.#next();
    } catch (error) {
      // It sealed, was permitted to open, and did not: more than slowness, less than a provable lie.
      if (error instanceof MemberFault && error.fault === 'malformed') throw new MemberFault('non_reveal');
      throw error;
    }
    if (event.kind !== 'reveal') throw new MemberFault('non_reveal');
    const { opening, tokens, shortEvidence } = event.event;
    this.#checkOpening(event.event);
    // Missing, padded or extra evidence is a failure, never something to skip.
    if (outputHash(tokens) !== opening.tokensHash || tokens.length !== opening.tokenCount) {
      throw new MemberFault('malformed');
    }
    if (shortEvidence.length !== tokens.length) throw new MemberFault('bad_evidence');
    if (tokens.length === 0 || tokens.length > rule.capacity) throw new MemberFault('malformed');
    if (!opening.last && tokens.length !== rule.capacity) throw new MemberFault('malformed');
    this.#takeLogprobs(event.event, rule);
    this.openings.push(opening);
    this.tokens.push(...tokens);
    this.shortEvidence.push(...shortEvidence);
    return opening;
  }

  /** Log-probabilities are sealed by the salt: others than the sealed ones, and some that nobody ordered, are a fault. */
  #takeLogprobs({ opening, tokens, logprobs }: RevealEvent, { logprobs: ordered }: ChunkRule): void {
    if ((logprobs === undefined) !== (ordered === undefined)) throw new MemberFault('malformed');
    if (logprobs === undefined || ordered === undefined) return;
    const { salt, tokens: items } = logprobs;
    if (items.length !== tokens.length || logprobSalt(salt, items) !== opening.salt) throw new MemberFault('malformed');
    const sound = items.every((item, at) => logprobsProblem(item, { ...ordered, chosen: tokens[at]! }) === null);
    if (!sound) throw new MemberFault('malformed');
    this.logprobs.push(...items);
    this.innerSalts.push(salt);
  }

  #checkOpening({ opening, signature }: RevealEvent): void {
    const { domain, recover } = this.#deps;
    const sealed = this.commitments.at(-1);
    const index = this.openings.length;
    if (!sealed || opening.jobId !== this.jobId || opening.index !== index) throw new MemberFault('malformed');
    const digest = digests.reveal(domain, opening);
    if (recover(digest, signature) !== this.seat.address) throw new MemberFault('malformed');
    const fits = openingFits(this.seat.address, opening, {
      commitment: sealed.commitment,
      previous: this.commitments.at(-2)?.commitment ?? ZERO_HASH,
      previousRoot: this.roots.at(-2) ?? ZERO_HASH,
    });
    if (fits) return;
    // An opening that fits its commitment but names another root is no proof: roots are the gateway's word.
    const contradiction: Contradiction = {
      kind: 'opening_does_not_fit',
      sealed: signedOf(sealed),
      before: index === 0 ? null : signedOf(this.commitments.at(-2)!),
      reveal: { opening, signature },
    };
    throw new MemberFault(...this.#faultBy(contradiction));
  }

  /** Asks the member to stop; it then claims what it has opened. */
  async cancel(signal: () => AbortSignal): Promise<void> {
    if (!this.finished) await this.#deps.client.cancel(this.seat.url, this.jobId, signal());
  }

  /** Waits for the signed statement on the whole transcript; skips a seal that was on its way when it was cancelled. */
  async nextClaim(): Promise<void> {
    let event = await this.#next();
    if (event.kind === 'commitment' && !this.finished) event = await this.#next();
    if (event.kind !== 'claim') throw new MemberFault('malformed');
    this.#checkClaim(event.event);
    await this.#lastWord(event.event);
    this.claim = { value: event.event.claim, signature: event.event.signature };
  }

  /** The claim ends the stream: a second one that differs is an equivocation, anything else does not belong there. */
  async #lastWord(first: ClaimEvent): Promise<void> {
    let step: IteratorResult<JobEvent> | undefined;
    try {
      step = await this.#events?.next();
    } catch (error) {
      // A connection that breaks after the claim takes nothing away from it.
      if (error instanceof ProviderFailure && error.code === 'provider_unreachable') return;
      throw error;
    }
    if (!step || step.done) return;
    if (step.value.kind !== 'claim') throw new MemberFault('malformed');
    const second = step.value.event;
    throw new MemberFault(...this.#faultBy({ kind: 'two_claims', first: { ...first }, second: { ...second } }));
  }

  #checkClaim({ claim, signature }: ClaimEvent): void {
    const { ticket, ticketHash } = this.issued;
    if (this.openings.length === 0) throw new MemberFault('malformed');
    const expected: Omit<Claim, 'finish'> = {
      jobId: this.jobId,
      ticketHash,
      requestHash: ticket.requestHash,
      roundId: ticket.roundId,
      provider: this.seat.address,
      transcriptHash: outputHash(this.tokens),
      lastCommitment: this.commitments[this.openings.length - 1]!.commitment,
      rootsHash: rootsHash(this.roots.slice(0, this.openings.length)),
      chunkCount: this.openings.length,
      outputTokens: this.tokens.length,
      checkpoint: ticket.checkpoint,
    };
    const digest = digests.claim(this.#deps.domain, claim);
    if (this.#deps.recover(digest, signature) !== this.seat.address) throw new MemberFault('malformed');
    for (const [field, value] of Object.entries(expected)) {
      if (claim[field as keyof typeof expected] !== value) throw new MemberFault('malformed');
    }
    const finish = FINISH_KINDS[claim.finish];
    if ((finish === 'cancelled') === this.finished) throw new MemberFault('malformed');
  }
}

function signedOf({ commitment, signature }: CommitmentEvent): Pick<CommitmentEvent, 'commitment' | 'signature'> {
  return { commitment, signature };
}
