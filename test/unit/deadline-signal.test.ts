/** Signals of the gateway in the fetch that it really uses: undici looks at them before it sends anything. */
import { getMaxListeners } from 'node:events';
import { Request } from 'undici';
import { expect, test } from 'vitest';
import { linkAbort } from '../../gateway/round/deadline.ts';

test('a linked signal can be handed to undici, and takes many listeners without a warning', () => {
  const { signal, abort } = linkAbort([new AbortController().signal]);
  expect(() => new Request('http://127.0.0.1/', { signal })).not.toThrow();
  expect(getMaxListeners(signal)).toBeGreaterThan(128 * 15);
  abort(new Error('over'));
  expect(signal.aborted).toBe(true);
});
