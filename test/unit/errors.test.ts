/** The table from codes to envelopes. */
import { expect, test } from 'vitest';
import { ERROR_CODES, ProtocolError } from '#protocol/errors';
import { errorEnvelope, errorResponse } from '../../gateway/errors.ts';

test.each(ERROR_CODES.map((code) => [code]))('%s has an envelope with all four keys', (code) => {
  const { status, body, headers } = errorEnvelope(new ProtocolError(code, 'a message', { param: 'p' }));
  expect(status).toBeGreaterThanOrEqual(400);
  expect(Object.keys(body.error)).toEqual(['message', 'type', 'param', 'code']);
  expect(headers['x-should-retry']).toMatch(/^(true|false)$/);
  // SDKs repeat a 409 by themselves: it must never be used for the client's own fault.
  expect(status).not.toBe(409);
});

test('codes of the inside are hidden behind internal_error', () => {
  const error = new ProtocolError('permission_conflict', 'round 7 of job 3', { param: 'x', retryAfterMs: 5 });
  const envelope = errorEnvelope(error);
  expect(envelope.code).toBe('permission_conflict');
  expect(envelope.body.error).toMatchObject({ code: 'internal_error', param: null });
  expect(JSON.stringify(envelope.body)).not.toContain('job 3');
  expect(envelope.headers).not.toHaveProperty('retry-after');
});

test.each([[new Error('secret')], ['secret'], [null], [undefined], [{ code: 'invalid_request', message: 'secret' }]])(
  'what is not a ProtocolError is a fixed internal error',
  (thrown) => {
    const { status, body } = errorEnvelope(thrown);
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain('secret');
  },
);

test('a split that cannot be decided must not be repeated, a busy committee may be, a too small one not', () => {
  expect(errorEnvelope(new ProtocolError('inconclusive', 'm')).headers['x-should-retry']).toBe('false');
  const busy = errorEnvelope(new ProtocolError('committee_unavailable', 'm', { retryable: true }));
  expect(busy).toMatchObject({ status: 503, headers: { 'x-should-retry': 'true', 'retry-after': '2' } });
  const small = errorEnvelope(new ProtocolError('committee_unavailable', 'm', { retryAfterMs: 500 }));
  expect(small).toMatchObject({ status: 503, headers: { 'x-should-retry': 'false' } });
  expect(small.headers).not.toHaveProperty('retry-after');
});

test('retry-after is rounded up to whole seconds and exact in milliseconds', () => {
  const { headers } = errorEnvelope(
    new ProtocolError('rate_limit_exceeded', 'm', { retryable: true, retryAfterMs: 1200.4 }),
  );
  expect(headers).toMatchObject({ 'retry-after': '2', 'retry-after-ms': '1201' });
});

test('the response is JSON with the status of the table', async () => {
  const response = errorResponse(errorEnvelope(new ProtocolError('insufficient_quota', 'Out of budget.')));
  expect(response.status).toBe(429);
  expect(response.headers.get('content-type')).toBe('application/json');
  expect(await response.json()).toEqual({
    error: { message: 'Out of budget.', type: 'insufficient_quota', param: null, code: 'insufficient_quota' },
  });
});
