/** The dispute desk: gathers evidence, asks the referee, rules, settles; every step can be taken up after a crash (DESIGN §8). */
import type { Calibration } from '#protocol/calibration';
import { canonicalJson } from '#protocol/canonical';
import type { Hash } from '#protocol/hash';
import { ticketToWire } from '#protocol/messages';
import type { TextModel } from '#protocol/text';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Registry } from '../committee/registry.ts';
import { DEFAULT_SPLIT, type Ruling } from '../ledger/dispute-money.ts';
import { isProviderFault } from '../ledger/penalties.ts';
import { generatingJobMaxNano, scoringJobMaxNano } from '../ledger/price.ts';
import type { ReexamineLimits } from '../reexamine/open.ts';
import { openEvidence } from '../round/compare.ts';
import type { AttemptPlan, Issuer } from '../round/plan.ts';
import { type ScoringDeps, type TakenScore, takeScore } from '../round/scoring.ts';
import type { IssuedJob } from '../round/wave.ts';
import { addEvidence, ruleDispute, settleRuledDispute } from '../store/change-dispute.ts';
import { disputeById, listDisputes, settleableDisputes } from '../store/disputes-repo.ts';
import type { Store } from '../store/handle.ts';
import { jobById, jobsOfRequest } from '../store/jobs-repo.ts';
import { payLateWork, recordLateJobs } from '../store/late-work.ts';
import { recordSteps } from '../store/record-work.ts';
import { type DisputeBundle, type DisputeBundleWire, scoreEvidenceOf, zDisputeBundle } from './bundle.ts';
import { type Court, evidencePositions, type Finding, findingOf, proofNeeded } from './finding.ts';
import { followRuling, followSettlement } from './follow.ts';
import { signMove } from './moves.ts';
import { rightOf } from './right.ts';

/** One lost connection must not let the accused go; three in a row are an outage, and the dispute is abandoned. */
const REFEREE_TRIES = 3;

export interface DeskDeps extends Issuer, Omit<ScoringDeps, 'journal'> {
  readonly store: Store;
  readonly log: LogKeeper;
  readonly registry: Registry;
  /** The text side of a model by its digest; null for one that is not served any more. */
  readonly textOf: (modelDigest: Hash) => TextModel | null;
  /** A calibration by its hash, in force or not any more; null for one that is not in any model's folder. */
  readonly calibrationOf: (hash: Hash) => Calibration | null;
  readonly limits: { readonly roundTimeoutMs: number };
  /** From a ruling to the moment it is final. */
  readonly appealMs: number;
  readonly reexamine: ReexamineLimits;
  /** Told of every move. */
  readonly onMove?: (move: DeskMove) => void;
}

export interface DeskMove {
  readonly disputeId: string;
  readonly provider: string;
  readonly kind: 'evidence' | 'ruled' | 'settled';
  readonly fault: string;
  readonly ruling: Ruling | null;
  readonly divergesAt: number | null;
  readonly slashedNano: bigint | null;
}

export class DisputeDesk {
  readonly #deps: DeskDeps;

  constructor(deps: DeskDeps) {
    this.#deps = deps;
  }

  /** Takes up everything that is not settled: what a crash interrupted, and what has become final. */
  async work(signal: AbortSignal): Promise<void> {
    const open = await this.#deps.store.read((handle) => listDisputes(handle, { limit: 1000 }));
    const unruled = open.filter(({ state }) => state === 'opened' || state === 'evidence');
    await eachInTurn(unruled, (row) => this.process(row.disputeId as Hash, signal));
    await this.settleDue();
  }

  /** Evidence and ruling of one dispute. */
  async process(disputeId: Hash, signal: AbortSignal): Promise<void> {
    const row = await this.#deps.store.read((handle) => disputeById(handle, disputeId));
    if (!row || row.bundleJson === null || (row.state !== 'opened' && row.state !== 'evidence')) return;
    const wire = JSON.parse(row.bundleJson) as DisputeBundleWire;
    const complete = proofNeeded(wire.fault, wire.reason) ? await this.#gather(wire, signal) : wire;
    const bundle = zDisputeBundle.parse(complete);
    const finding = findingOf(bundle, this.courtFor(bundle));
    await this.#rule(bundle, { ...complete, finding: finding.finding }, finding);
  }

  courtFor(bundle: DisputeBundle): Court {
    const { domain, recover, textOf, calibrationOf } = this.#deps;
    return { domain, recover, calibrationOf, text: textOf(bundle.terms.modelDigest) };
  }

  /** Tells of a ruling that took the place of another. */
  ruledAgain(bundle: DisputeBundle, ruling: Ruling): void {
    this.#tell(bundle, 'ruled', ruling, null);
  }

  /** Opens the accused's own evidence and takes the referee's score. */
  async #gather(wire: DisputeBundleWire, signal: AbortSignal): Promise<DisputeBundleWire> {
    const bundle = zDisputeBundle.parse(wire);
    const { accused } = bundle;
    const transcript = { ...accused, jobId: accused.ticket.jobId, seat: { url: accused.url } };
    // The score comes first: evidence is asked for where judges object, and the accused does not choose where.
    const score = await this.refereeScore(bundle, signal);
    const added = score ? [scoreEvidenceOf(score)] : [];
    const positions = evidencePositions({ ...bundle, scores: [...bundle.scores, ...added] }, this.#deps);
    const opened = await openEvidence(this.#deps, transcript, positions, signal);
    return {
      ...wire,
      opened: [...(opened ?? new Map())].map(([position, item]) => ({ position, ...item })),
      scores: [...wire.scores, ...added],
    };
  }

  /** The referee's score of the accused's tokens, paid; null where it has scored them, or cannot be had. */
  async refereeScore(bundle: DisputeBundle, signal: AbortSignal): Promise<TakenScore | null> {
    const { registry } = this.#deps;
    const referee = registry.referee(bundle.terms.modelDigest);
    if (!referee || bundle.scores.some((score) => score.role === 'referee')) return null;
    const { accused } = bundle;
    const plan = planOf(bundle, this.#deps);
    const shape = {
      price: plan,
      seats: 1,
      choices: 1,
      inputTokens: plan.promptIds.length,
      maxTokens: Math.max(plan.maxTokens, 1),
    };
    const maxNano = scoringJobMaxNano(shape) + generatingJobMaxNano({ ...shape, maxTokens: 1 });
    const issued: Hash[] = [];
    const journal = {
      jobsIssued: (jobs: readonly IssuedJob[]) => {
        issued.push(...jobs.map((job) => job.issued.ticket.jobId));
        return this.#lateJobs(plan, accused.ticket.jobId, jobs, maxNano);
      },
    };
    const target = {
      seat: { ...accused, address: accused.provider },
      tokens: accused.tokens,
    };
    const deps = { ...this.#deps, journal };
    for (let tries = 0; tries < REFEREE_TRIES; tries++) {
      const score = await takeScore(deps, plan, { seat: referee, role: 'referee' }, target, signal);
      if (score) {
        await this.#payReferee(score);
        return score;
      }
      await this.#releaseCovers(issued.splice(0));
    }
    return null;
  }

  /** What was set aside for work that never came goes back to the reserve. */
  async #releaseCovers(jobIds: readonly Hash[]): Promise<void> {
    const { store, clock } = this.#deps;
    await store.withTx(async (tx) => {
      for (const jobId of jobIds) await payLateWork(tx, jobId, clock.nowMs());
    });
  }

  async #lateJobs(plan: AttemptPlan, about: Hash, jobs: readonly IssuedJob[], maxNano: bigint): Promise<void> {
    const { store, clock } = this.#deps;
    const accused = await store.read((handle) => jobById(handle, about));
    const rows = jobs.map(({ seat, role, issued: { ticket } }) => ({
      jobId: ticket.jobId,
      roundId: ticket.roundId,
      choice: accused?.choice ?? 0,
      wave: 1,
      provider: seat.address,
      role,
      seat: 0,
      slot: 0,
      ticketJson: canonicalJson(ticketToWire(ticket)),
      ticketSignature: null,
      inputTokens: plan.promptIds.length,
      maxNano,
    }));
    await store.withTx((tx) => recordLateJobs(tx, plan.requestId, rows, clock.nowMs()));
  }

  async #payReferee(score: TakenScore): Promise<void> {
    const { store, clock } = this.#deps;
    const { jobId } = score.reply.score;
    const atMs = clock.nowMs();
    const claimJson = canonicalJson({ score: score.reply.score, signature: score.reply.signature });
    await store.withTx(async (tx) => {
      await recordSteps(tx, [{ kind: 'scored', jobId, claimJson, scoredTokens: score.tokens.length, atMs }]);
      await payLateWork(tx, jobId, atMs);
    });
  }

  async #rule(bundle: DisputeBundle, wire: DisputeBundleWire, { ruling, finding }: Finding): Promise<void> {
    const { store, clock, log, appealMs } = this.#deps;
    const { disputeId } = bundle;
    const atMs = clock.nowMs();
    const evidence = signMove(
      this.#deps,
      disputeId,
      'evidence',
      { scores: bundle.scores.length, opened: bundle.opened?.length ?? null },
      atMs,
    );
    const ruled = signMove(
      this.#deps,
      disputeId,
      'ruled',
      { ruling, reason: finding?.reason ?? null, count: finding?.count ?? null },
      atMs,
    );
    await store.withTx(async (tx) => {
      await addEvidence(tx, disputeId, { bundleJson: canonicalJson(wire), move: evidence.move });
      await ruleDispute(tx, disputeId, { ruling, appealUntilMs: atMs + appealMs, move: ruled.move });
      await log.append(tx, evidence.entry);
      await log.append(tx, ruled.entry);
      await followRuling(tx, this.#deps, bundle, ruling, atMs);
    });
    this.#tell(bundle, 'ruled', ruling, null);
  }

  /** Moves the money of every ruling that has become final; a conviction's waits for what it led to, which may end with it. */
  async settleDue(): Promise<void> {
    const { store, clock } = this.#deps;
    for (let settled = -1; settled !== 0; ) {
      const due = await store.read((handle) => settleableDisputes(handle, clock.nowMs()));
      settled = 0;
      await eachInTurn(due, async (row) => {
        if (await this.#settle(row.disputeId as Hash)) settled++;
      });
    }
  }

  /** How far convictions are followed up. */
  get reexamine(): ReexamineLimits {
    return this.#deps.reexamine;
  }

  /** @returns whether its money has moved now */
  async #settle(disputeId: Hash): Promise<boolean> {
    const { store, clock, log } = this.#deps;
    const atMs = clock.nowMs();
    const settled = signMove(this.#deps, disputeId, 'settled', {}, atMs);
    const { row, ending } = await store.withTx(async (tx) => {
      const found = (await disputeById(tx, disputeId))!;
      // The timer and the end of a request may both come for the same money.
      if (found.state !== 'ruled') return { row: found, ending: { outcome: 'too_early' as const } };
      const accused = await jobById(tx, found.jobId);
      const all = await jobsOfRequest(tx, found.requestId);
      const judges = all.filter((job) => job.role === 'referee' && job.choice === accused?.choice);
      const end = await settleRuledDispute(tx, disputeId, {
        right: rightOf(all, accused),
        judges: [...new Set(judges.map((job) => job.provider))],
        split: DEFAULT_SPLIT,
        move: settled.move,
      });
      if (end.outcome === 'settled') {
        await log.append(tx, settled.entry);
        await followSettlement(tx, found, end.settlement, atMs);
      }
      return { row: found, ending: end };
    });
    if (ending.outcome !== 'settled') return false;
    const slashedNano = row.ruling === 'upheld' && isProviderFault(row.fault) ? row.frozenNano : 0n;
    const bundle = row.bundleJson === null ? null : zDisputeBundle.parse(JSON.parse(row.bundleJson));
    if (bundle) this.#tell(bundle, 'settled', row.ruling, slashedNano);
    return true;
  }

  #tell(bundle: DisputeBundle, kind: DeskMove['kind'], ruling: Ruling | null, slashedNano: bigint | null): void {
    const { disputeId, fault, accused, served } = bundle;
    const divergesAt = served?.divergesAt ?? null;
    this.#deps.onMove?.({ disputeId, provider: accused.provider, kind, fault, ruling, divergesAt, slashedNano });
  }
}

/** The attempt's plan, taken from the bundle, with fresh times: a referee's ticket is issued now. */
function planOf(
  bundle: DisputeBundle,
  { clock, calibrationOf }: Pick<DeskDeps, 'clock' | 'calibrationOf'>,
): AttemptPlan {
  const nowMs = clock.nowMs();
  const { accused, calibration: hash } = bundle;
  const calibration = hash === null ? null : calibrationOf(hash);
  // Only what was generated came with log-probabilities; a score does not.
  const { logprobs: _, ...terms } = bundle.terms;
  return {
    ...terms,
    requestId: bundle.requestId,
    calibration: calibration && { hash: hash!, calibration },
    seed: BigInt(terms.seed),
    inputNanoPerMtok: accused.ticket.inputNanoPerMtok,
    outputNanoPerMtok: accused.ticket.outputNanoPerMtok,
    issuedAtMs: nowMs,
    jobsEndAtMs: nowMs,
    expiresAtMs: nowMs + (accused.ticket.expiresAtMs - accused.ticket.issuedAtMs),
    retainUntilMs: nowMs + (accused.ticket.retainUntilMs - accused.ticket.issuedAtMs),
  };
}

/** Every item in turn: one that fails does not keep the others waiting. @throws what failed first, at the end */
async function eachInTurn<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const item of items) await work(item).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
