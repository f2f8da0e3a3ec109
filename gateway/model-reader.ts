/** Reads model folders from disk: the gateway renders and tokenises with them, it never runs them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type KnownCalibration, known, parseCalibration } from '#protocol/calibration';
import type { Hash } from '#protocol/hash';
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

/** Where `assay calibrate` writes, inside the model folder. */
const CALIBRATIONS = 'calibration';

/**
 * The folder's calibrations by name, which begins with their date: the last is in force, the others are those of open disputes.
 * @throws {Error} where a file is no calibration, or that of another model: a gateway must not judge by what it cannot read
 */
export async function readCalibrations(reader: FolderReader, modelDigest: Hash): Promise<KnownCalibration[]> {
  const names = (await reader.list(CALIBRATIONS)).filter((name) => name.endsWith('.json')).sort();
  return Promise.all(
    names.map(async (name) => {
      const calibration = parseCalibration(jsonOf((await reader.text(`${CALIBRATIONS}/${name}`)) ?? ''));
      if (calibration === null) throw new Error(`${CALIBRATIONS}/${name} is no calibration`);
      if (calibration.modelDigest !== modelDigest) throw new Error(`${CALIBRATIONS}/${name} is of another model`);
      return known(calibration);
    }),
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
