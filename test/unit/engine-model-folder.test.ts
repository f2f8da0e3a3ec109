import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ZERO_HASH } from '#protocol/hash';
import { readModelFolder } from '../../provider/engine/model-folder.ts';

const SMALL = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-1m', import.meta.url));
let work: string;
beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'assay-folder-'));
});
afterAll(async () => rm(work, { recursive: true }));

/** A copy of minnow-1m's folder with one change. */
async function changed(name: string, change: (folder: string) => Promise<void>): Promise<string> {
  const folder = path.join(work, name);
  await cp(SMALL, folder, { recursive: true });
  await change(folder);
  return folder;
}
const digestOf = async (folder: string, file?: string) => (await readModelFolder(folder, file)).modelDigest;

describe('readModelFolder', () => {
  it('hashes every file that decides an answer', async () => {
    const { hashes, name } = await readModelFolder(SMALL);
    const hash = async (file: string): Promise<string> =>
      `0x${createHash('sha256')
        .update(await readFile(path.join(SMALL, file)))
        .digest('hex')}`;
    expect(name).toBe('minnow-1m');
    expect(hashes).toEqual({
      config: await hash('config.json'),
      tokenizer: await hash('tokenizer.json'),
      tokenizerConfig: await hash('tokenizer_config.json'),
      generationConfig: await hash('generation_config.json'),
      chatTemplate: ZERO_HASH,
      weights: await hash('onnx/model.onnx'),
    });
  });

  it('changes the digest with any of them, external weights included', async () => {
    const digests = new Set([await digestOf(SMALL)]);
    const changes: [string, (folder: string) => Promise<void>][] = [
      ['template', (folder) => writeFile(path.join(folder, 'chat_template.jinja'), 'x')],
      ['generation', (folder) => rm(path.join(folder, 'generation_config.json'))],
      ['external', (folder) => writeFile(path.join(folder, 'onnx/model.onnx_data'), 'x')],
      ['weights', (folder) => writeFile(path.join(folder, 'onnx/model.onnx'), 'x')],
    ];
    for (const [name, change] of changes) digests.add(await digestOf(await changed(name, change)));
    expect(digests.size).toBe(changes.length + 1);
  });

  it('serves a variant under the digest of the reference weights', async () => {
    const folder = await changed('variant', (to) => writeFile(path.join(to, 'onnx/model_fp16.onnx'), 'other'));
    expect(await digestOf(folder, 'onnx/model_fp16.onnx')).toBe(await digestOf(SMALL));
    expect((await readModelFolder(folder, 'onnx/model_fp16.onnx')).weightsPath).toMatch(/model_fp16\.onnx$/);
  });

  it('takes the variant as the reference where there is no other', async () => {
    const folder = await changed('only-variant', async (to) => {
      await writeFile(path.join(to, 'onnx/model_q4.onnx'), 'only');
      await rm(path.join(to, 'onnx/model.onnx'));
    });
    const { hashes } = await readModelFolder(folder, 'onnx/model_q4.onnx');
    expect(hashes.weights).toBe(`0x${createHash('sha256').update('only').digest('hex')}`);
  });

  it('fails when a file is missing', async () => {
    const folder = await changed('missing', (to) => rm(path.join(to, 'tokenizer.json')));
    await expect(readModelFolder(folder)).rejects.toThrow('the model folder has no tokenizer.json');
    await expect(readModelFolder(SMALL, 'onnx/none.onnx')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
