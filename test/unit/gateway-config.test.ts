/** The gateway's configuration: defaults, sources, problems, redaction (DESIGN §14). */
import { describe, expect, it } from 'vitest';
import { settingsHelp } from '#protocol/settings';
import { AUDIT_RULES } from '../../gateway/audit/equilibrium.ts';
import { GATEWAY_SETTINGS, parseGatewayConfig, redactedConfig } from '../../gateway/config.ts';
import { limitsOf } from '../../gateway/config-limits.ts';

const NEEDED = {
  ASSAY_GATEWAY_PROVIDERS: 'http://127.0.0.1:1,https://provider.example/base',
  ASSAY_GATEWAY_REFEREE: 'http://127.0.0.1:2',
  ASSAY_GATEWAY_MODEL_FOLDERS: '/models/minnow-5m, /models/minnow-1m',
};

function parse(env: Record<string, string>, flags: Record<string, unknown> = {}, file: Record<string, unknown> = {}) {
  return parseGatewayConfig({ env: { ...NEEDED, ...env }, flags, file });
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
  it('has the defaults of the embedded network: this machine alone, a quorum of three, a day to appeal', () => {
    expect(configOf({})).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      providers: ['http://127.0.0.1:1', 'https://provider.example/base'],
      modelFolders: ['/models/minnow-5m', '/models/minnow-1m'],
      defaultPolicy: { mode: 'quorum', n: 3, agree: 3 },
      appealMs: 24 * 3600 * 1000,
      retentionMs: 7 * 24 * 3600 * 1000,
      apiKey: null,
    });
  });

  it('takes a flag before a variable before the file', () => {
    const env = { ASSAY_GATEWAY_STAKE_NANO: '2' };
    expect(configOf(env, { stakeNano: '1' }, { stakeNano: '3' }).stakeNano).toBe(1n);
    expect(configOf(env, {}, { stakeNano: '3' }).stakeNano).toBe(2n);
    expect(configOf({}, {}, { stakeNano: '3', providers: ['http://a', 'http://b'] }).stakeNano).toBe(3n);
  });

  it('requires providers, a referee and models', () => {
    const result = parseGatewayConfig({ env: {}, flags: {}, file: {} });
    expect(result.ok ? [] : result.problems.map((problem) => problem.split(' ')[0])).toEqual([
      '--providers',
      '--referee',
      '--model-folders',
    ]);
  });

  it.each([
    ['ASSAY_GATEWAY_PORT', '65536'],
    ['ASSAY_GATEWAY_PORT', '-1'],
    ['ASSAY_GATEWAY_PORT', '1e3'],
    ['ASSAY_GATEWAY_PROVIDERS', 'http://user:password@host'],
    ['ASSAY_GATEWAY_PROVIDERS', 'http://a,'],
    ['ASSAY_GATEWAY_REFEREE', 'file:///etc/passwd'],
    ['ASSAY_GATEWAY_REFEREE', 'http://host/?query'],
    ['ASSAY_GATEWAY_DEFAULT_POLICY', 'quorum; n=0'],
    ['ASSAY_GATEWAY_DEFAULT_POLICY', 'proved'],
    ['ASSAY_GATEWAY_STAKE_NANO', '1.5'],
    ['ASSAY_GATEWAY_LOG_LEVEL', 'loud'],
    ['ASSAY_GATEWAY_RETENTION_MS', '1'],
    ['ASSAY_GATEWAY_API_KEY', 'short'],
    ['ASSAY_GATEWAY_API_KEY', 'with a space in it'],
    ['ASSAY_GATEWAY_NONSENSE', '1'],
  ])('refuses %s=%s by name, without quoting a secret', (name, value) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(name);
    if (name.endsWith('API_KEY')) expect(problems[0]).not.toContain(value);
  });

  it('takes the API key from the environment alone', () => {
    expect(configOf({ ASSAY_GATEWAY_API_KEY: 'sk-by-hand' }).apiKey).toBe('sk-by-hand');
    expect(problemsOf({}, { apiKey: 'sk-by-hand' }, { apiKey: 'sk-by-hand' })).toHaveLength(2);
    expect(settingsHelp(GATEWAY_SETTINGS)).not.toContain('api-key');
  });

  it('is printed as JSON without keys and where they lie, and its help has readable defaults', () => {
    const config = configOf({ ASSAY_GATEWAY_KEY_FILE: '/secrets/key', ASSAY_GATEWAY_API_KEY: 'sk-by-hand' });
    const printed = JSON.stringify(redactedConfig(config));
    expect(printed).not.toMatch(/secrets|sk-by-hand/);
    expect(JSON.parse(printed)).toMatchObject({ stakeNano: '100000000000', defaultPolicy: expect.any(String) });
    expect(settingsHelp(GATEWAY_SETTINGS)).not.toContain('[object');
  });
});

describe('rates of audits', () => {
  const FLOOR = 'ASSAY_GATEWAY_AUDIT_FLOOR_PPM';
  const CEILING = 'ASSAY_GATEWAY_AUDIT_CEILING_PPM';

  it('are bounded as the operator says, by variable, flag or file, and by those of the rules otherwise', () => {
    const { floorPpm, ceilingPpm } = AUDIT_RULES;
    expect(limitsOf(configOf({})).audits.bounds).toEqual({ floorPpm, ceilingPpm });
    const set = configOf({ [FLOOR]: '20000' }, { auditCeilingPpm: '30000' });
    expect(limitsOf(set).audits.bounds).toEqual({ floorPpm: 20_000, ceilingPpm: 30_000 });
    expect(limitsOf(configOf({}, {}, { auditFloorPpm: 1, auditCeilingPpm: 1_000_000 })).audits.bounds).toEqual({
      floorPpm: 1,
      ceilingPpm: 1_000_000,
    });
  });

  it.each([
    [FLOOR, '0'],
    [CEILING, '0'],
    [FLOOR, '1000001'],
    [CEILING, '1000001'],
    [FLOOR, '0.05'],
  ])('are refused where %s is %s', (name, value) => {
    expect(problemsOf({ [name]: value })).toEqual([expect.stringContaining(name)]);
  });

  it('are refused where the floor is above the ceiling, also above the default one', () => {
    expect(problemsOf({ [FLOOR]: '30000', [CEILING]: '20000' })).toEqual([
      '--audit-floor-ppm (30000) must not be above --audit-ceiling-ppm (20000)',
    ]);
    expect(problemsOf({ [FLOOR]: '250001' })).toHaveLength(1);
    expect(problemsOf({ [CEILING]: '9999' })).toHaveLength(1);
    expect(problemsOf({ [FLOOR]: '20000', [CEILING]: '20000' })).toEqual([]);
  });
});

describe('a chain', () => {
  it('is off until a network and a node are named, both or neither', () => {
    expect(configOf({})).toMatchObject({ network: null, rpcUrl: null, confirmations: 12 });
    const both = { ASSAY_GATEWAY_NETWORK: '/network.json', ASSAY_GATEWAY_RPC_URL: 'http://127.0.0.1:8545/secret' };
    expect(configOf(both)).toMatchObject({ network: '/network.json' });
    expect(JSON.stringify(redactedConfig(configOf(both)))).not.toContain('secret');
    expect(problemsOf({ ASSAY_GATEWAY_NETWORK: '/network.json' })).toHaveLength(1);
    expect(problemsOf({ ASSAY_GATEWAY_RPC_URL: 'http://127.0.0.1:8545' })).toHaveLength(1);
  });
});
