/** Examinations against the log and the money: what was drawn is done or waits, and its provider has paid what its end says (SPEC.md §8.4, spec-money.md §11.8). */
import type { LogEntry } from '#protocol/log';
import { EXAMINATION_PREFIX, examinationFee, feeOf } from '../ledger/examination-fee.ts';
import type { WholeDatabase } from '../store/whole-database.ts';
import { type Damage, damage } from './damage.ts';

type Entries = readonly (LogEntry | null)[];
type Examination = WholeDatabase['examinations'][number];
type Item = WholeDatabase['examined'][number];
const wrong = (id: string | number, detail: string) => damage('examination_wrong', id, detail);

export function checkExaminations(rows: WholeDatabase, entries: Entries): Damage[] {
  const items = new Map<string, Item[]>();
  for (const item of rows.examined) items.set(item.examinationId, [...(items.get(item.examinationId) ?? []), item]);
  return [
    ...rows.examinations.flatMap((row) => checkExamination(row, items.get(row.examinationId) ?? [], entries)),
    ...rows.examined.flatMap((item) => checkItem(item, entries)),
    ...checkOrphans(rows, entries),
    ...checkFees(rows),
  ];
}

function checkExamination(row: Examination, items: readonly Item[], entries: Entries): Damage[] {
  const { examinationId: id, provider, occasion, endedAtMs, feeNano } = row;
  const begun = entries.find((entry) => entry?.type === 'examination' && entry.examination === id);
  const isBegun =
    begun?.type === 'examination' &&
    begun.provider === provider &&
    begun.occasion === occasion &&
    begun.drawn === items.length;
  const ended = entries.find((entry) => entry?.type === 'examination_end' && entry.examination === id);
  const isEnded =
    endedAtMs === null
      ? ended === undefined
      : ended?.type === 'examination_end' && ended.provider === provider && BigInt(ended.feeNano) === feeNano;
  const waiting = items.filter(({ logIndex }) => logIndex === null).length;
  return [
    ...(isBegun ? [] : [wrong(id, `${items.length} answers, not as its entry says`)]),
    ...(isEnded ? [] : [wrong(id, 'its end is not as the log says')]),
    ...((waiting === 0) === (endedAtMs !== null) ? [] : [wrong(id, `${waiting} wait`)]),
    ...(feeNano <= feeOf(items) ? [] : [wrong(id, `${feeNano} nano for work of ${feeOf(items)}`)]),
  ];
}

function checkItem(
  { requestId, choice, provider, examinationId, logIndex, outcome }: Item,
  entries: Entries,
): Damage[] {
  if (logIndex === null) return [];
  const entry = entries[logIndex] ?? null;
  const isOf =
    entry?.type === 'examined' &&
    entry.requestId === requestId &&
    entry.choice === choice &&
    entry.provider === provider &&
    entry.examination === examinationId &&
    entry.outcome === outcome;
  return isOf ? [] : [wrong(`${requestId}/${choice}`, `entry ${logIndex}`)];
}

function checkOrphans(rows: WholeDatabase, entries: Entries): Damage[] {
  const ids = new Set(rows.examinations.map(({ examinationId }) => examinationId));
  const items = new Set(rows.examined.flatMap(({ logIndex }) => logIndex ?? []));
  return entries.flatMap((entry, index) => {
    const isKnown =
      (entry?.type !== 'examined' || items.has(index)) &&
      ((entry?.type !== 'examination' && entry?.type !== 'examination_end') || ids.has(entry.examination));
    return isKnown ? [] : [damage('log_orphan', index, 'examination')];
  });
}

/** Each fee was paid once, by whom the examination was about, to the reserve; and nobody paid another. */
function checkFees(rows: WholeDatabase): Damage[] {
  const due = new Map(
    rows.examinations
      .filter(({ feeNano }) => feeNano > 0n)
      .map(({ examinationId, provider, feeNano }) => {
        const { id, postings } = examinationFee(examinationId, provider, feeNano);
        return [id, textOf(postings)] as const;
      }),
  );
  const paid = new Set(rows.transfers.filter(({ id }) => id.startsWith(EXAMINATION_PREFIX)).map(({ id }) => id));
  return [...new Set([...due.keys(), ...paid])].flatMap((id) => {
    const postings = rows.postings.filter(({ transferId }) => transferId === id);
    return paid.has(id) && due.get(id) === textOf(postings) ? [] : [wrong(id, 'the fee was not paid as it was logged')];
  });
}

function textOf(postings: readonly { readonly account: string; readonly amountNano: bigint }[]): string {
  return postings
    .map(({ account, amountNano }) => `${account} ${amountNano}`)
    .sort()
    .join();
}
