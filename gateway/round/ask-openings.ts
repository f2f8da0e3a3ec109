/** Asks a generator for committed evidence at drawn positions, after its answer (spec-judge.md §7.10). */
import type { AuditDraw } from '#protocol/audit';
import { isOpenedBy, type OpenedEvidence, positionsBy } from '../evidence/opened.ts';
import type { PipelineDeps } from './accept.ts';
import { openEvidence } from './compare.ts';
import type { SealedMember } from './member.ts';

/**
 * What it has opened; null where the draw asks for nothing, or where it does not open what it sealed. Silence counts against its breaker like a job
 * that failed: a network may lose a message, and who is silent every time is asked for nothing any more.
 */
export async function askOpenings(
  deps: PipelineDeps,
  member: SealedMember,
  draw: AuditDraw,
): Promise<OpenedEvidence | null> {
  const { tokens, claim, openings, seat } = member;
  if (!isOpenedBy(draw) || claim === null || tokens.length === 0) return null;
  const positions = positionsBy(draw, tokens.length);
  const report = deps.breakers.sent(seat.address);
  try {
    const opened = await openEvidence(deps, member, positions, deps.stopping);
    if (opened === null) {
      report.failed();
      return null;
    }
    report.answered();
    const items = [...opened].map(([position, { evidence, path }]) => {
      return { position, chunkIndex: chunkOf(openings, position), evidence, path: [...path] };
    });
    return { openings: [...openings], items };
  } finally {
    report.dropped();
  }
}

function chunkOf(openings: SealedMember['openings'], position: number): number {
  let left = position;
  return openings.findIndex(({ tokenCount }) => {
    left -= tokenCount;
    return left < 0;
  });
}
