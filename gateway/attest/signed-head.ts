/**
 * The newest checkpoint that this gateway has signed, in a file beside the database (DESIGN §10). A database that was put back
 * from a copy is older than this file says, and must not sign: it would sign other roots for sizes that are out already.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Hash } from '#protocol/hash';
import { zHash } from '#protocol/schema';

/** Size and root of a signed checkpoint; `ZERO_HASH` where nothing was signed yet. */
export interface SignedHead {
  readonly size: number;
  readonly root: Hash;
}

/** Where the log keeper says what it signs. */
export interface HeadMark {
  /** Called with a checkpoint before its signature leaves. @throws {Error} where it cannot be written down */
  signed(head: SignedHead): void;
}

const FILE_NAME = 'signed-head';
/** A size of 16 digits and a root of 66 characters fit; rewritten whole, in one write, so that a kill leaves old or new. */
const RECORD_BYTES = 128;
const zHead = z.strictObject({ size: z.int().min(0), root: zHash });

/** What the file says: null where there is none, `damaged` where it says nothing that can be read. */
export function readSignedHead(folder: string): SignedHead | 'damaged' | null {
  let text: string;
  try {
    text = readFileSync(path.join(folder, FILE_NAME), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return zHead.parse(JSON.parse(text));
  } catch {
    return 'damaged';
  }
}

/** The file, opened for as long as the gateway runs. */
export class SignedHeadFile implements HeadMark {
  readonly #descriptor: number;
  #size = -1;

  constructor(folder: string) {
    // Not truncated: until the first write it says what it said.
    const file = path.join(folder, FILE_NAME);
    this.#descriptor = openSync(file, existsSync(file) ? 'r+' : 'w+', 0o600);
  }

  /**
   * Not flushed: a killed process loses nothing that it has written. A power failure may lose the last seconds of the file, never
   * of the database, and a file that is behind its database is as good.
   */
  signed({ size, root }: SignedHead): void {
    // Signatures may be asked for out of order; the largest size counts.
    if (size <= this.#size) return;
    writeSync(this.#descriptor, `${JSON.stringify({ size, root })}\n`.padEnd(RECORD_BYTES), 0);
    this.#size = size;
  }

  /** Puts the file to another state, durably; for the first start and for `assay restore`. */
  reset(head: SignedHead): void {
    this.#size = -1;
    this.signed(head);
    fsyncSync(this.#descriptor);
  }

  close(): void {
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
  }
}
