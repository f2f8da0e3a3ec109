/** Who audits one choice: an order that was drawn before anybody knew of it, and why some of it are passed over (SPEC.md §8.1). */
import { AuditDraw, auditSecret } from '#protocol/audit';
import { admittedOrder, type Snapshot, seatsFrom } from '#protocol/draw';
import { type Address, type Hash, ZERO_HASH } from '#protocol/hash';
import { AUDITORS_MAX } from '#protocol/log';
import type { Policy } from '#protocol/policy';
import type { CandidateSkip } from '../committee/capability-skips.ts';
import type { OpenEpoch } from '../committee/epochs.ts';
import { passedOver } from '../committee/passed-over.ts';
import type { Seat } from '../committee/seat.ts';
import type { PipelineDeps } from '../round/accept.ts';
import type { LateJournal } from '../round/late-journal.ts';
import type { AuditedAnswer } from './audit-work.ts';

/** Which draw it is, and for whom it is made. */
export interface AuditPlace {
  readonly epoch: OpenEpoch;
  readonly drawIndex: number;
  readonly choice: number;
  readonly bodyHash: Hash;
}

/** The draw of an audit. */
export function auditDrawOf({ epoch, drawIndex, choice, bodyHash }: AuditPlace): AuditDraw {
  return new AuditDraw(auditSecret(epoch.secret, epoch.epoch), { drawIndex, choice, bodyHash });
}

/** Candidates one after the other; whoever is passed over is in the log before the next is asked. */
export class Auditors {
  readonly #deps: Pick<PipelineDeps, 'clock' | 'registry'>;
  readonly #journal: LateJournal;
  readonly #modelDigest: Hash;
  readonly #waiting: Address[];
  readonly #unfit: ReadonlyMap<Address, CandidateSkip>;
  readonly #skipped: number[] = [];

  constructor(
    deps: Pick<PipelineDeps, 'clock' | 'registry'>,
    journal: LateJournal,
    drawn: { readonly modelDigest: Hash; readonly order: readonly Address[]; readonly unfit: readonly CandidateSkip[] },
  ) {
    this.#deps = deps;
    this.#journal = journal;
    this.#modelDigest = drawn.modelDigest;
    this.#waiting = drawn.order.slice(0, AUDITORS_MAX);
    this.#unfit = new Map(drawn.unfit.map((skip) => [skip.provider, skip]));
  }

  /** Entries of the log that say why those so far were passed over. */
  get skipped(): number[] {
    return [...this.#skipped];
  }

  /** The next that can be asked, or null. */
  async next(): Promise<Seat | null> {
    for (let address = this.#waiting.shift(); address !== undefined; address = this.#waiting.shift()) {
      const unfit = this.#unfit.get(address);
      const seat = unfit ? null : this.#deps.registry.seatOf(address, this.#modelDigest);
      if (seat !== null) return seat;
      if (unfit) this.#skipped.push(unfit.logIndex);
      else await this.passOver(address, 'left', this.#deps.registry.manifestHashOf(address) ?? ZERO_HASH);
    }
    return null;
  }

  /** The next without a word about those before: for whom is asked beside the auditor. */
  nextScorer(): Seat | null {
    for (let address = this.#waiting.shift(); address !== undefined; address = this.#waiting.shift()) {
      const isFit = !this.#unfit.has(address) && this.#deps.registry.canScore(address);
      const seat = isFit ? this.#deps.registry.seatOf(address, this.#modelDigest) : null;
      if (seat !== null) return seat;
    }
    return null;
  }

  /** Of those that somebody else has logged. */
  passedOver(skips: readonly Pick<CandidateSkip, 'logIndex'>[]): void {
    this.#skipped.push(...skips.map(({ logIndex }) => logIndex));
  }

  async passOver(provider: Address, reason: string, evidenceHash: Hash): Promise<void> {
    const atMs = this.#deps.clock.nowMs();
    this.#skipped.push(await this.#journal.candidateSkipped({ provider, reason, evidenceHash, atMs }));
  }
}

/** Out of whom auditors are drawn, and by what. */
export interface AuditorPool {
  readonly draw: AuditDraw;
  readonly snapshot: Snapshot;
  readonly filter: Policy['filter'];
}

/** Those that the policy admits, one an operator, without whom had a part in the answer. */
export async function auditorsOf(
  deps: PipelineDeps,
  journal: LateJournal,
  { draw, snapshot, filter }: AuditorPool,
  { plan, involved }: AuditedAnswer,
  isScore: boolean,
): Promise<Auditors> {
  const { modelDigest, sampling, logprobs } = plan;
  const drawn = draw.auditors(snapshot, modelDigest);
  const admitted = admittedOrder(drawn, snapshot, modelDigest, filter);
  const order = seatsFrom(admitted, snapshot, admitted.length, {
    providers: new Set(involved.map(({ address }) => address)),
    operators: new Set(involved.map(({ operator }) => operator)),
  });
  const seats = order.flatMap((address) => deps.registry.seatOf(address, modelDigest) ?? []);
  // As for a witness: who audits by a score must score, and needs no log-probabilities.
  const needs = isScore
    ? { sampling, logprobs: null, policy: { mode: 'witnessed' as const } }
    : { sampling, logprobs: logprobs?.top ?? null, policy: { mode: 'single' as const } };
  const unable = await deps.skips.of(modelDigest, needs);
  return new Auditors(deps, journal, {
    modelDigest,
    order,
    unfit: passedOver(seats, unable, deps.breakers.skips(), 1),
  });
}
