import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCalibration, TIE_MAX } from '#protocol/calibration';
import { measurePair, positionDifference } from '#protocol/measure-pair';
import { tolerancesOf } from '../../gateway/judge/classes.ts';
import { folderReader, readCalibrations } from '../../gateway/model-reader.ts';
import { generateAll, tokensOf } from '../../provider/calibrate/corpus.ts';
import { parseEngineChoice } from '../../provider/calibrate/engine-choice.ts';
import {
  chatFrame,
  drawPrompts,
  inventPrompts,
  MINED_GAP,
  minedOrders,
  ordersFor,
  shuffled,
} from '../../provider/calibrate/orders.ts';
import { runCalibrate } from '../../provider/cli/calibrate.ts';
import type { CommandIo } from '../../provider/cli/command-io.ts';
import { readModelFolder } from '../../provider/engine/model-folder.ts';
import { all, orders } from './calibrate-fixture.ts';
import { machine, promptOf } from './judge-fixture.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-calibrate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('orders of a calibration', () => {
  it('ask in the form of the model: what a user says stands between what every prompt has', async () => {
    const engine = machine('fp32', 'a');
    const { before, after } = chatFrame(engine.text);
    const asked = engine.text.encodeChat([{ role: 'user', content: 'hello' }]);
    expect(asked.slice(0, before.length)).toEqual(before);
    expect(asked.slice(asked.length - after.length)).toEqual(after);
    const prompts = await inventPrompts(engine, 30, 'x');
    for (const prompt of prompts) {
      expect(prompt.slice(0, before.length)).toEqual(before);
      expect(prompt.slice(prompt.length - after.length)).toEqual(after);
    }
    expect(new Set(prompts.map(String)).size).toBeGreaterThan(20);
    expect(await inventPrompts(engine, 30, 'x')).toEqual(prompts);
    expect(await inventPrompts(engine, 30, 'y')).not.toEqual(prompts);
  });

  it('lead to near-ties where they are mined for them', async () => {
    const engine = machine('fp32', 'a');
    const scanned = ordersFor(drawPrompts([promptOf('a'), promptOf('b')], 300, 's'), 30, 's');
    const mined = minedOrders(await all(generateAll(engine, scanned, null)));
    expect(mined.length).toBeGreaterThan(10);
    for (const { order, evidence } of await all(generateAll(engine, mined, null))) {
      const noise = (position: number) => ({ temperature: order.sampling.temperature, seed: order.seed, position });
      const gaps = evidence.map((item, position) => positionDifference(item, item, noise(position)).nearest);
      // The greedy ones begin with their tie; the others come to it with their own seed.
      expect(order.sampling.temperature === 0 ? gaps[0] : Math.min(...gaps)).toBeLessThanOrEqual(MINED_GAP);
    }
  });

  it('are the same for the same seed, in an order that mixes them', () => {
    const list = [promptOf('a'), promptOf('b'), promptOf('c')];
    expect(ordersFor(list, 5, 'x')).toEqual(ordersFor(list, 5, 'x'));
    expect(ordersFor(list, 5, 'x')).not.toEqual(ordersFor(list, 5, 'y'));
    expect(shuffled([1, 2, 3, 4, 5, 6], 'x').sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('a measurement', () => {
  it('of machines whose noise is known finds it, and no more than there is', async () => {
    const [generator, scorer] = [machine('fp16', 'a'), machine('fp16', 'b')];
    const transcripts = await all(generateAll(generator, orders, null));
    const units = await Promise.all(
      transcripts.map(async ({ order, evidence }) => {
        const scored = await scorer.score({ ...order, outputIds: tokensOf({ evidence }) });
        const { temperature } = order.sampling;
        return evidence.map((own, position) =>
          positionDifference(own, scored[position]!, { temperature, seed: order.seed, position }),
        );
      }),
    );
    const pair = measurePair({ generator: 'a', scorer: 'b', units }, 1e-3)!;
    const largest = pair.quantiles.at(-1)!.range;
    // Two half widths of 0.025 on each side of two tokens.
    expect(largest).toBeLessThanOrEqual(0.1);
    expect(largest).toBeGreaterThan(0.06);
    expect(pair.tie).toBeLessThanOrEqual(TIE_MAX);
  });
});

describe('parseEngineChoice', () => {
  it('reads a file and how to run it', () => {
    expect(parseEngineChoice('model_fp16.onnx+threads=2+batching=off')).toEqual({
      name: 'model_fp16.onnx+threads=2+batching=off',
      kind: 'onnx',
      weightsFile: 'onnx/model_fp16.onnx',
      ggufPath: null,
      options: { intraOpThreads: 2, batching: false },
    });
    const wasm = parseEngineChoice('wasm:model.onnx+optimization=disabled+prefill=64');
    expect(wasm).toMatchObject({ kind: 'wasm', options: { graphOptimization: 'disabled', chunkTokens: 64 } });
    expect(parseEngineChoice('llama')).toMatchObject({ kind: 'llama', ggufPath: null });
    expect(parseEngineChoice('llama:/x/y.gguf')).toMatchObject({ kind: 'llama', ggufPath: '/x/y.gguf' });
  });

  it.each(['', 'model', '../model.onnx', 'model.onnx+threads=0', 'model.onnx+threads=9999', 'model.onnx+fast'])(
    'refuses "%s"',
    (text) => {
      expect(parseEngineChoice(text)).toHaveProperty('problem');
    },
  );
});

const MODEL = path.resolve(import.meta.dirname, '../../provider/models/minnow/dist/minnow-1m');

function commandIo(): CommandIo & { readonly lines: string[] } {
  const lines: string[] = [];
  const never = () => Promise.reject(new Error('no network'));
  return {
    lines,
    print: (line) => lines.push(line),
    fail: (line) => lines.push(line),
    clock: { nowMs: () => Date.UTC(2026, 10, 26), sleep: () => new Promise(() => {}) },
    rng: { bytes: (length) => new Uint8Array(length) },
    env: {},
    fetch: never,
    modelFolder: MODEL,
  };
}

describe('assay calibrate', () => {
  const flags = ['--classes', 'model.onnx', '--responses', '24', '--response-tokens', '4'];

  it('writes a file that a gateway can read, and the same again from what it kept', async () => {
    const work = path.join(folder, 'work');
    const files = ['one.json', 'two.json'].map((name) => path.join(folder, name));
    for (const file of files) {
      const io = commandIo();
      expect(await runCalibrate([...flags, '--work', work, '--out', file], io, 'v20')).toBe(0);
      expect(io.lines.at(-1)).toContain('tie 0.01');
    }
    const [one, two] = files.map((file) => parseCalibration(JSON.parse(readFileSync(file, 'utf8'))));
    expect(one).not.toBeNull();
    expect(one!.pairs).toHaveLength(1);
    expect(one!.pairs[0]!.quantiles.at(-1)!.range).toBeLessThan(0.001);
    expect(one!.provenance).toMatchObject({ date: '2026-11-26', prompts: { given: 0 }, tokensPerResponse: 4 });
    expect(one!.provenance.command).not.toContain(folder);
    expect({ ...two, provenance: null }).toEqual({ ...one, provenance: null });
  });

  it('measures engines that differ in an option against the first and themselves alone', async () => {
    const file = path.join(folder, 'also.json');
    const also = ['--also', 'model.onnx+batching=off,model.onnx+prefill=4', '--also-responses', '8'];
    const io = commandIo();
    expect(await runCalibrate([...flags, ...also, '--work', path.join(folder, 'also'), '--out', file], io, 'v20')).toBe(
      0,
    );
    const { pairs } = parseCalibration(JSON.parse(readFileSync(file, 'utf8')))!;
    const names = pairs.map(({ generator, scorer }) =>
      [generator, scorer].map((name) => name.split('/')[0]).join(' by '),
    );
    const [reference, alone, prefill] = ['ort-1.30.0', 'ort-1.30.0+alone', 'ort-1.30.0+prefill-4'];
    expect(names.sort()).toEqual(
      [
        ...[
          `${reference} by ${reference}`,
          `${reference} by ${alone}`,
          `${alone} by ${reference}`,
          `${alone} by ${alone}`,
        ],
        ...[`${reference} by ${prefill}`, `${prefill} by ${reference}`, `${prefill} by ${prefill}`],
      ].sort(),
    );
  });

  it('says what is wrong, all of it', async () => {
    const io = commandIo();
    const wrong = ['--classes', 'model', '--responses', '0', '--delta', '1', '--fast'];
    expect(await runCalibrate(wrong, io, 'v20')).toBe(2);
    expect(io.lines).toHaveLength(4);
    expect(await runCalibrate(['--model', folder, '--work', folder], commandIo(), 'v20')).toBe(1);
    expect(await runCalibrate([...flags, '--prompts', MODEL], commandIo(), 'v20')).toBe(1);
  });
});

describe('the calibration that ships with minnow-1m', () => {
  it('is of that model, and holds onnxruntime, its WebAssembly and llama.cpp against each other; of other classes it says nothing', async () => {
    const { modelDigest } = await readModelFolder(MODEL);
    const shipped = await readCalibrations(folderReader(MODEL), modelDigest);
    const { calibration } = shipped.at(-1)!;
    const reference = 'ort-1.30.0/cpu/fp32/kv-fp32/model.onnx';
    const wasm = 'ort-wasm-1.30.0/cpu/fp32/kv-fp32/model.onnx';
    const llama = 'llamacpp-v0.5.0/cpu/fp16/kv-fp16/minnow-1m-f16.gguf';
    for (const [a, b] of [
      [reference, reference],
      [reference, wasm],
      [wasm, reference],
      [wasm, wasm],
    ] as const) {
      expect(tolerancesOf(calibration, a, b)).toEqual({ tie: 0.01, border: 0.01, reject: 0.05, gross: 1 });
    }
    expect(tolerancesOf(calibration, llama, llama)!.tie).toBeLessThanOrEqual(0.01);
    for (const other of [reference, wasm]) {
      expect(tolerancesOf(calibration, llama, other)!.tie).toBeLessThanOrEqual(0.05);
      expect(tolerancesOf(calibration, other, llama)!.tie).toBeLessThanOrEqual(0.05);
    }
    expect(calibration.pairs).toHaveLength(9);
    const unknown = 'ort-1.31.0/cpu/fp32/kv-fp32/model.onnx';
    const larger = 'llamacpp-v0.5.0/cpu/fp16/kv-fp16/minnow-5m-f16.gguf';
    for (const other of [unknown, larger]) {
      expect(tolerancesOf(calibration, reference, other)).toBeNull();
      expect(tolerancesOf(calibration, other, other)).toBeNull();
    }
    for (const pair of calibration.pairs) expect(pair.quantiles.at(-1)!.range).toBeLessThan(pair.tie);
  });

  it('is of no other model: the two are not mistaken for each other', async () => {
    const other = await readModelFolder(path.join(MODEL, '../minnow-5m'));
    await expect(readCalibrations(folderReader(MODEL), other.modelDigest)).rejects.toThrow('of another model');
  });
});

describe('the calibration that ships with minnow-5m', () => {
  const FOLDER = path.resolve(import.meta.dirname, '../../provider/models/minnow/dist/minnow-5m');

  it('is of that model, and holds its honest engines no more loosely than they were held before', async () => {
    const { modelDigest } = await readModelFolder(FOLDER);
    const shipped = await readCalibrations(folderReader(FOLDER), modelDigest);
    const { calibration } = shipped.at(-1)!;
    const reference = 'ort-1.30.0/cpu/fp32/kv-fp32/model.onnx';
    const half = 'ort-1.30.0/cpu/fp16/kv-fp32/model_fp16.onnx';
    expect(tolerancesOf(calibration, reference, reference)).toEqual({
      tie: 0.01,
      border: 0.01,
      reject: 0.05,
      gross: 1,
    });
    expect(tolerancesOf(calibration, half, reference)!.tie).toBeLessThanOrEqual(0.1);
    expect(tolerancesOf(calibration, half, half)!.tie).toBeLessThanOrEqual(0.1);
    expect(tolerancesOf(calibration, reference, 'ort-1.30.0/cpu/int8/kv-fp32/model_quantized.onnx')).toBeNull();
    expect(tolerancesOf(calibration, reference, 'ort-1.31.0/cpu/fp32/kv-fp32/model.onnx')).toBeNull();
    for (const pair of calibration.pairs) expect(pair.quantiles.at(-1)!.range).toBeLessThan(pair.tie);
  });

  it.each(['opt-disabled', 'opt-basic', 'opt-extended', 'alone', 'prefill-64', 'prefill-128'])(
    'has a provider with +%s judged against the reference and its like, by its own measure and never by that of another',
    async (option) => {
      const { modelDigest } = await readModelFolder(FOLDER);
      const { calibration } = (await readCalibrations(folderReader(FOLDER), modelDigest)).at(-1)!;
      const reference = 'ort-1.30.0/cpu/fp32/kv-fp32/model.onnx';
      const own = reference.replace('/', `+${option}/`);
      const half = 'ort-1.30.0/cpu/fp16/kv-fp32/model_fp16.onnx';
      for (const [a, b] of [
        [own, reference],
        [reference, own],
        [own, own],
      ] as const) {
        expect(tolerancesOf(calibration, a, b)).toEqual({ tie: 0.01, border: 0.01, reject: 0.05, gross: 1 });
      }
      expect(tolerancesOf(calibration, own, half)).toBeNull();
    },
  );

  it('is of no other model: a gateway does not start with it', async () => {
    await expect(readCalibrations(folderReader(FOLDER), `0x${'12'.repeat(32)}`)).rejects.toThrow('of another model');
  });
});
