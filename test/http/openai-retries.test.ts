/** What a failure costs a client of the openai package: attempts are counted for every code of the closed list. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, ProtocolError } from '#protocol/errors';
import { errorEnvelope } from '../../gateway/errors.ts';
import { API_KEY, type Served, serveScripted } from './openai-fixture.ts';

let served: Served;
let client: OpenAI;
beforeAll(async () => {
  served = await serveScripted();
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: API_KEY, maxRetries: 2 });
});
afterAll(() => served.close());

/** Failures that another attempt may not have: all others would be the same again, at the same price. */
const WORTH_RETRYING: ReadonlySet<ErrorCode> = new Set([
  'provider_unreachable',
  'provider_malformed',
  'provider_refused',
  'queue_full',
  'job_lost',
  'storage_unavailable',
  'shutting_down',
]);

test.each(ERROR_CODES.map((code) => [code]))(
  '%s is tried again by the client only where that can help',
  async (code) => {
    served.script.failFirst = new ProtocolError(code, 'A failure.', { retryAfterMs: 1 });
    for (const stream of [false, true]) {
      const before = served.requests.length;
      const ask = { model: 'minnow-5m', messages: [{ role: 'user' as const, content: 'Hi' }] };
      await expect(client.chat.completions.create({ ...ask, stream })).rejects.toBeInstanceOf(OpenAI.APIError);
      expect(served.requests.length - before).toBe(WORTH_RETRYING.has(code) ? 3 : 1);
    }
  },
);

test.each(ERROR_CODES.map((code) => [code]))('%s says when to come back exactly where it says to come back', (code) => {
  const { headers, status } = errorEnvelope(new ProtocolError(code, 'm'));
  const comesBack = headers['x-should-retry'] === 'true';
  expect(comesBack).toBe(WORTH_RETRYING.has(code));
  if (comesBack) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  // Proxies read no x-should-retry: a 503 has to say how long it lasts, also where the same call cannot succeed.
  if (status !== 503) expect(headers['retry-after'] !== undefined).toBe(comesBack);
});
