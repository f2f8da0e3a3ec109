/** What a watcher reads over HTTP: a gateway's public log and disputes, its epoch keys, and providers' evidence. */
import { z } from 'zod';
import { zContradiction } from '#protocol/contradiction';
import type { Hash } from '#protocol/hash';
import { safeParse, zAddress, zHash, zU32 } from '#protocol/schema';
import { type TwoRoots, zTwoRootsReply } from '#protocol/two-roots';
import { CommandError, type CommandIo, callJson, callText } from '../cli/command-io.ts';
import type { OpenedKey } from './demands.ts';

type Io = Pick<CommandIo, 'fetch' | 'clock'>;

const zEntries = z.object({ data: z.array(z.object({ index: z.int().min(0), entry: z.unknown() })) });
const zDispute = z.object({ id: zHash, job_id: zHash, provider: zAddress, contradiction: z.unknown() });
const zDisputes = z.object({ data: z.array(zDispute) });
const zOpenedKey = z.object({ epoch: zU32, index: zU32, key: zHash, path: z.array(zHash).max(64) });

/** A dispute whose accused contradicts itself. */
export interface OpenContradiction {
  readonly jobId: Hash;
  readonly provider: `0x${string}`;
  readonly contradiction: z.output<typeof zContradiction>;
}

/** The newest checkpoint's note. @throws {CommandError} */
export async function readCheckpoint(io: Io, gateway: string): Promise<string> {
  const { status, text } = await callText(io, `${gateway}/v1/log/checkpoint`);
  if (status !== 200) throw new CommandError(`${gateway} gives no checkpoint (${status})`);
  return text;
}

/** Entries from `start` on, in order and without gaps, as many as one page has. @throws {CommandError} */
export async function readEntries(io: Io, gateway: string, start: number, end: number): Promise<unknown[]> {
  const parsed = safeParse(zEntries, (await callJson(io, `${gateway}/v1/log/entries?start=${start}&end=${end}`)).body);
  if (!parsed.success) throw new CommandError(`${gateway} gives no log entries`);
  const rows = parsed.data.data;
  const gap = rows.findIndex(({ index }, at) => index !== start + at);
  return rows.slice(0, gap < 0 ? rows.length : gap).map(({ entry }) => entry);
}

/** Contradictions in the newest public disputes; what is no contradiction is left out. @throws {CommandError} */
export async function readContradictions(io: Io, gateway: string): Promise<OpenContradiction[]> {
  const parsed = safeParse(zDisputes, (await callJson(io, `${gateway}/v1/disputes`)).body);
  if (!parsed.success) throw new CommandError(`${gateway} gives no list of disputes`);
  return parsed.data.data.flatMap(({ job_id: jobId, provider, contradiction }) => {
    const read = safeParse(zContradiction, contradiction);
    return read.success ? { jobId, provider, contradiction: read.data } : [];
  });
}

/** A draw key of an epoch that is over, as the gateway opens it; null where it does not. @throws {CommandError} */
export async function readEpochKey(io: Io, gateway: string, epoch: number, index: number): Promise<OpenedKey | null> {
  const parsed = safeParse(zOpenedKey, (await callJson(io, `${gateway}/v1/epochs/${epoch}/keys/${index}`)).body);
  return parsed.success && parsed.data.epoch === epoch && parsed.data.index === index ? parsed.data : null;
}

/** Rounds for which a provider was shown two roots. @throws {CommandError} */
export async function readTwoRoots(io: Io, provider: string): Promise<readonly TwoRoots[]> {
  const parsed = safeParse(zTwoRootsReply, (await callJson(io, `${provider}/v1/two-roots`)).body);
  return parsed.success ? parsed.data.items : [];
}
