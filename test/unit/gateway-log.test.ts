/** What may reach a log line, and how keys are kept. */
import { expect, test } from 'vitest';
import { authenticate, hashApiKey, newApiKey } from '../../gateway/keys.ts';
import { createLog, errorFields, type LogFields } from '../../gateway/log.ts';

function collect(level: 'info' | 'debug' = 'info') {
  const lines: string[] = [];
  const clock = { nowMs: () => 1234, sleep: () => Promise.resolve() };
  const log = createLog({ clock, level, destination: { write: (line) => void lines.push(line) } });
  return { log, lines };
}

test('a line has level, injected time, event and allowed fields only', () => {
  const { log, lines } = collect();
  const careless = { requestId: 'r', prompt: 'secret', apiKey: 'sk-x', messages: [{}], count: 2 } as LogFields;
  log.info('request', careless);
  expect(JSON.parse(lines[0]!)).toEqual({
    level: 'info',
    timeMs: 1234,
    requestId: 'r',
    count: 2,
    event: 'request',
  });
});

test('allowed fields hold scalars of bounded length, never objects', () => {
  const { log, lines } = collect();
  log.warn('request', { reason: 'x'.repeat(1000), amountNano: 10n ** 18n, model: { text: 'secret' } } as never);
  const line = JSON.parse(lines[0]!) as Record<string, unknown>;
  expect(line.reason).toHaveLength(256);
  expect(line.amountNano).toBe('1000000000000000000');
  expect(line).not.toHaveProperty('model');
});

test('lines below the level are not written', () => {
  const { log, lines } = collect();
  log.debug('quiet');
  expect(lines).toEqual([]);
});

test('errors are logged by name, not by message', () => {
  const error = new TypeError('quotes the prompt', { cause: new RangeError('too') });
  expect(errorFields(error)).toEqual({ errorName: 'TypeError', causeName: 'RangeError' });
  expect(errorFields('text')).toEqual({ errorName: 'string' });
});

test('a key is found by its hash and is long enough not to be guessed', async () => {
  const key = newApiKey({ bytes: (length) => new Uint8Array(length).fill(7) });
  expect(key).toMatch(/^sk-assay-[\w-]{32}$/);
  const seen: string[] = [];
  const lookup = {
    byHash: (hash: string) => {
      seen.push(hash);
      return hash === hashApiKey(key) ? { keyId: 'k', policy: null } : null;
    },
  };
  expect(await authenticate(`Bearer ${key}`, lookup)).toMatchObject({ keyId: 'k' });
  await expect(authenticate(`Bearer ${key}x`, lookup)).rejects.toMatchObject({ code: 'invalid_api_key' });
  expect(seen.join(' ')).not.toContain(key);
});
