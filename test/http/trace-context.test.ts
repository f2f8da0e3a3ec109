/** Trace contexts where nobody records spans: passed on as they came, shown in logs, and nothing done where there are none. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseTraceparent, traceparentOf } from '#protocol/trace-context';
import { createLog } from '../../gateway/log.ts';
import { API_KEY } from '../fixtures/network.ts';
import { clock, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';

const HEADER = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const lines: string[] = [];
const seen: { path: string; traceparent: string | null }[] = [];
let network: ToyNetwork;
beforeAll(async () => {
  const log = createLog({ clock, level: 'info', destination: { write: (line) => void lines.push(line) } });
  network = await startToyNetwork({
    log,
    host: (_, handle) => (request) => {
      seen.push({ path: new URL(request.url).pathname, traceparent: request.headers.get('traceparent') });
      return handle(request);
    },
  });
});
afterAll(() => network.stop());

async function ask(headers: Record<string, string>) {
  seen.length = 0;
  lines.length = 0;
  const response = await network.call('/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: TOY_MODEL.id, max_tokens: 6, messages: [{ role: 'user', content: 'hello' }] }),
  });
  expect(response.status).toBe(200);
  await response.text();
  const [event] = lines.map((line) => JSON.parse(line)).filter(({ event: name }) => name === 'request');
  return event as { traceId?: string };
}

test("a client's context reaches every provider unchanged, and the log names its trace", async () => {
  expect((await ask({ traceparent: HEADER })).traceId).toBe(HEADER.split('-')[1]);
  const orders = seen.filter(({ path }) => path === '/v1/jobs');
  expect(orders).toHaveLength(3);
  // What was committed may be opened after the answer, by a draw of the gateway's own: no step of the client's request.
  const steps = seen.filter(({ path }) => !path.endsWith('/evidence'));
  expect(new Set(steps.map(({ traceparent }) => traceparent))).toEqual(new Set([HEADER]));
});

test('no context, or a malformed one, is none: nothing is passed on or logged', async () => {
  for (const traceparent of [
    '',
    'x',
    HEADER.toUpperCase(),
    HEADER.replace('4bf92f', '000000').replace(/[1-9a-f]/g, '0'),
  ]) {
    expect(await ask(traceparent === '' ? {} : { traceparent })).not.toHaveProperty('traceId');
    expect(seen.every((call) => call.traceparent === null)).toBe(true);
  }
});

test.each([
  [HEADER, true],
  [`${HEADER}-what-comes-later`, false],
  [`01${HEADER.slice(2)}-what-comes-later`, true],
  [`ff${HEADER.slice(2)}`, false],
  [HEADER.slice(1), false],
  [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, false],
  [`00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`, false],
  [`${HEADER}${'-'.repeat(300)}`, false],
])('%s is a context: %s (W3C Trace Context §3.2)', (header, isOne) => {
  expect(parseTraceparent(header) !== null).toBe(isOne);
});

test('a context is written as it was read', () => {
  expect(traceparentOf(parseTraceparent(HEADER)!)).toBe(HEADER);
  expect(traceparentOf(parseTraceparent(HEADER.replace(/01$/, '00'))!)).toBe(HEADER.replace(/01$/, '00'));
});
