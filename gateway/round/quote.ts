/** What a policy costs, buys and finds, before it is bought (DESIGN §9): by the functions that hold, draw and seat. */
import type { SnapshotEntry } from '#protocol/draw';
import type { Address, Hash } from '#protocol/hash';
import { POLICY_MODES_SERVED, type PolicyMode, policyOfBody } from '#protocol/policy';
import { isAlone } from '#protocol/policy-values';
import { type AuditOffer, auditOfferOf } from '../audit/audit-terms.ts';
import type { SecurityTarget } from '../audit/cheapest.ts';
import { passedOver } from '../committee/passed-over.ts';
import type { Seat } from '../committee/seat.ts';
import { RESERVE } from '../ledger/accounts.ts';
import { jobPrice, quoteNano } from '../ledger/price.ts';
import type { AnswerRequest } from '../openai/answer.ts';
import { balanceNano } from '../store/ledger-repo.ts';
import type { PipelineDeps } from './accept.ts';
import { chunkSizesOf, generatingSeats } from './chunk-plan.ts';
import { ableEntries, admittedEntries, operatorsOf } from './eligible.ts';
import { offerOf, shapesOf } from './offer.ts';
import { wavesMaxOf } from './oversize.ts';
import { cheapestPolicy, type OptionFacts, type QuotedOption } from './quote-options.ts';
import { finalitySecondsOf, securityOf, unprotectedBy } from './security.ts';

/** A request as far as its quote goes. */
export interface QuotedRequest
  extends Pick<AnswerRequest, 'model' | 'sampling' | 'logprobs' | 'choices' | 'policy' | 'stream' | 'clientNonce'> {
  /** Of each prompt. */
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
  /** What the cheapest policy is looked up for. */
  readonly target?: SecurityTarget | null;
}

export interface QuoteFacts {
  readonly quoteNano: bigint;
  /** The prompt's and the output's part of it. */
  readonly inputNano: bigint;
  readonly outputNano: bigint;
  /** The same request under each served mode. */
  readonly modes: Readonly<Record<string, bigint>>;
  /** As in `assay-security`; the stake is that of the weakest committee that can be drawn. */
  readonly security: Readonly<Record<string, string | number>>;
  /** Operators that can be seated now. */
  readonly operators: number;
  /** Whether the reserve holds what must be set aside. */
  readonly isCovered: boolean;
  /** The cheapest policy for the target; null where none meets it, or none is asked for. */
  readonly cheapest: QuotedOption | null;
}

/** @throws {ProtocolError} invalid_request, max_cost_exceeded, insufficient_quota */
export async function quoteFacts(deps: PipelineDeps, request: QuotedRequest): Promise<QuoteFacts> {
  const { model, policy } = request;
  const { streamChunks } = deps.pipeline;
  const epoch = await deps.epochs.current();
  const unable = await deps.skips.of(model.digest, request);
  const admitted = admittedEntries(epoch.snapshot, model.digest, policy);
  const able = ableEntries(deps.registry, admitted, model.digest, unable);
  const auditOf = (asked: QuotedRequest) => auditOfferOf(deps, asked, able);
  const offered = await auditOf(request);
  const audit = offered?.most ?? null;
  const { quoteNano: quote, coverNano: cover, ...offer } = offerOf({ ...request, audit }, streamChunks);
  // Refuses what could not be attested.
  wavesMaxOf(deps, epoch.snapshot, { ...request, promptCount: request.promptTokens.length }, [
    ...unable,
    ...deps.breakers.skips(),
  ]);
  const seats = seatsOf(deps, able, model.digest);
  const out = new Set(passedOver(seats, unable, deps.breakers.skips(), policy.n).map(({ provider }) => provider));
  const eligible = seats.filter(({ address }) => !out.has(address));
  const reserveNano = await deps.store.read((handle) => balanceNano(handle, RESERVE));
  const jobs = BigInt(generatingSeats(policy) * request.choices);
  const outputOnly = jobPrice(
    { ...model.price, inputNanoPerMtok: 0n },
    { inputTokens: 0, outputTokens: request.maxTokens, scoredTokens: 0 },
  );
  const outputNano = outputOnly.payNano * jobs;
  const modes = await Promise.all(
    POLICY_MODES_SERVED.map(async (mode): Promise<[string, bigint]> => {
      const asked = inMode(request, mode);
      return [mode, quoteNano(...shapesOf({ ...asked, audit: (await auditOf(asked))?.most ?? null }, streamChunks))];
    }),
  );
  return {
    quoteNano: quote,
    inputNano: quote - outputNano,
    outputNano,
    modes: Object.fromEntries(modes),
    security: securityOf(policy, epoch.snapshot, weakest(eligible, admitted, policy.n), {
      ...offer,
      operators: operatorsOf(admitted),
      audit,
      auditWorth: offered?.worthOf(able) ?? null,
      limits: deps.pipeline,
      unprotected: unprotectedBy(deps, policy, {
        modelDigest: model.digest,
        chunkSizes: chunkSizesOf(policy, request, streamChunks),
      }),
    }),
    operators: eligible.length,
    isCovered: reserveNano >= cover,
    cheapest: request.target
      ? cheapestPolicy(
          optionFacts(deps, request, eligible, admitted, await auditOf(inMode(request, 'audited'))),
          request.target,
        )
      : null,
  };
}

function optionFacts(
  deps: PipelineDeps,
  request: QuotedRequest,
  eligible: readonly Seat[],
  admitted: readonly SnapshotEntry[],
  audits: AuditOffer | null,
): OptionFacts {
  const addresses = new Set(eligible.map(({ address }) => address));
  return {
    policy: request.policy,
    entries: admitted.filter(({ address }) => addresses.has(address)),
    audits,
    quoteNanoOf: (policy, audit) => quoteNano(...shapesOf({ ...request, policy, audit }, deps.pipeline.streamChunks)),
    finalitySecondsOf: (policy) => finalitySecondsOf(policy, deps.pipeline),
  };
}

/** The same request in another mode, with as many seats as it asks for or the mode's own number. */
function inMode(request: QuotedRequest, mode: PolicyMode): QuotedRequest {
  const { policy } = request;
  if (policy.mode === mode) return request;
  const n = isAlone(mode) || policy.n === 1 ? policyOfBody(mode).n : policy.n;
  return { ...request, policy: { ...policy, mode, n } };
}

/** One seat an operator, the one with the least stake. */
function seatsOf(deps: PipelineDeps, entries: readonly SnapshotEntry[], digest: Hash): Seat[] {
  const byStake = [...entries].sort((a, b) => (BigInt(a.stakeNano) < BigInt(b.stakeNano) ? -1 : 1));
  const perOperator = new Map<string, Seat>();
  for (const { address, operator } of byStake) {
    const seat = deps.registry.seatOf(address, digest);
    if (seat && !perOperator.has(operator)) perOperator.set(operator, seat);
  }
  return [...perOperator.values()];
}

/** The n eligible operators with the least at stake: whoever is drawn has no less. */
function weakest(eligible: readonly Seat[], entries: readonly SnapshotEntry[], n: number): Address[] {
  const stakeOf = new Map(entries.map(({ address, stakeNano }) => [address, BigInt(stakeNano)]));
  return [...eligible]
    .sort((a, b) => (stakeOf.get(a.address)! < stakeOf.get(b.address)! ? -1 : 1))
    .slice(0, n)
    .map(({ address }) => address);
}
