/** Evidence of some hundred responses in one file: a key of 32 bytes, then per response a count and each position's evidence. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeEvidence, encodeEvidence, type TokenEvidence } from '#protocol/evidence';

/** A folder of parts that one engine made of one text. */
export interface PartStore {
  readonly folder: string;
}

const KEY_BYTES = 32;

function fileOf(store: PartStore, part: number): string {
  return path.join(store.folder, `${String(part).padStart(5, '0')}.evidence`);
}

/** @param key hex of 32 bytes: what the part is about. @returns null where there is no such part, or of something else */
export async function readPart(store: PartStore, part: number, key: string): Promise<TokenEvidence[][] | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(fileOf(store, part));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (bytes.subarray(0, KEY_BYTES).toString('hex') !== key) return null;
  const responses: TokenEvidence[][] = [];
  let at = KEY_BYTES;
  while (at < bytes.length) {
    const response: TokenEvidence[] = new Array(bytes.readUInt32BE(at));
    at += 4;
    for (let position = 0; position < response.length; position++) {
      const { evidence, end } = decodeEvidence(bytes, at);
      response[position] = evidence;
      at = end;
    }
    responses.push(response);
  }
  return responses;
}

/** Whole or not at all. */
export async function writePart(
  store: PartStore,
  part: number,
  key: string,
  responses: readonly (readonly TokenEvidence[])[],
): Promise<void> {
  const pieces: Uint8Array[] = [Buffer.from(key, 'hex')];
  for (const response of responses) {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(response.length);
    pieces.push(count, ...response.map((item, position) => encodeEvidence(position, item)));
  }
  await mkdir(store.folder, { recursive: true });
  const file = fileOf(store, part);
  await writeFile(`${file}.new`, Buffer.concat(pieces));
  await rename(`${file}.new`, file);
}
