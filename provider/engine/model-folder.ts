/** Reads a model folder from disk: text files, where the weights to run are, and its digest (SPEC.md §4). */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type FolderReader, type ReadModel, readModel } from '#protocol/model-folder';
import { MODEL_FILE_PATHS } from '#protocol/request';

/** A model folder, read. */
export interface ModelFolder extends ReadModel {
  /** Base name of the folder, such as `minnow-5m`. */
  readonly name: string;
  /** The weights to run. */
  readonly weightsPath: string;
}

/**
 * Reads and hashes a model folder.
 * @param weightsFile path inside the folder of the weights to run. The digest is that of `onnx/model.onnx` where the
 * folder has it, so that variants of one model (another precision) serve under the model's own digest.
 * @throws Error when a file is missing (of node:fs for the weights), SyntaxError when one is not JSON.
 */
export async function readModelFolder(
  folder: string,
  weightsFile: string = MODEL_FILE_PATHS.weights,
): Promise<ModelFolder> {
  const weightsPath = path.join(folder, weightsFile);
  await access(weightsPath);
  const model = await readModel(readerOf(folder), weightsFile);
  return { ...model, name: path.basename(path.resolve(folder)), weightsPath };
}

function readerOf(folder: string): FolderReader {
  const orElse =
    <T>(fallback: T) =>
    (error: NodeJS.ErrnoException): T => {
      if (error.code === 'ENOENT') return fallback;
      throw error;
    };
  return {
    text: (file) => readFile(path.join(folder, file), 'utf8').catch(orElse<string | null>(null)),
    list: (directory) => readdir(path.join(folder, directory)).catch(orElse<string[]>([])),
    /** Piece by piece: weights may have gigabytes. */
    async hash(file) {
      const hash = createHash('sha256');
      for await (const piece of createReadStream(path.join(folder, file))) hash.update(piece as Buffer);
      return `0x${hash.digest('hex')}`;
    },
  };
}
