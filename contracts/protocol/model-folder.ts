/** A model folder in Hugging Face's layout, read through whatever can read files: text files and digest (SPEC.md §4). */
import { type Hash, sha256, toHex, utf8, ZERO_HASH } from './hash.ts';
import { MODEL_FILE_PATHS, type ModelFiles, modelDigest, weightsHash } from './request.ts';
import type { TextModelFiles } from './text.ts';

/** The two things that reading a model needs; paths are relative to the folder. */
export interface FolderReader {
  /** Null where the file does not exist. */
  text(path: string): Promise<string | null>;
  /** SHA-256 of a file that may not fit into memory. */
  hash(path: string): Promise<Hash>;
  /** Names in a directory of the folder; empty where it does not exist. */
  list(directory: string): Promise<readonly string[]>;
}

export interface ReadModel {
  readonly textFiles: TextModelFiles;
  /** Hashes of the files that decide an answer; `weights` is the reference, whichever variant runs. */
  readonly hashes: ModelFiles;
  readonly modelDigest: Hash;
}

/**
 * Reads and hashes a model folder: config.json, tokenizer.json, tokenizer_config.json and weights; generation_config.json,
 * chat_template.jinja and external weights count where they exist.
 * @param weightsFile used for the digest only where the folder lacks `onnx/model.onnx`, so that variants of one model
 * (another precision) serve under the model's own digest
 * @throws {Error} where a file is missing, {SyntaxError} where one is not JSON
 */
export async function readModel(
  reader: FolderReader,
  weightsFile: string = MODEL_FILE_PATHS.weights,
): Promise<ReadModel> {
  const required = async (path: string): Promise<string> => {
    const text = await reader.text(path);
    if (text === null) throw new Error(`the model folder has no ${path}`);
    return text;
  };
  const config = await required(MODEL_FILE_PATHS.config);
  const tokenizer = await required(MODEL_FILE_PATHS.tokenizer);
  const tokenizerConfig = await required(MODEL_FILE_PATHS.tokenizerConfig);
  const generationConfig = await reader.text(MODEL_FILE_PATHS.generationConfig);
  const chatTemplate = await reader.text(MODEL_FILE_PATHS.chatTemplate);
  const hashes: ModelFiles = {
    config: hashText(config),
    tokenizer: hashText(tokenizer),
    tokenizerConfig: hashText(tokenizerConfig),
    generationConfig: hashText(generationConfig),
    chatTemplate: hashText(chatTemplate),
    weights:
      (await hashWeights(reader, MODEL_FILE_PATHS.weights)) ?? (await hashWeights(reader, weightsFile)) ?? ZERO_HASH,
  };
  const parse = (text: string): unknown => JSON.parse(text) as unknown;
  return {
    textFiles: {
      config: parse(config),
      tokenizer: parse(tokenizer),
      tokenizerConfig: parse(tokenizerConfig),
      ...(generationConfig === null ? {} : { generationConfig: parse(generationConfig) }),
      ...(chatTemplate === null ? {} : { chatTemplate }),
    },
    hashes,
    modelDigest: modelDigest(hashes),
  };
}

function hashText(text: string | null): Hash {
  return text === null ? ZERO_HASH : toHex(sha256(utf8(text)));
}

/** `weightsHash` of a graph and its external data; null where the folder does not have it. */
async function hashWeights(reader: FolderReader, file: string): Promise<Hash | null> {
  const slash = file.lastIndexOf('/');
  const directory = slash < 0 ? '' : file.slice(0, slash);
  const base = file.slice(slash + 1);
  const names = await reader.list(directory);
  if (!names.includes(base)) return null;
  const prefix = directory === '' ? '' : `${directory}/`;
  const external = names.filter((name) => name.startsWith(`${base}_data`) || name.startsWith(`${base}.data`)).sort();
  const hashes: Hash[] = [];
  for (const name of external) hashes.push(await reader.hash(prefix + name));
  return weightsHash(await reader.hash(prefix + base), hashes);
}
