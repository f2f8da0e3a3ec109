/** Who can be tried over a choice: those that have had nothing to do with it, in an order that was drawn before anybody knew of it (SPEC.md §8.1). */
import type { AuditDraw } from '#protocol/audit';
import { seatsFrom } from '#protocol/draw';
import type { Address } from '#protocol/hash';
import type { Sampling } from '#protocol/sampling';
import type { Seat } from '../committee/seat.ts';
import type { PipelineDeps, Running } from './accept.ts';
import { ableEntries, admittedEntries } from './eligible.ts';

/** Those of the audit's own order that could sit and score, one an operator. @param sampling of what they would answer */
export async function uninvolved(
  deps: PipelineDeps,
  running: Running,
  choice: number,
  audit: AuditDraw,
  sampling: Sampling = running.request.sampling,
): Promise<readonly Seat[]> {
  const { registry, skips, breakers } = deps;
  const { epoch, request, audit: terms } = running;
  const { digest } = request.model;
  const { members, scores } = running.choices[choice]!.attempt;
  const involved = [...members.map(({ seat }) => seat), ...scores.map(({ scorer }) => scorer)];
  const excluded = {
    providers: new Set(involved.map(({ address }) => address)),
    operators: new Set(involved.map(({ operator }) => operator)),
  };
  const unable = [...(await skips.of(digest, { ...request, sampling })), ...breakers.skips()];
  const able = new Set(
    ableEntries(registry, admittedEntries(epoch.snapshot, digest, request.policy), digest, unable)
      .map(({ address }) => address)
      .filter((address) => registry.canScore(address)),
  );
  const fitOf = (order: readonly Address[]) => {
    const fit = order.filter((address) => able.has(address));
    return seatsFrom(fit, epoch.snapshot, fit.length, excluded);
  };
  // Who audits the answer sees it whole and right: a second order about it would tell which of the two is none of a client's.
  const [auditor] = terms !== null && audit.isAudited(terms) ? fitOf(audit.auditors(epoch.snapshot, digest)) : [];
  if (auditor !== undefined) excluded.operators.add(registry.operatorOf(auditor) ?? '');
  return fitOf(audit.order(epoch.snapshot, digest)).flatMap((address) => registry.seatOf(address, digest) ?? []);
}
