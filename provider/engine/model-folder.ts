/** Reads a model folder in Hugging Face's layout: text files, where the weights are, and its digest (SPEC.md §4). */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Hash } from '#protocol/hash';
import { ZERO_HASH } from '#protocol/hash';
import type { ModelFiles } from '#protocol/request';
import { MODEL_FILE_PATHS, modelDigest, weightsHash } from '#protocol/request';
import type { TextModelFiles } from '#protocol/text';

/** A model folder, read. */
export interface ModelFolder {
  /** Base name of the folder, such as `minnow-5m`. */
  readonly name: string;
  readonly textFiles: TextModelFiles;
  /** The weights to run. */
  readonly weightsPath: string;
  /** Hashes of the files that decide an answer; `weights` is the reference, whichever variant runs. */
  readonly hashes: ModelFiles;
  readonly modelDigest: Hash;
}

/**
 * Reads and hashes a model folder.
 * @param folder holds config.json, tokenizer.json, tokenizer_config.json and weights; generation_config.json,
 * chat_template.jinja and external weights (files that begin like `model.onnx_data`) count where they exist.
 * @param weightsFile path inside the folder of the weights to run. The digest is that of `onnx/model.onnx` where the
 * folder has it, so that variants of one model (another precision) serve under the model's own digest.
 * @throws Error of node:fs when a file is missing, SyntaxError when one is not JSON.
 */
export async function readModelFolder(
  folder: string,
  weightsFile: string = MODEL_FILE_PATHS.weights,
): Promise<ModelFolder> {
  const weightsPath = path.join(folder, weightsFile);
  await access(weightsPath);
  const names = new Set(await readdir(folder));
  const config = await readText(path.join(folder, MODEL_FILE_PATHS.config));
  const tokenizer = await readText(path.join(folder, MODEL_FILE_PATHS.tokenizer));
  const tokenizerConfig = await readText(path.join(folder, MODEL_FILE_PATHS.tokenizerConfig));
  const optional = async (file: string): Promise<TextFile | null> =>
    names.has(file) ? readText(path.join(folder, file)) : null;
  const generationConfig = await optional(MODEL_FILE_PATHS.generationConfig);
  const chatTemplate = await optional(MODEL_FILE_PATHS.chatTemplate);
  const hashes: ModelFiles = {
    config: config.hash,
    tokenizer: tokenizer.hash,
    tokenizerConfig: tokenizerConfig.hash,
    generationConfig: generationConfig?.hash ?? ZERO_HASH,
    chatTemplate: chatTemplate?.hash ?? ZERO_HASH,
    weights:
      (await hashWeights(folder, MODEL_FILE_PATHS.weights)) ?? (await hashWeights(folder, weightsFile)) ?? ZERO_HASH,
  };
  return {
    name: path.basename(path.resolve(folder)),
    textFiles: {
      config: parseJson(config),
      tokenizer: parseJson(tokenizer),
      tokenizerConfig: parseJson(tokenizerConfig),
      ...(generationConfig === null ? {} : { generationConfig: parseJson(generationConfig) }),
      ...(chatTemplate === null ? {} : { chatTemplate: chatTemplate.text }),
    },
    weightsPath,
    hashes,
    modelDigest: modelDigest(hashes),
  };
}

interface TextFile {
  readonly text: string;
  readonly hash: Hash;
}

async function readText(file: string): Promise<TextFile> {
  const bytes = await readFile(file);
  return { text: bytes.toString('utf8'), hash: `0x${createHash('sha256').update(bytes).digest('hex')}` };
}

function parseJson({ text }: TextFile): unknown {
  return JSON.parse(text) as unknown;
}

/** `weightsHash` of a graph and its external data; null when the folder does not have it. */
async function hashWeights(folder: string, weightsFile: string): Promise<Hash | null> {
  const directory = path.join(folder, path.dirname(weightsFile));
  const base = path.basename(weightsFile);
  const names = await readdir(directory).catch((): string[] => []);
  if (!names.includes(base)) return null;
  const external = names.filter((name) => name.startsWith(`${base}_data`) || name.startsWith(`${base}.data`));
  const hashes: Hash[] = [];
  for (const name of external.sort()) hashes.push(await hashFile(path.join(directory, name)));
  return weightsHash(await hashFile(path.join(directory, base)), hashes);
}

/** SHA-256 without holding the file in memory; weights may have gigabytes. */
async function hashFile(file: string): Promise<Hash> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return `0x${hash.digest('hex')}`;
}
