/** The files that operators take as they are: boards and alerts name metrics that exist, units and images paths and settings that exist. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { settingsHelp } from '#protocol/settings';
import type { ChainWorker } from '../../gateway/chain/chain-worker.ts';
import { ADMIN_COMMANDS } from '../../gateway/cli/admin-commands.ts';
import { GATEWAY_SETTINGS } from '../../gateway/config.ts';
import { createMetrics as createGatewayMetrics } from '../../gateway/metrics.ts';
import { watchChain, watchState } from '../../gateway/state-gauges.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { PROVIDER_SETTINGS } from '../../provider/config.ts';
import { createMetrics as createProviderMetrics } from '../../provider/metrics.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

/** Every series with its labels, as both servers register them. */
async function knownSeries(): Promise<Map<string, string[]>> {
  const registry = new Registry();
  createGatewayMetrics(registry);
  const unreadable = { read: async () => Promise.reject(new Error('none')) } as unknown as Store;
  watchState(registry, unreadable);
  watchChain(registry, {
    differences: [],
    status: async () => Promise.reject(new Error('none')),
  } as unknown as ChainWorker);
  const provider = createProviderMetrics(() => ({ running: 0, waiting: 0, open: 0 }));
  const text = `${await registry.metrics()}\n${await provider.render()}`;
  const series = new Map<string, string[]>();
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of suffixes) series.set(`${name}${suffix}`, []);
  }
  return series;
}

interface Board {
  panels: { title: string; targets: { expr: string }[] }[];
}
const boardExprs = () =>
  (JSON.parse(read('gateway/ops/grafana-board.json')) as Board).panels.flatMap(({ targets }) =>
    targets.map(({ expr }) => expr),
  );
const alerts = () =>
  [...read('gateway/ops/alerts.yml').matchAll(/- alert: (\S+)\n\s+expr: (.+)$/gm)].map(([, name, expr]) => {
    return { name: name!, expr: expr! };
  });
/** Names of series in a query: what is left without label matchers and groupings. */
const seriesIn = (expr: string) =>
  [
    ...expr
      .replaceAll(/\{[^}]*\}/g, '')
      .replaceAll(/by \([^)]*\)/g, '')
      .matchAll(/[a-z_]+/g),
  ]
    .map(([word]) => word)
    .filter((word) => /^(assay|gen_ai)_/.test(word));

describe('queries', () => {
  test('of the board and of the alerts name series that the servers have', async () => {
    const known = await knownSeries();
    const named = [...boardExprs(), ...alerts().map(({ expr }) => expr)].map(seriesIn);
    // Whether a target answers at all is Prometheus's own series.
    const own = [...boardExprs(), ...alerts().map(({ expr }) => expr)].filter((expr) => !expr.startsWith('up{'));
    expect(own.filter((expr) => seriesIn(expr).length === 0)).toEqual([]);
    expect(named.flat().filter((name) => !known.has(name))).toEqual([]);
    expect(new Set(named.flat()).size).toBeGreaterThan(15);
  });

  test('read labels that the metrics have', () => {
    const sources = `${read('gateway/metrics.ts')}${read('gateway/state-gauges.ts')}${read('provider/metrics.ts')}`;
    const labels = [...boardExprs(), ...alerts().map(({ expr }) => expr)].flatMap((expr) => [
      ...[...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, inside]) =>
        [...inside!.matchAll(/(\w+)\s*[=!]/g)].map(([, l]) => l!),
      ),
      ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, inside]) => inside!.split(', ')),
    ]);
    // Set by Prometheus itself, or by the histogram type.
    const wanted = labels.filter((label) => !['job', 'instance', 'le'].includes(label));
    expect(wanted.filter((label) => !sources.includes(`'${label}'`))).toEqual([]);
  });

  test('of every alert have their section in OPERATIONS.md', () => {
    const headings = [...read('gateway/ops/OPERATIONS.md').matchAll(/^### (\S+)$/gm)].map(([, name]) => name);
    expect(alerts().length).toBeGreaterThan(8);
    expect(alerts().map(({ name }) => name)).toEqual(headings);
  });
});

describe('units, image and compose file', () => {
  const settings = [...Object.values(GATEWAY_SETTINGS), ...Object.values(PROVIDER_SETTINGS)].map(({ env }) => env);

  test('set variables that the servers know', () => {
    const files = ['gateway/ops/compose.yaml', 'gateway/ops/OPERATIONS.md', 'README.md'].map(read).join('\n');
    const named = [...files.matchAll(/\b(ASSAY_(?:GATEWAY|PROVIDER)_[A-Z_]+[A-Z])\b/g)].map(([, name]) => name!);
    // What the compose file itself is told, and what stands for all of a kind.
    const unknown = named.filter((name) => !settings.includes(name) && name !== 'ASSAY_GATEWAY_ADDRESS');
    expect(unknown).toEqual([]);
    expect(named.length).toBeGreaterThan(15);
    expect(settingsHelp(GATEWAY_SETTINGS)).toContain('--admin-key-file');
  });

  test('say what bounds of audits are by default', () => {
    for (const { env, fallback } of [GATEWAY_SETTINGS.auditFloorPpm, GATEWAY_SETTINGS.auditCeilingPpm]) {
      const row = new RegExp(`^\\| \`${env}\`, \\S+ \\| ([\\d,]+) `, 'm').exec(read('gateway/ops/OPERATIONS.md'));
      expect(Number(row?.[1]?.replaceAll(',', ''))).toBe(fallback);
    }
  });

  test('copy and start what is there', () => {
    const dockerfile = read('gateway/ops/Dockerfile');
    for (const [, source] of dockerfile.matchAll(/^COPY --from=build \/app\/(\S+)/gm)) {
      // Made by the build in the image.
      if (source !== 'node_modules' && source !== 'dist') expect(existsSync(path.join(ROOT, source!))).toBe(true);
    }
    expect(dockerfile).toContain('ENTRYPOINT ["node", "dist/main.js"]');
    const usage = read('main.ts');
    const commands = ['gateway/ops/assay-gateway.service', 'provider/ops/assay-provider.service'].map(
      (file) => /^ExecStart=\/usr\/bin\/node dist\/main\.js (\w+)$/m.exec(read(file))![1]!,
    );
    const composed = [...read('gateway/ops/compose.yaml').matchAll(/command: \["(\w+)"/g)].map(([, name]) => name!);
    for (const command of [...commands, ...composed]) expect(usage).toContain(`case '${command}':`);
    expect(JSON.parse(read('package.json')).files).toEqual(expect.arrayContaining(['gateway/ops/', 'provider/ops/']));
  });

  test('of OPERATIONS.md call admin commands that exist', () => {
    const called = [...read('gateway/ops/OPERATIONS.md').matchAll(/assay admin ([a-z][a-z-]*(?: [a-z]+)?)/g)].map(
      ([, words]) => words!,
    );
    const known = Object.keys(ADMIN_COMMANDS);
    const unknown = called.filter((words) => !known.some((name) => words === name || words.startsWith(`${name} `)));
    expect(unknown).toEqual([]);
    expect(called.length).toBeGreaterThan(4);
  });
});
