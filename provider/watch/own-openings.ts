/** Openings of this provider's own chunks: from the provider while it runs, else from its store. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Domain } from '#protocol/eip712';
import type { Hash } from '#protocol/hash';
import { zRevealEvent } from '#protocol/messages';
import { signCall } from '#protocol/provider-call';
import { safeParse } from '#protocol/schema';
import type { Signer } from '#protocol/signer';
import type { Opening } from '#protocol/typed';
import { CommandError, type CommandIo, callJson } from '../cli/command-io.ts';
import type { ProviderConfig } from '../config.ts';
import { openingPath } from '../openings.ts';
import { providerMigrationsFolder } from '../store/migrations.ts';
import { openSqliteStore } from '../store/sqlite.ts';

const zReply = z.object({ opening: zRevealEvent.shape.opening });

export interface OwnOpenings {
  readonly config: Pick<ProviderConfig, 'host' | 'port' | 'dataFolder'>;
  readonly signer: Signer;
  readonly domain: Domain;
  readonly io: Pick<CommandIo, 'fetch' | 'clock' | 'rng'>;
}

/** @returns null where neither has it. @throws {CommandError} where the store cannot be opened */
export async function ownOpening(own: OwnOpenings, commitment: Hash): Promise<Opening | null> {
  const { host, port } = own.config;
  const running = await askProvider(own, `http://${host.includes(':') ? `[${host}]` : host}:${port}`, commitment);
  return running === undefined ? openStored(own.config.dataFolder, commitment) : running;
}

/** Undefined where no provider answers. */
async function askProvider({ signer, domain, io }: OwnOpenings, url: string, commitment: Hash) {
  const path = openingPath(commitment);
  const parts = { method: 'GET', path, body: new Uint8Array(0) };
  const by = { domain, signer, gateway: signer.address, nowMs: io.clock.nowMs(), rng: io.rng };
  try {
    const { status, body } = await callJson(io, `${url}${path}`, { headers: signCall(parts, by) });
    const parsed = safeParse(zReply, body);
    return status === 200 && parsed.success ? parsed.data.opening : null;
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

function openStored(dataFolder: string, commitment: Hash): Opening | null {
  const file = path.join(dataFolder, 'jobs.sqlite');
  if (!existsSync(file)) return null;
  try {
    const store = openSqliteStore({ path: file, migrationsFolder: providerMigrationsFolder() });
    try {
      return store.openingOf(commitment) ?? null;
    } finally {
      store.close();
    }
  } catch {
    throw new CommandError(`${file} cannot be read`);
  }
}
