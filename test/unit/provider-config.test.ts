/** The provider's configuration: sources, order, problems, redaction (DESIGN §14). */
import { describe, expect, it } from 'vitest';
import { settingsHelp } from '#protocol/settings';
import { PROVIDER_SETTINGS, parseProviderConfig, redactedConfig } from '../../provider/config.ts';

const GATEWAY = `0x${'Ab'.repeat(20)}`;
const NEEDED = {
  ASSAY_PROVIDER_MODEL_FOLDER: '/models/minnow-5m',
  ASSAY_PROVIDER_MODEL_ID: 'minnow-5m',
  ASSAY_PROVIDER_OPERATOR: 'alice',
  ASSAY_PROVIDER_GATEWAY_ADDRESSES: GATEWAY,
};

function parse(env: Record<string, string>, flags: Record<string, unknown> = {}, file: Record<string, unknown> = {}) {
  return parseProviderConfig({ env: { ...NEEDED, ...env }, flags, file });
}

function configOf(...sources: Parameters<typeof parse>) {
  const result = parse(...sources);
  if (!result.ok) throw new Error(result.problems.join('; '));
  return result.config;
}

function problemsOf(...sources: Parameters<typeof parse>): readonly string[] {
  const result = parse(...sources);
  return result.ok ? [] : result.problems;
}

describe('the configuration', () => {
  it('has safe defaults and lower-case addresses', () => {
    expect(configOf({})).toMatchObject({
      host: '127.0.0.1',
      role: 'member',
      weights: 'onnx/model.onnx',
      executionProviders: ['cpu'],
      gatewayAddresses: [GATEWAY.toLowerCase()],
      actualModelFolder: null,
    });
  });

  it('takes a flag before a variable before the file', () => {
    const env = { ASSAY_PROVIDER_PORT: '2' };
    expect(configOf(env, { port: '1' }, { port: 3 }).port).toBe(1);
    expect(configOf(env, {}, { port: 3 }).port).toBe(2);
    expect(configOf({}, {}, { port: 3, executionProviders: ['cuda', 'cpu'] })).toMatchObject({
      port: 3,
      executionProviders: ['cuda', 'cpu'],
    });
  });

  it('reports all problems at once', () => {
    const problems = problemsOf(
      { ASSAY_PROVIDER_PORT: '80x', ASSAY_PROVIDER_PROT: '1', ASSAY_PROVIDER_ROLE: 'judge' },
      { concurency: '4' },
      { operators: 'x', queue: -1 },
    );
    expect(problems).toHaveLength(6);
    for (const part of [
      'PROVIDER_PROT is not a known',
      '--concurency',
      '"operators"',
      'PORT must',
      'ROLE must',
      '"queue"',
    ]) {
      expect(problems.join('\n')).toContain(part);
    }
  });

  it('requires what has no default', () => {
    const result = parseProviderConfig({ env: {}, flags: {}, file: {} });
    expect(result.ok ? [] : result.problems.map((problem) => problem.split(' ')[0])).toEqual([
      '--model-folder',
      '--model-id',
      '--operator',
      '--gateway-addresses',
    ]);
  });

  it.each(['../secret', '/etc/passwd', 'onnx/../../x', ''])('keeps the weights %j out', (weights) => {
    expect(problemsOf({ ASSAY_PROVIDER_WEIGHTS: weights })).toHaveLength(1);
  });

  it('runs onnxruntime unless another engine is named, and refuses settings that the named one does not use', () => {
    expect(configOf({})).toMatchObject({
      engine: 'onnxruntime',
      graphOptimization: 'all',
      batching: 'on',
      prefillTokens: 0,
    });
    const llama = { ASSAY_PROVIDER_ENGINE: 'llama-cpp', ASSAY_PROVIDER_THREADS: '2' };
    expect(configOf(llama)).toMatchObject({ engine: 'llama-cpp', threads: 2, gguf: null });
    expect(problemsOf({ ASSAY_PROVIDER_ENGINE: 'pytorch' })).toHaveLength(1);
    expect(problemsOf({ ASSAY_PROVIDER_GGUF: '/models/m.gguf' })).toEqual([
      '--gguf (or ASSAY_PROVIDER_GGUF) is not for --engine onnxruntime',
    ]);
    const wasm = { engine: 'onnxruntime-wasm', threads: '2', executionProviders: 'webgpu,cpu', batching: 'off' };
    expect(problemsOf({}, wasm)).toHaveLength(2);
    expect(problemsOf({ ...llama, ASSAY_PROVIDER_WEIGHTS: 'onnx/model_fp16.onnx' })).toHaveLength(1);
    const upstream = {
      upstreamUrl: 'http://127.0.0.1:8000',
      upstreamDialect: 'llamacpp',
      upstreamModel: 'm',
      upstreamDevice: 'cpu',
      upstreamDtype: 'fp16',
      upstreamKvDtype: 'fp16',
    };
    expect(problemsOf(llama, upstream)).toEqual(['--engine and --upstream-url exclude each other']);
  });

  it('takes the cheat switch from the environment alone, and shows it to nobody who reads the help', () => {
    expect(configOf({ ASSAY_PROVIDER_ACTUAL_MODEL_FOLDER: '/models/minnow-1m' }).actualModelFolder).toBe(
      '/models/minnow-1m',
    );
    expect(problemsOf({}, { actualModelFolder: 'x' }, { actualModelFolder: 'x' })).toHaveLength(2);
    expect(settingsHelp(PROVIDER_SETTINGS)).not.toContain('actual');
  });

  it('is printed without the place of the key', () => {
    const config = configOf({ ASSAY_PROVIDER_KEY_FILE: '/secrets/key' });
    expect(JSON.stringify(redactedConfig(config))).not.toContain('/secrets/key');
  });
});
