/** Opens the examinations that there is an occasion for, and ends those of which everything was looked at (SPEC.md §8.4). */
import type { Rng } from '#protocol/env';
import { type Address, type Hash, toHex } from '#protocol/hash';
import type { LogEntry } from '#protocol/log';
import type { LogKeeper } from '../attest/log-keeper.ts';
import { examinationFee, feeOf } from '../ledger/examination-fee.ts';
import { least } from '../ledger/least.ts';
import { PAY_DELAY_MS } from '../ledger/retained.ts';
import { accountOfKey, stakeRow } from '../store/chain-state-repo.ts';
import {
  endExamination,
  examinationById,
  examinedOf,
  insertExamination,
  loneAnswersSince,
  loneSpan,
  newestExamination,
} from '../store/examinations-repo.ts';
import type { Handle, Tx } from '../store/handle.ts';
import { applyTransfer } from '../store/ledger-repo.ts';
import { listProviders } from '../store/providers-repo.ts';
import { unexaminedAnswers } from '../store/reexamine-repo.ts';
import { retainedNano } from '../store/retained-pay.ts';
import { drawAnswers, occasionOf } from './occasion.ts';

/** Kept answers that are drawn from: the newest of a provider that has more. */
const CANDIDATES_MAX = 10_000;

export interface OpenDeps {
  readonly log: Pick<LogKeeper, 'append'>;
  readonly rng: Rng;
}

/** Times in milliseconds. */
export interface ExamineLimits {
  /** Longest time that answers are kept; 0 for none. */
  readonly windowMs: number;
  /** From the beginning until what nobody could look at is given up: no pay waits longer. */
  readonly withinMs: number;
}

type ProviderRow = Awaited<ReturnType<typeof listProviders>>[number];

/** Providers that there is an occasion for. */
export async function dueProviders(handle: Handle, windowMs: number, nowMs: number): Promise<readonly Address[]> {
  if (windowMs === 0) return [];
  const due: Address[] = [];
  for (const row of await listProviders(handle)) {
    if ((await occasionFor(handle, row, windowMs, nowMs)) !== null) due.push(row.address as Address);
  }
  return due;
}

async function occasionFor(handle: Handle, row: ProviderRow, windowMs: number, nowMs: number) {
  const span = await loneSpan(handle, row, nowMs);
  const newest = await newestExamination(handle, row.address);
  if (span === null || (newest !== null && newest.endedAtMs === null)) return null;
  const isLeaving = row.status === 'left' || (await isUnstaking(handle, row.address as Address));
  const examinedAtMs = newest?.beganAtMs ?? null;
  const answers = await loneAnswersSince(handle, row, examinedAtMs ?? 0, nowMs);
  return occasionOf({ span, isLeaving, examinedAtMs, answers, windowMs, nowMs });
}

/** All of its stake on the chain is on its way out. */
async function isUnstaking(handle: Handle, provider: Address): Promise<boolean> {
  const account = await accountOfKey(handle, provider);
  const stake = account === null ? null : await stakeRow(handle, account);
  return stake !== null && BigInt(stake.activeBase) === 0n && BigInt(stake.queuedBase) > 0n;
}

/** Draws what is examined, once for an occasion: what waits is durable with the draw, and none of the pay leaves from here on. */
export async function openExamination(
  tx: Tx,
  { log, rng }: OpenDeps,
  provider: Address,
  { windowMs, withinMs }: ExamineLimits,
  nowMs: number,
): Promise<void> {
  const row = (await listProviders(tx)).find(({ address }) => address === provider);
  const occasion = row && (await occasionFor(tx, row, windowMs, nowMs));
  if (!row || !occasion) return;
  const { operator } = row;
  // Of who was never examined all pay is there, however old.
  const fromMs = (await newestExamination(tx, provider)) === null ? 0 : nowMs - PAY_DELAY_MS;
  const kept = await unexaminedAnswers(tx, { operator, fromMs, nowMs }, CANDIDATES_MAX);
  const candidates = kept.filter((one) => one.provider === provider && one.mode !== 'witnessed');
  const drawn = drawAnswers(candidates, rng.bytes(32));
  const examinationId = toHex(rng.bytes(32));
  const when = { beganAtMs: nowMs, deadlineMs: nowMs + withinMs };
  await insertExamination(tx, { examinationId, provider, operator, occasion, ...when }, drawn);
  const about = { examination: examinationId, provider, occasion };
  const entry: LogEntry = { type: 'examination', ...about, drawn: drawn.length, of: candidates.length, atMs: nowMs };
  await log.append(tx, entry);
  await endIfExamined(tx, { log }, examinationId, nowMs);
}

/** The fee is taken while the pay is still held back; it is never more than that. */
export async function endIfExamined(
  tx: Tx,
  { log }: Pick<OpenDeps, 'log'>,
  examinationId: Hash,
  nowMs: number,
): Promise<void> {
  const answers = await examinedOf(tx, examinationId);
  if (answers.some(({ logIndex }) => logIndex === null)) return;
  const { provider } = (await examinationById(tx, examinationId))!;
  const feeNano = least(feeOf(answers), await retainedNano(tx, provider, nowMs));
  if (feeNano > 0n) await applyTransfer(tx, examinationFee(examinationId, provider, feeNano), nowMs);
  await endExamination(tx, examinationId, { endedAtMs: nowMs, feeNano });
  const end = { examination: examinationId, provider: provider as Address, feeNano: feeNano.toString(), atMs: nowMs };
  await log.append(tx, { type: 'examination_end', ...end });
}
