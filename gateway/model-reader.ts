/** Reads model folders from disk: the gateway renders and tokenises with them, it never runs them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FolderReader } from '#protocol/model-folder';

/** A reader of one folder. */
export function folderReader(folder: string): FolderReader {
  const orNull = <T>(error: NodeJS.ErrnoException, fallback: T): T => {
    if (error.code === 'ENOENT') return fallback;
    throw error;
  };
  return {
    text: (file) => readFile(path.join(folder, file), 'utf8').catch((error) => orNull<string | null>(error, null)),
    list: (directory) => readdir(path.join(folder, directory)).catch((error) => orNull<string[]>(error, [])),
    async hash(file) {
      const hash = createHash('sha256');
      for await (const piece of createReadStream(path.join(folder, file))) hash.update(piece as Buffer);
      return `0x${hash.digest('hex')}`;
    },
  };
}
