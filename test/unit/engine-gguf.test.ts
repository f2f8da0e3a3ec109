/** The GGUF file of the embedded model: the bytes that its Python script writes, made from what is shipped. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeGguf } from '../../provider/engine/llama/gguf-writer.ts';
import { ensureMinnowGguf, minnowGguf } from '../../provider/engine/llama/minnow-gguf.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';

const MODELS = fileURLToPath(new URL('../../provider/models/minnow/dist/', import.meta.url));
/** SHA-256 of what train/onnx_to_safetensors.py and train/to_gguf.py make, run by Python 3.11 and numpy. */
const FROM_PYTHON = {
  'minnow-1m': '3906cd3657d19d2ffa10f38dd383248d1971181cce774f4074191650a62452ab',
  'minnow-5m': 'e3e182bbbd13822d4cd1bcf6d15fcfd0ace3fb48abaa8d1563760fc054e12629',
} as const;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'assay-gguf-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('the GGUF file of the embedded model', () => {
  it.each(['minnow-1m', 'minnow-5m'] as const)('is byte for byte what the Python scripts make of %s', async (name) => {
    const bytes = await minnowGguf(await readModelFolder(`${MODELS}${name}`));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(FROM_PYTHON[name]);
  });

  it('is made once, under the digest of the weights', async () => {
    const model = await readModelFolder(`${MODELS}minnow-1m`);
    const file = await ensureMinnowGguf(model, folder);
    expect(path.basename(file)).toBe('minnow-1m-f16.gguf');
    expect(path.basename(path.dirname(file))).toBe(`gguf-${model.modelDigest.slice(2, 18)}`);
    await writeFile(file, 'kept');
    expect(await ensureMinnowGguf(model, folder)).toBe(file);
    expect(await readFile(file, 'utf8')).toBe('kept');
    const other = { ...model, modelDigest: `0x${'77'.repeat(32)}` as const };
    expect((await stat(await ensureMinnowGguf(other, folder))).size).toBeGreaterThan(1_000_000);
  });

  it('is refused for a folder in another layout, by a message that names the way out', async () => {
    const model = await readModelFolder(`${MODELS}minnow-1m`);
    const textFiles = { ...model.textFiles, config: { model_type: 'gpt2', vocab_size: 4096 } };
    const refused = ensureMinnowGguf({ ...model, textFiles }, path.join(folder, 'none'));
    await expect(refused).rejects.toMatchObject({
      code: 'unsupported_model',
      message: expect.stringContaining('--gguf'),
    });
    const weightsPath = `${MODELS}minnow-5m/onnx/model_q4.onnx`;
    await expect(minnowGguf({ ...model, weightsPath })).rejects.toMatchObject({ code: 'unsupported_model' });
  });
});

describe('the GGUF writer', () => {
  it('lays out header, metadata, table and aligned tensors as the format has them', () => {
    const bytes = writeGguf(
      [
        ['k', { kind: 'uint32', value: 7 }],
        ['l', { kind: 'strings', value: ['a', 'é'] }],
      ],
      [
        { name: 't', dims: [2, 1], values: Uint16Array.of(1, 2) },
        { name: 'u', dims: [1], values: Float32Array.of(1.5) },
      ],
    );
    const view = new DataView(bytes.buffer);
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe('GGUF');
    expect(view.getUint32(4, true)).toBe(3);
    expect([view.getBigUint64(8, true), view.getBigUint64(16, true)]).toEqual([2n, 2n]);
    // Key "k" of one byte, kind 4, value 7.
    expect([view.getBigUint64(24, true), view.getUint32(33, true), view.getUint32(37, true)]).toEqual([1n, 4, 7]);
    expect(bytes.length % 32).toBe(0);
    const start = bytes.length - 64;
    expect([view.getUint16(start, true), view.getUint16(start + 2, true)]).toEqual([1, 2]);
    expect(view.getFloat32(start + 32, true)).toBe(1.5);
  });
});
