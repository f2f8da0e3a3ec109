/** The door that generating and scoring jobs share: ticket, model, context, used jobIds (SPEC.md §6). */
import type { ErrorCode } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { needsSampler } from '#protocol/sampling';
import type { ProviderDeps, ServedModel } from '../deps.ts';
import { ProviderError, type RefusedTicket } from '../errors.ts';
import type { StoredJob } from '../store/store.ts';
import { CLOCK_SKEW_MS, checkTicketSeal, checkTicketTerms, type TicketOrder } from './ticket.ts';

/** Used jobIds are looked through for expired ones at most this often: once a minute. */
const PRUNE_EVERY_MS = 60_000;

/** An order that passed all checks of its ticket. */
export interface Admitted {
  readonly job: StoredJob;
  readonly model: ServedModel;
  /** Whether this very ticket was accepted before. */
  readonly known: boolean;
  /** For refusals that come later than these checks. */
  readonly refused: RefusedTicket;
}

/** What an order is about, beyond its ticket. */
export interface AdmissionTerms {
  readonly kind: number;
  /** Hash of the body, computed from the body. */
  readonly jobHash: Hash;
  /** Tokens beyond the prompt that the context must hold. */
  readonly outputTokens: number;
  /** Alternatives with log-probabilities that are ordered; absent where none are. */
  readonly logprobs?: number | undefined;
}

export class Admission {
  readonly #deps: ProviderDeps;
  #prunedAtMs = 0;
  /** While true, nothing new is accepted; known jobs may still be resumed. */
  draining = false;

  constructor(deps: ProviderDeps) {
    this.#deps = deps;
  }

  /**
   * Checks an order; it is not recorded yet.
   * @throws {ProviderError} with the first check that failed
   */
  check(order: TicketOrder, terms: AdmissionTerms): Admitted {
    const { domain, recover, gatewayAddresses, signer, store, clock, limits } = this.#deps;
    const seal = checkTicketSeal(order, { domain, recover, gatewayAddresses, provider: signer.address });
    // Whoever cannot show a ticket for this provider gets no signature from it either.
    if (!seal.ok) throw new ProviderError(seal.code);
    const { gateway, ticketHash } = seal;
    const { ticket } = order;
    const refused = { jobId: ticket.jobId, ticketHash };
    const refuse = (code: ErrorCode) => new ProviderError(code, { ticket: refused });
    const nowMs = clock.nowMs();
    const { retentionMaxMs } = limits;
    const code = checkTicketTerms(order, { kind: terms.kind, jobHash: terms.jobHash, nowMs, retentionMaxMs });
    if (code !== null) throw refuse(code);
    const model = this.#deps.models.get(order.modelDigest);
    if (model === undefined) throw refuse('model_not_found');
    const { contextMax, vocabSize, sampler, logprobsMax } = model.engine.info;
    if (sampler === null && needsSampler(order.sampling)) throw refuse('unsupported_parameter');
    if (terms.logprobs !== undefined && terms.logprobs > (logprobsMax ?? -1)) throw refuse('unsupported_parameter');
    if (order.promptIds.length + terms.outputTokens > contextMax) throw refuse('context_length_exceeded');
    if (order.promptIds.some((id) => id >= vocabSize)) throw refuse('invalid_request');
    this.#prune(nowMs);
    const before = store.job(ticket.jobId);
    if (before !== undefined && before.ticketHash !== ticketHash) throw refuse('ticket_replayed');
    if (before === undefined && this.draining) throw refuse('shutting_down');
    return { job: before ?? { ticket, ticketHash, gateway }, model, known: before !== undefined, refused };
  }

  /**
   * Records a checked job; from here on its jobId is used.
   * @throws {ProviderError} `storage_unavailable`
   */
  record(admitted: Admitted): void {
    try {
      if (this.#deps.store.addJob(admitted.job)) return;
    } catch (cause) {
      throw new ProviderError('storage_unavailable', { ticket: admitted.refused, cause });
    }
    // Checks and record run in one go, so another process on the same store must have been faster.
    throw new ProviderError('job_lost', { ticket: admitted.refused });
  }

  #prune(nowMs: number): void {
    if (nowMs - this.#prunedAtMs < PRUNE_EVERY_MS) return;
    this.#prunedAtMs = nowMs;
    try {
      const isOnChain = this.#deps.domain.chainId !== 0n;
      const count = this.#deps.store.prune(nowMs, CLOCK_SKEW_MS, isOnChain);
      if (count > 0) this.#deps.log.info('jobs_pruned', { count });
    } catch {
      // A store that cannot be written refuses the job itself; forgetting can wait.
      this.#deps.log.warn('prune_failed');
    }
  }
}
