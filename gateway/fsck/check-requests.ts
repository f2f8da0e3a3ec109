/** Requests, draws and epochs against the log: every end is logged once, and the log tells of nothing else (SPEC.md §8, §9). */
import { snapshotHash } from '#protocol/draw';
import type { LogEntry } from '#protocol/log';
import type { WholeDatabase } from '../store/whole-database.ts';
import { type Damage, damage } from './damage.ts';

type Entries = readonly (LogEntry | null)[];

export function checkRequests(rows: WholeDatabase, entries: Entries): Damage[] {
  const ended = rows.requests.flatMap((request) => {
    const { requestId, state, logIndex, epoch, drawIndex } = request;
    if (state === 'accepted' || state === 'running') return [];
    const entry = logIndex === null ? null : (entries[logIndex] ?? null);
    const type = state === 'settled' ? 'answer' : 'aborted';
    const matches =
      entry?.type === type &&
      entry.requestId === requestId &&
      entry.epoch === epoch &&
      entry.drawIndex === drawIndex &&
      (entry.type !== 'aborted' || entry.code === request.errorCode);
    return matches ? [] : [damage('request_log_wrong', requestId, `${state} at log index ${logIndex}`)];
  });
  return [...ended, ...checkOrphans(rows, entries), ...checkDraws(rows), ...checkEpochs(rows, entries)];
}

/** Entries whose request or epoch is unknown or ended elsewhere; disputes are checked with their moves. */
function checkOrphans(rows: WholeDatabase, entries: Entries): Damage[] {
  const endOf = new Map(rows.requests.map(({ requestId, logIndex }) => [requestId, logIndex]));
  const epochAt = new Map(rows.epochs.map(({ epoch, logIndex }) => [epoch, logIndex]));
  return entries.flatMap((entry, index) => {
    if (entry?.type === 'answer' || entry?.type === 'aborted') {
      return endOf.get(entry.requestId) === index ? [] : [damage('log_orphan', index, `${entry.type} of no request`)];
    }
    if (entry?.type === 'epoch' && epochAt.get(entry.epoch) !== index) {
      return [damage('log_orphan', index, `epoch ${entry.epoch}`)];
    }
    return [];
  });
}

function checkDraws(rows: WholeDatabase): Damage[] {
  const found: Damage[] = [];
  const taken = new Map<number, number>();
  for (const { epoch, drawIndex } of rows.draws) {
    const next = taken.get(epoch) ?? 0;
    if (drawIndex !== next) found.push(damage('draw_wrong', `${epoch}/${next}`, 'the draw is missing'));
    taken.set(epoch, drawIndex + 1);
  }
  for (const { epoch, drawSize } of rows.epochs) {
    const counted = rows.counters.find(({ name }) => name === `draw:${epoch}`)?.next ?? 0;
    const count = taken.get(epoch) ?? 0;
    // An epoch that was closed early counts as used up.
    if (counted !== count && counted !== drawSize) {
      found.push(damage('draw_wrong', epoch, `${count} draws, ${counted} counted`));
    }
  }
  const byRequest = new Map(rows.draws.map((draw) => [draw.requestId, draw]));
  for (const { requestId, state, epoch, drawIndex } of rows.requests) {
    const draw = byRequest.get(requestId);
    byRequest.delete(requestId);
    const wanted = state === 'failed' ? 'aborted' : 'used';
    const matches = draw?.epoch === epoch && draw.drawIndex === drawIndex && draw.state === wanted;
    if (!matches) found.push(damage('draw_wrong', requestId, `${state} over draw ${epoch}/${drawIndex}`));
  }
  for (const [requestId] of byRequest) found.push(damage('draw_wrong', requestId, 'draw of no request'));
  return found;
}

function checkEpochs(rows: WholeDatabase, entries: Entries): Damage[] {
  return rows.epochs.flatMap(({ epoch, logIndex, drawRoot, drawSize, snapshotHash: stored, snapshotJson }) => {
    const entry = entries[logIndex] ?? null;
    const matches =
      entry?.type === 'epoch' &&
      entry.epoch === epoch &&
      entry.drawRoot === drawRoot &&
      entry.drawSize === drawSize &&
      entry.snapshotHash === stored;
    if (!matches) return [damage('epoch_wrong', epoch, `log index ${logIndex}`)];
    return hashOfSnapshot(snapshotJson) === stored ? [] : [damage('epoch_wrong', epoch, 'snapshot')];
  });
}

function hashOfSnapshot(text: string): string | null {
  try {
    return snapshotHash(JSON.parse(text));
  } catch {
    return null;
  }
}
