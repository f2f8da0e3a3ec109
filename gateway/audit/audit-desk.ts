/**
 * Audits from the answer that promises them to their entry in the log: what is due is durable with the answer, so that a crash loses
 * none, and ends in one transaction, so that none is done twice (SPEC.md §8.1).
 */
import type { AuditOutcome } from '#protocol/audit-words';
import { ProtocolError } from '#protocol/errors';
import { type Hash, ZERO_HASH } from '#protocol/hash';
import type { LogEntry } from '#protocol/log';
import { policyJsonSchema, policyOfJson } from '#protocol/policy-json';
import type { SecretBox } from '../committee/epochs.ts';
import { tellVerified } from '../events/client-events.ts';
import type { OpenedEvidence } from '../evidence/opened.ts';
import type { ModelEntry } from '../openai/answer.ts';
import type { PipelineDeps, Running } from '../round/accept.ts';
import { argue } from '../round/accuse.ts';
import { askOpenings } from '../round/ask-openings.ts';
import type { AttemptResult } from '../round/attempt.ts';
import type { SealedMember } from '../round/member.ts';
import { type AuditRow, dueAudits, endAudit, insertAudit, isAuditOpen, putOffAudit } from '../store/audits-repo.ts';
import type { Tx } from '../store/handle.ts';
import { requestById } from '../store/requests-repo.ts';
import { AuditJournal } from './audit-journal.ts';
import { openWork, sealWork } from './audit-work.ts';
import { auditDrawOf, auditorsOf } from './auditors.ts';
import { DueWork } from './due-work.ts';
import { enterFound } from './fresh-task.ts';
import type { Lull } from './lull.ts';
import { AUDIT_REASON, type AuditFound, type AuditTask, tryAudit } from './perform-audit.ts';

/** From a try that found nobody to the next. */
const AGAIN_MS = 60_000;
/** Audits at one time: they wait behind what clients wait for. */
const RUNNING_MAX = 8;

export interface AuditDeskDeps {
  readonly box: SecretBox;
  /** By its id. */
  readonly modelOf: (id: string) => ModelEntry | null;
  readonly lull: Lull;
  /** Of the present: under the signing key of now. */
  readonly pipeline: () => PipelineDeps;
}

export class AuditDesk {
  readonly #deps: AuditDeskDeps;
  readonly #work: DueWork<AuditRow>;
  /** What generators opened for audits that wait; a restart forgets it, and the audit goes without. */
  readonly #opened = new Map<string, Promise<OpenedEvidence | null>>();
  /** Whether something was written down that was due at once, and whether a lull is waited for. */
  #isFresh = false;
  #waits = false;

  constructor(deps: AuditDeskDeps) {
    this.#deps = deps;
    this.#work = new DueWork({
      runningMax: RUNNING_MAX,
      keyOf,
      due: (limit) => {
        const { store, clock } = deps.pipeline();
        return store.read((handle) => dueAudits(handle, clock.nowMs(), limit));
      },
      // One by one in a lull: whoever asks meanwhile is beside one of them and not beside many.
      mayBegin: (row, running) => this.#isLate(row) || (running === 0 && deps.lull.isNow),
      run: (row) => this.#run(row),
      background: (work) => deps.pipeline().background(work),
      onFree: () => (deps.pipeline().stopping.aborted ? undefined : this.runDue()),
    });
  }

  /** Writes down which choices of an answer are audited, in the transaction that settles it. */
  async record(tx: Tx, running: Running, results: readonly AttemptResult[], answeredAtMs: number): Promise<void> {
    const { audit: terms, epoch, drawIndex, request } = running;
    if (terms === null) return;
    const { delayMs } = this.#deps.pipeline().pipeline.audits;
    for (const [choice, { served }] of results.entries()) {
      const draw = auditDrawOf({ epoch, drawIndex, choice, bodyHash: request.bodyHash });
      if (!draw.isAudited(terms)) continue;
      const { plan, attempt } = running.choices[choice]!;
      const dueAtMs = answeredAtMs + draw.delayMs(delayMs);
      if (dueAtMs === answeredAtMs) this.#isFresh = true;
      await insertAudit(tx, {
        requestId: request.requestId,
        choice,
        provider: served.seat.address,
        kind: draw.kind(terms),
        dueAtMs,
        deadlineMs: answeredAtMs + terms.withinMs,
        sealedWork: sealWork(this.#deps.box, {
          plan,
          member: served,
          involved: attempt.members.map(({ seat }) => seat),
        }),
      });
    }
  }

  /**
   * Asks who answered for the evidence that the draw says: at once, whether or not the answer is audited, and of a committee every member. After the
   * answer, too, nobody learns by it whether it was alone or is audited. Called after `record`.
   */
  open({ audit: terms, epoch, drawIndex, request, choices }: Running, choice: number, served: SealedMember): void {
    const deps = this.#deps.pipeline();
    const draw = auditDrawOf({ epoch, drawIndex, choice, bodyHash: request.bodyHash });
    const ask = (member: SealedMember) => {
      const opened = askOpenings(deps, member, draw);
      deps.background(opened.then(() => undefined));
      return opened;
    };
    if (terms === null) {
      for (const member of choices[choice]!.attempt.members) ask(member);
      return;
    }
    const opened = ask(served).catch(() => null);
    if (!draw.isAudited(terms) || draw.kind(terms) !== 'score') return;
    this.#opened.set(keyOf({ requestId: request.requestId, choice }), opened);
  }

  /** Begins what an answer has left that is due at once, as soon as no client waits. */
  async answered(): Promise<void> {
    if (!this.#isFresh) return;
    this.#isFresh = false;
    await this.runDue();
  }

  /** Begins what is due and may begin, the rest in the next lull; called after answers and audits, on a timer and at a start. */
  async runDue(): Promise<void> {
    if ((await this.#work.begin()) && !this.#waits) {
      this.#waits = true;
      this.#deps.pipeline().background(this.#nextLull());
    }
  }

  async #nextLull(): Promise<void> {
    const { stopping } = this.#deps.pipeline();
    try {
      await this.#deps.lull.next(stopping);
    } catch (error) {
      if (!stopping.aborted) throw error;
      return;
    } finally {
      this.#waits = false;
    }
    await this.runDue();
  }

  /** Whether it has waited for a lull as long as it may: then it runs beside whoever asks. */
  #isLate({ dueAtMs, deadlineMs }: AuditRow): boolean {
    const { clock, pipeline } = this.#deps.pipeline();
    return clock.nowMs() >= Math.min(dueAtMs + (pipeline.audits.patienceMs ?? 0), deadlineMs);
  }

  async #run(row: AuditRow): Promise<void> {
    const deps = this.#deps.pipeline();
    try {
      const task = await this.#taskOf(deps, row);
      const found = await tryAudit(deps, task);
      if (found !== null) return await this.#finish(deps, row, task, found);
      await this.#putOff(deps, row, task);
    } catch (error) {
      if (deps.stopping.aborted) return;
      // A reserve that pays for no audit now is asked again; the clients' money for it waits.
      await deps.store.withTx((tx) => putOffAudit(tx, row, deps.clock.nowMs() + AGAIN_MS));
      if (!(error instanceof ProtocolError && error.code === 'reserve_empty')) throw error;
    }
  }

  async #taskOf(deps: PipelineDeps, row: AuditRow): Promise<AuditTask> {
    const { store, clock, log } = deps;
    const request = (await store.read((handle) => requestById(handle, row.requestId)))!;
    const policy = policyOfJson(policyJsonSchema.parse(JSON.parse(request.policyJson)));
    const epoch = (await deps.epochs.byNumber(request.epoch))!;
    const bodyHash = request.bodyHash as Hash;
    const draw = auditDrawOf({ epoch, drawIndex: request.drawIndex, choice: row.choice, bodyHash });
    const pool = { draw, snapshot: epoch.snapshot, filter: policy.filter };
    const model = this.#modelNamed(request.model);
    const answer = openWork(this.#deps.box, row.sealedWork!, request, model, deps);
    const { promptIds, maxTokens, sampling } = answer.plan;
    const shape = { price: request, seats: policy.n, choices: 1, inputTokens: promptIds.length, maxTokens };
    const journalOf = () =>
      new AuditJournal({ store, clock, log, requestId: row.requestId, choice: row.choice, shape });
    const journal = journalOf();
    const auditors = await auditorsOf(deps, journal, pool, answer, row.kind === 'score');
    const rules = { maxTokens, stop: sampling.stop, text: model.text };
    const canWait = clock.nowMs() < row.deadlineMs;
    const opened = (await this.#opened.get(keyOf(row))) ?? null;
    const how = { kind: row.kind, rules, auditors, canWait, opened, reason: AUDIT_REASON };
    return { ...answer, ...how, journal, confirming: journalOf() };
  }

  #modelNamed(id: string): ModelEntry {
    const model = this.#deps.modelOf(id);
    if (model === null) throw new ProtocolError('model_not_found', 'The model of an audit is not served any more.');
    return model;
  }

  /** Money, disputes, the log's entry and the row's end: all of it or nothing. */
  async #finish(deps: PipelineDeps, row: AuditRow, task: AuditTask, found: AuditFound): Promise<void> {
    const { store, log, clock } = deps;
    for (const { accusation } of found.accused) accusation.member.standing = 'rejected';
    const entry = await store.withTx(async (tx) => {
      if (!(await isAuditOpen(tx, row))) return null;
      await enterFound(tx, deps, task, found, true);
      const { auditor, outcome, evidenceHash, skipped } = found;
      const done = { ...entryOf(row, clock.nowMs(), outcome), auditor, evidenceHash, skipped: [...skipped] };
      await endAudit(tx, row, { outcome, logIndex: await log.append(tx, done) });
      if (outcome === 'held') await tellVerified(tx, row, 'audit', done.atMs);
      return done;
    });
    task.journal.paid();
    this.#opened.delete(keyOf(row));
    if (entry !== null) deps.rates.count(entry);
    argue(
      deps,
      found.accused.map(({ accusation }) => accusation),
    );
  }

  /** Nobody could be had: later, or never, which the log then says. */
  async #putOff(deps: PipelineDeps, row: AuditRow, task: AuditTask): Promise<void> {
    const { store, log, clock } = deps;
    const nowMs = clock.nowMs();
    if (nowMs < row.deadlineMs) {
      await store.withTx((tx) => putOffAudit(tx, row, Math.min(row.deadlineMs, nowMs + AGAIN_MS)));
      return;
    }
    const { skipped } = task.auditors;
    this.#opened.delete(keyOf(row));
    await store.withTx(async (tx) => {
      if (!(await isAuditOpen(tx, row))) return;
      const logIndex = await log.append(tx, { ...entryOf(row, nowMs, 'undone'), skipped });
      await endAudit(tx, row, { outcome: 'undone', logIndex });
    });
  }
}

function keyOf({ requestId, choice }: Pick<AuditRow, 'requestId' | 'choice'>): string {
  return `${requestId}/${choice}`;
}

function entryOf(
  { requestId, choice, provider, kind }: AuditRow,
  atMs: number,
  outcome: AuditOutcome,
): Extract<LogEntry, { type: 'audited' }> {
  const audited = provider as Extract<LogEntry, { type: 'audited' }>['provider'];
  return {
    type: 'audited',
    requestId,
    choice,
    provider: audited,
    kind,
    auditor: null,
    outcome,
    evidenceHash: ZERO_HASH,
    skipped: [],
    atMs,
  };
}
