/** One request followable from the client through the gateway to every provider's process, by its `traceparent` (W3C Trace Context). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startOtlpReceiver } from '../fixtures/otlp-receiver.ts';
import { ensureBuilt, type Network, startDemo, until, untilGone } from './program.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 });

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CLIENT_SPAN = '00f067aa0ba902b7';
const SECRET = 'Xylophone7 marzipan';

let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
let folder: string;
let network: Network;
beforeAll(async () => {
  ensureBuilt();
  receiver = await startOtlpReceiver();
  folder = mkdtempSync(path.join(tmpdir(), 'assay-tracing-'));
  network = await startDemo(folder, {
    env: {
      ASSAY_PROVIDERS: '3',
      ASSAY_GATEWAY_OTLP_ENDPOINT: receiver.url,
      ASSAY_PROVIDER_OTLP_ENDPOINT: receiver.url,
      ASSAY_GATEWAY_LOG_LEVEL: 'info',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    },
  });
});
afterAll(async () => {
  network.process.kill('SIGTERM');
  await untilGone([network.pid, ...network.children]);
  receiver.close();
  rmSync(folder, { recursive: true });
});

test('the client, the gateway and all three providers are in one trace, joined span by span, without content', async () => {
  const response = await fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${network.apiKey}`,
      'content-type': 'application/json',
      traceparent: `00-${TRACE}-${CLIENT_SPAN}-01`,
    },
    body: JSON.stringify({
      model: 'minnow-5m',
      max_tokens: 12,
      stream: true,
      messages: [{ role: 'user', content: `Tell me about Japan. ${SECRET}` }],
    }),
  });
  expect(await response.text()).toContain('[DONE]');
  const mine = () => receiver.spans.filter(({ traceId }) => traceId === TRACE);
  await until(() => mine().length >= 7);
  const [root] = mine().filter(({ parentSpanId }) => parentSpanId === CLIENT_SPAN);
  expect(root).toMatchObject({
    service: 'assay-gateway',
    kind: 2,
    attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'minnow-5m', 'assay.verdict': 'agreed' },
  });
  const calls = mine().filter(({ service, kind }) => service === 'assay-gateway' && kind === 3);
  expect(calls).toHaveLength(3);
  expect(new Set(calls.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([root!.spanId]));
  expect(new Set(calls.map(({ attributes }) => attributes['server.port'])).size).toBe(3);
  const jobs = mine().filter(({ service }) => service === 'assay-provider');
  expect(jobs.map(({ parentSpanId }) => parentSpanId).sort()).toEqual(calls.map(({ spanId }) => spanId).sort());
  for (const job of jobs) {
    expect(job).toMatchObject({
      name: 'chat minnow-5m',
      kind: 2,
      attributes: { 'gen_ai.request.model': 'minnow-5m', 'gen_ai.operation.name': 'chat' },
    });
    expect(Number(job.attributes['gen_ai.usage.output_tokens'])).toBeGreaterThan(0);
  }
  const sent = receiver.bodies.join('');
  expect(sent).not.toContain('Xylophone7');
  expect(sent).not.toContain('Japan');
  expect(sent).not.toContain(network.apiKey);
  const logged = network
    .stderr()
    .split('\n')
    .filter((line) => line.includes(TRACE));
  expect(logged.some((line) => JSON.parse(line).event === 'request')).toBe(true);
});
