/** Accepting a request: money held, draw taken, everything about the attempt fixed (DESIGN §4.1-4.3). */
import type { AuditTerms } from '#protocol/audit';
import { admittedOrder, type SnapshotEntry, seatsFrom } from '#protocol/draw';
import { ProtocolError } from '#protocol/errors';
import { type Address, toHex } from '#protocol/hash';
import type { Policy } from '#protocol/policy';
import { policyCanonicalJson } from '#protocol/policy-json';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { ReceiptDesk } from '../attest/receipts.ts';
import type { AuditDesk } from '../audit/audit-desk.ts';
import { type AuditLimits, type AuditRates, auditOfferOf } from '../audit/audit-terms.ts';
import type { AuditWorth } from '../audit/cheat-loss.ts';
import type { Breakers } from '../committee/breakers.ts';
import type { CandidateSkip, CapabilitySkips } from '../committee/capability-skips.ts';
import type { Deadlines } from '../committee/deadlines.ts';
import type { EpochKeeper, OpenEpoch } from '../committee/epochs.ts';
import { passedOver } from '../committee/passed-over.ts';
import type { Registry } from '../committee/registry.ts';
import type { ScorerRecords } from '../committee/scorer-records.ts';
import type { Seat } from '../committee/seat.ts';
import type { DisputeDesk } from '../dispute/desk.ts';
import type { EvidenceDesk } from '../evidence/evidence-desk.ts';
import type { AnswerRequest } from '../openai/answer.ts';
import type { Reexaminer } from '../reexamine/reexaminer.ts';
import { acceptRequest } from '../store/accept-request.ts';
import type { Store } from '../store/handle.ts';
import { Attempt, type AttemptDeps } from './attempt.ts';
import { unavailable } from './attempt-errors.ts';
import { type Choice, plansOf } from './choices.ts';
import { chunkSizesOf } from './chunk-plan.ts';
import { type LinkedAbort, requestLife } from './deadline.ts';
import { ableEntries, admittedEntries, operatorsNeeded, operatorsOf } from './eligible.ts';
import { type Offer, offerOf, shapeOfChoice } from './offer.ts';
import { wavesMaxOf } from './oversize.ts';
import type { AttemptPlan } from './plan.ts';
import { StoreJournal } from './store-journal.ts';

/** How long things take and are kept, in milliseconds, and how answers are cut into chunks. */
export interface PipelineLimits {
  /** For a whole request: what is not answered by then is ended, with all its jobs; tickets expire with it. */
  readonly requestMs: number;
  /** For a whole generating job; what is left of the request is for scorers that make up for lost seats. */
  readonly jobMs: number;
  /** How long providers keep evidence, and the gateway statements and dispute bundles. */
  readonly retentionMs: number;
  /** Chunk sizes of a streamed answer: small first, so that the first words come early. */
  readonly streamChunks: readonly number[];
  readonly audits: AuditLimits;
  /** Longest delay of a permission of who sits alone; 0 covers nobody. */
  readonly coverMaxMs: number;
  /** How long answers that one provider decided may be looked at again; 0 for none. */
  readonly reexamineMs: number;
}

export interface PipelineDeps extends Omit<AttemptDeps, 'journal' | 'progress' | 'pacing'> {
  readonly store: Store;
  readonly registry: Registry;
  readonly epochs: EpochKeeper;
  readonly skips: CapabilitySkips;
  readonly breakers: Breakers;
  readonly deadlines: Deadlines;
  readonly log: LogKeeper;
  readonly receipts: ReceiptDesk;
  readonly desk: DisputeDesk;
  readonly scorers: ScorerRecords;
  /** Accounts of what witnesses have said about whom. */
  readonly evidence: EvidenceDesk;
  /** Audits that answers have promised and nobody has done yet. */
  readonly audits: AuditDesk;
  /** Answers that a conviction has led to. */
  readonly reexaminer: Reexaminer;
  /** How often whose answers are audited. */
  readonly rates: AuditRates;
  readonly pipeline: PipelineLimits;
  /** Receives work that goes on after the answer: disputes. */
  readonly background: (work: Promise<void>) => void;
  /** Ends when the gateway stops. */
  readonly stopping: AbortSignal;
}

/** One accepted request and everything that ends it. */
export interface Running {
  readonly request: AnswerRequest;
  /** By index. */
  readonly choices: readonly Choice[];
  readonly epoch: OpenEpoch;
  readonly drawIndex: number;
  readonly draw: ReturnType<EpochKeeper['draw']>;
  /** The first of the draw, one an operator: who sits if nobody is skipped. */
  readonly seats: readonly Address[];
  readonly quoteNano: bigint;
  readonly priceMultiple: number;
  /** The quote of one seat alone. */
  readonly seatNano: bigint;
  /** What the answer promises; null where its policy asks for no audits. */
  readonly audit: AuditTerms | null;
  /** What that is worth against who may give it; null likewise. */
  readonly auditWorth: AuditWorth | null;
  /** Ends with the client's leaving or the gateway's stop; released with the request. */
  readonly life: LinkedAbort;
  /** Set once it is being ended, and nothing else may end it. */
  closed: boolean;
  /** What ended it, where it has no answer. */
  closedBy: unknown;
  /** Whether its answer waits for somebody to take the next piece. */
  isUnread: boolean;
}

/** @throws {ProtocolError} invalid_request, max_cost_exceeded, insufficient_quota, reserve_empty, committee_unavailable */
export async function accept(deps: PipelineDeps, request: AnswerRequest): Promise<Running> {
  const { model, policy, requestId, bodyHash } = request;
  const promptTokens = request.prompts.map((ids) => ids.length);
  // Before any money is held: what fails from there on has a hold to release.
  const isProbe = policy.mode === 'witnessed' && deps.evidence.isOwn(request.keyId);
  const unable = await deps.skips.of(model.digest, { ...request, isProbe });
  const { snapshot } = await deps.epochs.current();
  const able = ableEntries(deps.registry, admittedEntries(snapshot, model.digest, policy), model.digest, unable);
  const audits = await auditOfferOf(deps, { ...request, promptTokens }, able);
  const offer = offerOf({ ...request, promptTokens, audit: audits?.most ?? null }, deps.pipeline.streamChunks);
  refuseUnseatable(policy, able);
  const wavesMax = wavesMaxOf(deps, snapshot, { ...request, promptCount: request.prompts.length }, [
    ...unable,
    ...deps.breakers.skips(),
  ]);
  const { epoch, attempt, drawIndex } = await hold(deps, request, offer);
  const draw = deps.epochs.draw(epoch, drawIndex, model.digest, bodyHash, request.clientNonce);
  const candidates = candidatesOf(deps, epoch, draw.order, request);
  const first = planOf(deps, request, attempt);
  // Fixed with the plan: both are of the same checkpoint.
  const pacing = deps.deadlines.forRequest(model.digest);
  const life = requestLife(deps.clock, first.expiresAtMs, [request.signal, deps.stopping]);
  const unfit = passedOver(candidates, unable, deps.breakers.skips(), policy.n);
  const shared = {
    policy,
    candidates,
    unfit,
    referee: deps.registry.referee(model.digest),
    canScore: (seat: Seat) => deps.registry.canScore(seat.address),
    wavesMax,
    rules: { maxTokens: request.maxTokens, stop: request.sampling.stop, text: model.text },
    signal: life.signal,
  };
  const choices = plansOf(first, request.prompts, request.choices).map((plan, choice): Choice => {
    const { store, clock, log } = deps;
    const shape = shapeOfChoice(offer, choice, request.choices);
    const journal = new StoreJournal({ store, clock, log, requestId, choice, shape });
    const run = new Attempt(
      {
        ...deps,
        journal,
        pacing,
        progress: async (wave) => (request.stream ? journal.progress(wave) : journal.progressBehind(wave)),
      },
      { ...shared, plan },
    );
    return { plan, journal, attempt: run };
  });
  const seats = candidates.slice(0, policy.n).map(({ address }) => address);
  const { quoteNano, priceMultiple, seatNano } = offer;
  const answering = mayAnswer(candidates, unfit);
  return {
    request,
    choices,
    epoch,
    drawIndex,
    draw,
    seats,
    quoteNano,
    priceMultiple,
    seatNano,
    audit: audits?.termsOf(answering) ?? null,
    auditWorth: audits?.worthOf(answering) ?? null,
    life,
    closed: false,
    closedBy: null,
    isUnread: false,
  };
}

/**
 * A policy that cannot fill its seats now, an auditor's among them, is refused before anything is held or drawn; whoever leaves after
 * that is found out by the attempt, which is logged.
 * @throws {ProtocolError} committee_unavailable
 */
function refuseUnseatable(policy: Policy, able: readonly SnapshotEntry[]): void {
  const operators = operatorsOf(able);
  const needed = operatorsNeeded(policy);
  if (operators < needed) throw unavailable(operators, needed, operators);
}

/** Whose answer it can be in a policy of one seat: the first of the draw that is fit, and who takes its place once. */
function mayAnswer(candidates: readonly Seat[], unfit: readonly CandidateSkip[]): readonly Seat[] {
  const out = new Set(unfit.map(({ provider }) => provider));
  return candidates.filter(({ address }) => !out.has(address)).slice(0, 2);
}

/** Epochs that one request may find used up by others before it got its key: with 4,096 keys each, more than one is no chance. */
const EPOCHS_TRIED_MAX = 16;

/** Hold, cover and draw in one transaction; an epoch that ran out in between is followed by the next. */
async function hold(deps: PipelineDeps, request: AnswerRequest, offer: Offer) {
  const { store, epochs, clock } = deps;
  for (let tries = 0; ; tries++) {
    const epoch = await epochs.current();
    try {
      const accepting = {
        requestId: request.requestId,
        keyId: request.keyId,
        model: request.model.id,
        bodyHash: request.bodyHash,
        policyJson: policyCanonicalJson(request.policy),
        price: request.model.price,
        quoteNano: offer.quoteNano,
        coverNano: offer.coverNano,
        epoch: epoch.epoch,
        nowMs: clock.nowMs(),
        ...(request.keyed ? { idempotency: request.keyed } : {}),
      };
      // Before the first ticket is signed its job is durable, and the hold with it: one wait for the disk instead of two.
      const accepted = await store.withTx((tx) => acceptRequest(tx, accepting), 'committed');
      if (accepted.outcome !== 'accepted') throw notNew(accepted.outcome);
      return { epoch, attempt: accepted.attempt, drawIndex: accepted.drawIndex };
    } catch (error) {
      const usedUp = error instanceof ProtocolError && error.code === 'committee_unavailable';
      if (!usedUp || tries >= EPOCHS_TRIED_MAX) throw error;
      // Not `renew`: reading again may show keys that others are taking at this moment, and the same epoch would be tried twice.
      await epochs.begin(epoch.epoch);
    }
  }
}

/** Calls are looked up before they get here, so this one was overtaken, or its first attempt could not be ended. */
function notNew(outcome: 'repeated' | 'key_reused'): ProtocolError {
  return outcome === 'key_reused'
    ? new ProtocolError('idempotency_key_reused', 'This Idempotency-Key was used for another request.')
    : new ProtocolError('storage_unavailable', 'The first call has not ended yet.', { retryable: true });
}

function planOf(deps: PipelineDeps, request: AnswerRequest, attempt: number): AttemptPlan {
  const { clock, rng, log } = deps;
  const { requestMs, jobMs, retentionMs, streamChunks } = deps.pipeline;
  const nowMs = clock.nowMs();
  const drawn = rng.bytes(8);
  return {
    requestId: request.requestId,
    attempt,
    model: request.model.id,
    modelDigest: request.model.digest,
    promptIds: request.prompts[0]!,
    sampling: request.sampling,
    seed: request.seed ?? new DataView(drawn.buffer, drawn.byteOffset).getBigUint64(0),
    maxTokens: request.maxTokens,
    nonce: toHex(rng.bytes(32)),
    chunkSizes: chunkSizesOf(request.policy, request, streamChunks),
    logprobs:
      request.logprobs === null ? undefined : { top: request.logprobs, vocabSize: request.model.text.vocabSize },
    inputNanoPerMtok: request.model.price.inputNanoPerMtok,
    outputNanoPerMtok: request.model.price.outputNanoPerMtok,
    issuedAtMs: nowMs,
    jobsEndAtMs: nowMs + Math.min(jobMs, requestMs),
    expiresAtMs: nowMs + requestMs,
    retainUntilMs: nowMs + retentionMs,
    checkpoint: log.latestHash(),
    calibration: request.model.calibrations.at(-1) ?? null,
  };
}

/** One candidate per operator, in the order of the draw. */
function candidatesOf(
  deps: PipelineDeps,
  { snapshot }: OpenEpoch,
  order: Running['draw']['order'],
  { model, policy }: AnswerRequest,
): Seat[] {
  const none = { providers: new Set<Seat['address']>(), operators: new Set<string>() };
  const admitted = admittedOrder(order, snapshot, model.digest, policy.filter);
  const perOperator = seatsFrom(admitted, snapshot, admitted.length, none);
  return perOperator.flatMap((address) => deps.registry.seatOf(address, model.digest) ?? []);
}
