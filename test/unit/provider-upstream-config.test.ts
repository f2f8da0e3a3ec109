/** Settings of a provider in front of an upstream. */
import { describe, expect, it } from 'vitest';
import { parseProviderConfig, redactedConfig } from '../../provider/config.ts';

const BASE = {
  modelFolder: '/models/m',
  modelId: 'm',
  operator: 'o',
  gatewayAddresses: `0x${'11'.repeat(20)}`,
};
const UPSTREAM = {
  upstreamUrl: 'http://127.0.0.1:8000',
  upstreamDialect: 'vllm',
  upstreamModel: 'org/model',
  upstreamDevice: 'h200',
  upstreamDtype: 'fp16',
  upstreamKvDtype: 'fp16',
};
const parse = (file: object, env: Record<string, string> = {}, flags: Record<string, unknown> = {}) =>
  parseProviderConfig({ env, flags, file: { ...BASE, ...file } });

describe("a provider's upstream settings", () => {
  it('are absent by default, and complete where there is a URL', () => {
    expect(parse({})).toMatchObject({ ok: true, config: { upstreamUrl: null, upstreamApiKey: null } });
    expect(parse(UPSTREAM)).toMatchObject({ ok: true, config: UPSTREAM });
  });

  it.each(['upstreamDialect', 'upstreamModel', 'upstreamDevice', 'upstreamDtype', 'upstreamKvDtype'] as const)(
    'are refused with a URL but without %s, and the other way round',
    (missing) => {
      const { [missing]: value, ...rest } = UPSTREAM;
      const without = parse(rest);
      expect(without.ok ? [] : without.problems).toEqual([expect.stringMatching(/is required with --upstream-url$/)]);
      const alone = parse({ [missing]: value });
      expect(alone.ok ? [] : alone.problems).toEqual([expect.stringMatching(/needs --upstream-url$/)]);
    },
  );

  it('refuse an unknown kind of server, a URL with credentials or a path at its end, and a slash in a class', () => {
    for (const bad of [
      { upstreamDialect: 'tgi' },
      { upstreamUrl: 'http://user:pass@host:1' },
      { upstreamUrl: 'http://host:1/' },
      { upstreamDtype: 'fp16/fast' },
    ]) {
      expect(parse({ ...UPSTREAM, ...bad }).ok).toBe(false);
    }
  });

  it('take the key from the environment alone, and never print it', () => {
    const env = { ASSAY_PROVIDER_UPSTREAM_API_KEY: 'sk-secret' };
    const result = parse(UPSTREAM, env);
    if (!result.ok) throw new Error(result.problems.join());
    expect(result.config.upstreamApiKey).toBe('sk-secret');
    expect(JSON.stringify(redactedConfig(result.config))).not.toContain('sk-secret');
    expect(parse({ ...UPSTREAM, upstreamApiKey: 'sk-secret' }).ok).toBe(false);
    expect(parse(UPSTREAM, {}, { upstreamApiKey: 'sk-secret' }).ok).toBe(false);
    const broken = parse(UPSTREAM, { ASSAY_PROVIDER_UPSTREAM_API_KEY: 'two\r\nlines' });
    expect(broken.ok).toBe(false);
  });
});
