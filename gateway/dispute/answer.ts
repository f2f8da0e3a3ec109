/** The accused answers a ruling within the time for appeal, and the dispute is judged again (DESIGN §8; spec-judge.md §7.7). */
import { canonicalJson } from '#protocol/canonical';
import { ANSWER_KIND, answerBody, answerMove, type DisputeAnswer } from '#protocol/dispute-answer';
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import { type Address, type Hash, toHex } from '#protocol/hash';
import { CALL_SKEW_MS } from '#protocol/provider-call';
import { digests } from '#protocol/typed';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Issuer } from '../round/plan.ts';
import { answerRuling, ruleDispute } from '../store/change-dispute.ts';
import { type DisputeRow, disputeById, disputeMoves } from '../store/disputes-repo.ts';
import type { Store } from '../store/handle.ts';
import { bundleProblem } from './authentic.ts';
import { type DisputeBundle, type DisputeBundleWire, scoreEvidenceOf, zDisputeBundle } from './bundle.ts';
import type { DisputeDesk } from './desk.ts';
import { evidencePositions, findingOf, proofNeeded } from './finding.ts';
import { followRuling } from './follow.ts';
import { signMove } from './moves.ts';

/** Each is a public move and may ask the referee once more: enough for what a broken connection had kept back. */
export const ANSWERS_MAX = 4;

export interface AnswerDeps extends Issuer {
  readonly store: Store;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly desk: DisputeDesk;
  readonly recover: (digest: Uint8Array, signature: `0x${string}`) => Address | null;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
}

/** What the accused may still do. */
export interface AnswerOpening {
  /** Until when an answer is taken; null where none is. */
  readonly untilMs: number | null;
  readonly left: number;
  /** Positions whose evidence it was asked for and has not opened. */
  readonly positions: readonly number[];
}

/** What may be answered to a dispute as it stands. */
export function answerOpening(
  row: DisputeRow,
  answers: number,
  { clock, desk }: Pick<AnswerDeps, 'clock' | 'desk'>,
): AnswerOpening {
  const isOpen = row.state === 'ruled' && (row.appealUntilMs ?? 0) > clock.nowMs() && row.bundleJson !== null;
  if (!isOpen) return { untilMs: null, left: 0, positions: [] };
  const bundle = zDisputeBundle.parse(JSON.parse(row.bundleJson!));
  return { untilMs: row.appealUntilMs, left: Math.max(0, ANSWERS_MAX - answers), positions: unopened(bundle, desk) };
}

function unopened(bundle: DisputeBundle, desk: DisputeDesk): number[] {
  if (!proofNeeded(bundle.fault, bundle.reason)) return [];
  const shown = new Set((bundle.opened ?? []).map(({ position }) => position));
  return evidencePositions(bundle, desk.courtFor(bundle)).filter((position) => !shown.has(position));
}

/**
 * Takes the accused's answer: evidence under its own sealed roots, at positions that it was asked for and had not opened. What was
 * opened before stays: an answer adds, it replaces nothing. The ruling's time for appeal does not begin again.
 * @throws {ProtocolError} not_found, evidence_expired, rate_limit_exceeded, invalid_request, storage_unavailable
 */
export async function answerDispute(
  deps: AnswerDeps,
  provider: Address,
  disputeId: Hash,
  answer: DisputeAnswer,
): Promise<void> {
  const { store, desk, stopping } = deps;
  const { row, answers } = await store.read(async (handle) => ({
    row: await disputeById(handle, disputeId),
    answers: (await disputeMoves(handle, disputeId)).filter(({ kind }) => kind === ANSWER_KIND).length,
  }));
  // Somebody else's dispute is as unknown as none.
  if (row?.provider !== provider) throw new ProtocolError('not_found', 'There is no such dispute.');
  checkSigned(deps, provider, disputeId, answer);
  const { untilMs, left } = answerOpening(row, answers, deps);
  if (untilMs === null) {
    const unruled = row.state === 'opened' || row.state === 'evidence';
    if (unruled) throw new ProtocolError('queue_full', 'The dispute is not ruled yet.', { retryable: true });
    throw new ProtocolError('evidence_expired', 'The ruling is final.');
  }
  if (left === 0) throw new ProtocolError('invalid_request', `A dispute takes ${ANSWERS_MAX} answers.`);
  const before = row.bundleJson!;
  const wire = JSON.parse(before) as DisputeBundleWire;
  const bundle = zDisputeBundle.parse(wire);
  // A referee that could not be had at the first ruling may be there now; its score says which evidence matters.
  const score = proofNeeded(bundle.fault, bundle.reason) ? await desk.refereeScore(bundle, stopping) : null;
  const scored = { ...wire, scores: [...wire.scores, ...(score ? [scoreEvidenceOf(score)] : [])] };
  const joined = withItems(scored, answer, desk);
  const judged = zDisputeBundle.parse(joined);
  const court = desk.courtFor(judged);
  // A bundle that does not hold together convicts nobody: the accused must not be able to make it one.
  if (bundleProblem(judged, court) !== bundleProblem(bundle, court)) {
    throw new ProtocolError('invalid_request', 'The evidence is not under the sealed roots.', { param: 'items' });
  }
  await rule(deps, row, answer, { before, judged, joined });
}

function checkSigned({ domain, recover, clock }: AnswerDeps, provider: Address, id: Hash, answer: DisputeAnswer): void {
  const digest = digests.disputeMove(domain, answerMove(id, answer.items, answer.atMs));
  const isNow = Math.abs(answer.atMs - clock.nowMs()) <= CALL_SKEW_MS;
  if (isNow && recover(digest, answer.signature) === provider) return;
  throw new ProtocolError('invalid_request', 'The accused has not signed this move now.', { param: 'signature' });
}

/** Evidence at wanted positions that were not opened, each once. */
function withItems(wire: DisputeBundleWire, { items }: DisputeAnswer, desk: DisputeDesk): DisputeBundleWire {
  const wanted = new Set(unopened(zDisputeBundle.parse(wire), desk));
  const added = items.filter(({ position }) => wanted.delete(position));
  if (added.length !== items.length) {
    throw new ProtocolError('invalid_request', 'An item is at a position that is not asked for.', { param: 'items' });
  }
  if (added.length === 0) return wire;
  const opened = added.map(({ position, evidence, path }) => ({ position, evidence, path }));
  return { ...wire, opened: [...(wire.opened ?? []), ...opened] };
}

async function rule(
  deps: AnswerDeps,
  row: DisputeRow,
  answer: DisputeAnswer,
  { before, judged, joined }: { before: string; judged: DisputeBundle; joined: DisputeBundleWire },
): Promise<void> {
  const { store, log, clock, desk, domain } = deps;
  const disputeId = judged.disputeId;
  const atMs = clock.nowMs();
  const { ruling, finding } = findingOf(judged, desk.courtFor(judged));
  const body = { ruling, reason: finding?.reason ?? null, count: finding?.count ?? null };
  const ruled = signMove(deps, disputeId, 'ruled', body, atMs);
  const moveHash = toHex(digests.disputeMove(domain, answerMove(disputeId, answer.items, answer.atMs)));
  await store.withTx(async (tx) => {
    await answerRuling(tx, disputeId, {
      before,
      bundleJson: canonicalJson({ ...joined, finding }),
      move: { kind: ANSWER_KIND, moveJson: answerBody(answer.items), signature: answer.signature, atMs: answer.atMs },
    });
    await log.append(tx, { type: 'dispute', disputeId, moveHash, kind: ANSWER_KIND, atMs: answer.atMs });
    if (ruling === row.ruling) return;
    await ruleDispute(tx, disputeId, { ruling, appealUntilMs: row.appealUntilMs!, move: ruled.move });
    await log.append(tx, ruled.entry);
    await followRuling(tx, { ...deps, reexamine: desk.reexamine }, judged, ruling, atMs);
  });
  if (ruling !== row.ruling) desk.ruledAgain(judged, ruling);
}
