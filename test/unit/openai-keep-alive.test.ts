/** Comments keep a silent stream alive; they never stand inside an event or reach beyond its end. */
import { expect, test } from 'vitest';
import { bodyOfFrames } from '../../gateway/openai/chat-stream.ts';

/** A clock whose sleeps end when the test says so. */
function manualClock() {
  const wakes: (() => void)[] = [];
  let aborted = 0;
  return {
    wakes,
    abortedCount: () => aborted,
    clock: {
      nowMs: () => 0,
      sleep: (_ms: number, signal?: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          wakes.push(resolve);
          signal?.addEventListener('abort', () => {
            aborted++;
            reject(new Error('aborted'));
          });
        }),
    },
  };
}

test('a comment fills each silence, the pending frame follows unharmed, every timer is ended', async () => {
  const { clock, wakes, abortedCount } = manualClock();
  let release: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  async function* frames(): AsyncGenerator<string, void, undefined> {
    await gate;
    yield 'data: 1\n\n';
  }
  const reader = bodyOfFrames(frames(), { clock, keepAliveMs: 10, onEnd: () => {}, onCancel: () => {} }).getReader();
  const read = async () => {
    const { value } = await reader.read();
    return value === undefined ? null : new TextDecoder().decode(value);
  };
  for (let silence = 0; silence < 2; silence++) {
    const next = read();
    while (wakes.length === silence) await Promise.resolve();
    wakes[silence]!();
    expect(await next).toBe(': keep-alive\n\n');
  }
  release();
  expect(await read()).toBe('data: 1\n\n');
  expect(await read()).toBeNull();
  expect(abortedCount()).toBe(wakes.length);
});
