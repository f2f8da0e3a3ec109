/**
 * Whether audits were kept as they were promised: offline, from the whole log and the statements that a client holds (SPEC.md §8.2).
 * Every draw that says "audit" has its entry, made as it was drawn, by whom it was drawn; and the draw itself was not chosen. Pure.
 */
import type { Statement, StatementWire } from './attestation.ts';
import { AuditDraw, type AuditTerms, auditCommitment } from './audit.ts';
import { choicesOf } from './choices.ts';
import { admittedOrder, type Snapshot, seatsFrom, snapshotHash } from './draw.ts';
import type { Hash } from './hash.ts';
import { type LogEntry, logLeaf, PPM } from './log.ts';
import type { OpenLog } from './log-copy.ts';
import { type Place, placeProblem, placesOf } from './logged-once.ts';
import { policyJsonSchema, policyOfJson } from './policy-json.ts';
import { safeParse } from './schema.ts';
import { answerEntry } from './verify-log.ts';
import { seatsOf } from './verify-record.ts';

/** What can be said of one promised choice. */
export const AUDIT_STATUSES = ['not drawn', 'done', 'pending', 'undone', 'broken'] as const;
export type AuditStatus = (typeof AUDIT_STATUSES)[number];

/** One choice of an audited answer. */
export interface ProvenAudit {
  readonly requestId: string;
  readonly choice: number;
  readonly ppm: number;
  readonly status: AuditStatus;
  /** What is broken or awaited; empty otherwise. */
  readonly detail: string;
}

/** An answer whose statement was verified: its draw, its seats, its signature. */
export interface PromisedAnswer {
  readonly statement: Statement;
  readonly wire: StatementWire;
  /** Of its epoch. */
  readonly snapshot: Snapshot;
}

type Epoch = Extract<LogEntry, { type: 'epoch' }>;
type Ended = Extract<LogEntry, { type: 'answer' | 'aborted' }>;

/** By choice; empty for an answer that promises nothing. */
export function proveAudits(log: OpenLog, answer: PromisedAnswer): ProvenAudit[] {
  const { statement } = answer;
  const { audit: terms, requestId } = statement;
  if (terms === undefined) return [];
  const { secret, broken } = ofPromise(log, answer, terms);
  return choicesOf(statement).map((choice, index) => {
    const proven = (status: AuditStatus, detail = '') => ({ requestId, choice: index, ppm: terms.ppm, status, detail });
    if (broken !== null) return proven('broken', broken);
    if (secret === null) return proven('pending', 'the draw is opened when the epoch is over');
    const draw = new AuditDraw(secret, {
      drawIndex: statement.draw.index,
      choice: index,
      bodyHash: statement.bodyHash,
    });
    if (!draw.isAudited(terms)) return proven('not drawn');
    return proven(...statusOf(log, answer, draw, choice, index));
  });
}

/** The secret of the epoch, or why the draw was none; null both while it is not opened. */
export interface OpenedSecret {
  readonly secret: Hash | null;
  readonly broken: string | null;
}

/** @param withinMs after which a smaller index has ended */
export function openedSecret(log: OpenLog, answer: PromisedAnswer, withinMs: number): OpenedSecret {
  const { statement, wire } = answer;
  const { draw } = statement;
  const broken = (text: string) => ({ secret: null, broken: text });
  if (wire.logIndex >= log.entries.length) return { secret: null, broken: null };
  if (logLeaf(log.entries[wire.logIndex]!) !== logLeaf(answerEntry(wire))) {
    return broken('the log has another entry in place of the answer');
  }
  const epochs = log.entries.filter((entry): entry is Epoch => entry.type === 'epoch' && entry.epoch === draw.epoch);
  const [epoch] = epochs;
  if (epochs.length !== 1 || epoch?.auditCommitment === undefined)
    return broken('the epoch has committed to no audits');
  if (snapshotHash(answer.snapshot) !== epoch.snapshotHash)
    return broken('the registry is not the one that was logged');
  const index = indexProblem(log, statement, withinMs);
  if (index !== null) return broken(index);
  const opened = log.entries.flatMap((entry) => (entry.type === 'audit' && entry.epoch === draw.epoch ? [entry] : []));
  const [first] = opened;
  if (first === undefined) return { secret: null, broken: null };
  if (opened.some(({ secret }) => auditCommitment(secret) !== epoch.auditCommitment)) {
    return broken('the opened key is not the one that was committed');
  }
  const orderedAtMs = Math.max(...seatsOf(statement).map(({ member }) => member.ticket.issuedAtMs));
  // Whoever knows the key knows who will be looked at.
  if (first.atMs < orderedAtMs) return broken('the key was opened before the answer was ordered');
  return { secret: first.secret, broken: null };
}

/** A promise below what the client had asked for is none. */
function ofPromise(log: OpenLog, answer: PromisedAnswer, { ppm, withinMs }: AuditTerms): OpenedSecret {
  const opened = openedSecret(log, answer, withinMs);
  const parsed = safeParse(policyJsonSchema, answer.statement.policy);
  const isKept = parsed.success && ppm >= Math.round((parsed.data.audit_rate ?? 0) * PPM);
  const isLogged = answer.wire.logIndex < log.entries.length;
  if (opened.broken !== null || !isLogged || isKept) return opened;
  return { secret: null, broken: 'the rate is below the one that was asked for' };
}

/** Indices are taken one after the other and each once: a gateway that picks its index picks its audits. */
function indexProblem(log: OpenLog, { requestId, draw }: Statement, withinMs: number): string | null {
  const ended = log.entries.filter(
    (entry): entry is Ended => (entry.type === 'answer' || entry.type === 'aborted') && entry.epoch === draw.epoch,
  );
  const same = ended.filter(({ drawIndex }) => drawIndex === draw.index);
  if (same.some((entry) => entry.requestId !== requestId)) return 'another request had the same draw';
  // A request that began before may still be running; long after the answer it is not.
  const isLongAgo = log.untilMs > same[0]!.atMs + withinMs;
  const before = new Set(ended.map(({ drawIndex }) => drawIndex).filter((index) => index < draw.index));
  return isLongAgo && before.size < draw.index ? 'draws before this one were left out' : null;
}

function statusOf(
  log: OpenLog,
  answer: PromisedAnswer,
  draw: AuditDraw,
  choice: Statement,
  index: number,
): [AuditStatus, string?] {
  const { statement } = answer;
  const { requestId, audit: terms, issuedAtMs } = statement;
  const untilMs = issuedAtMs + terms!.withinMs;
  const places = placesOf(log, 'audited', { requestId, choice: index });
  const [done] = places;
  if (done === undefined) {
    return log.untilMs > untilMs ? ['broken', 'the audit is missing'] : ['pending', 'the audit has time left'];
  }
  const { entry } = done;
  const misplaced = placeProblem(places, answer.wire.logIndex, 'audit');
  if (misplaced !== null) return ['broken', misplaced];
  if (entry.provider !== choice.served) return ['broken', 'the audit is about another provider'];
  if (entry.kind !== draw.kind(terms!)) return ['broken', `the draw asks for another audit than a ${entry.kind}`];
  const problem = auditorProblem(log, answer, draw, choice, done);
  if (problem !== null) return ['broken', problem];
  if (entry.outcome === 'undone') return ['undone', 'nobody could be had for it'];
  return entry.atMs > untilMs ? ['broken', 'the audit came too late'] : ['done', entry.outcome];
}

/** Who audits is the first of the drawn order; whoever was drawn before has an entry that says why it did not. */
function auditorProblem(
  log: OpenLog,
  { snapshot, statement }: PromisedAnswer,
  draw: AuditDraw,
  choice: Statement,
  { entry, at }: Place<'audited'>,
): string | null {
  const { modelDigest } = statement.request;
  const { filter } = policyOfJson(policyJsonSchema.parse(statement.policy));
  const order = admittedOrder(draw.auditors(snapshot, modelDigest), snapshot, modelDigest, filter);
  const members = seatsOf(choice).map(({ member }) => member);
  const drawn = seatsFrom(order, snapshot, order.length, {
    providers: new Set(members.map(({ provider }) => provider)),
    operators: new Set(members.map(({ operator }) => operator)),
  });
  const place = entry.auditor === null ? drawn.length : drawn.indexOf(entry.auditor);
  if (place < 0) return 'the auditor was not drawn';
  const told = entry.skipped.flatMap((index) => {
    const skip = index < at ? log.entries[index] : undefined;
    return skip?.type === 'skip' ? [skip.provider] : [];
  });
  const untold = drawn.slice(0, place).filter((provider) => !told.includes(provider));
  // One that nobody could be had for may have been given up before everybody was asked, by one whose time was over.
  return untold.length > 0 && entry.auditor !== null
    ? 'an auditor that was drawn before has no reason in the log'
    : null;
}
