/** What cases before a chain's referees still need, whatever its retention (spec-chain.md C9.8). */
import { and, eq, gt, inArray, isNull, or } from 'drizzle-orm';
import { alias } from 'drizzle-orm/sqlite-core';
import type { Tx } from './handle.ts';
import { LIVE_CASES } from './schema/words.ts';

/** From the settlement of a conviction until what it led to is before the referees, or is given up: chains are looked at every few seconds. */
const ENTERING_MS = 86_400_000;

/** Disputes, and their requests, of cases that are not at their end: referees ask for bundle and attestation until then. */
export function inLiveCases({ db, tables: { disputes, chainCases } }: Tx) {
  const ofCases = eq(chainCases.disputeId, disputes.disputeId);
  const isLive = inArray(chainCases.state, [...LIVE_CASES]);
  return {
    disputeIds: db.select({ id: chainCases.disputeId }).from(chainCases).where(isLive),
    requestIds: db.select({ id: disputes.requestId }).from(chainCases).innerJoin(disputes, ofCases).where(isLive),
  };
}

/** Upheld disputes, and their requests, about answers that fell after a conviction, whose case waits for its settlement. */
export function waitingForConviction({ db, tables: { disputes, reexamined } }: Tx, nowMs: number) {
  const conviction = alias(disputes, 'conviction');
  const ofItem = and(eq(reexamined.accusedIn, disputes.disputeId), eq(disputes.ruling, 'upheld'));
  const ofConviction = eq(conviction.disputeId, reexamined.disputeId);
  const waits = or(isNull(conviction.settledAtMs), gt(conviction.settledAtMs, nowMs - ENTERING_MS));
  const select = (id: typeof disputes.disputeId | typeof disputes.requestId) =>
    db.select({ id }).from(reexamined).innerJoin(disputes, ofItem).innerJoin(conviction, ofConviction).where(waits);
  return { disputeIds: select(disputes.disputeId), requestIds: select(disputes.requestId) };
}
