/** Signals that end the process: the first lets running work finish, a second does not wait for it. */
import type { Clock } from '#protocol/env';

/** A terminal's Ctrl-C reaches npm and this process, and npm passes it on: the same signal so soon is one wish. */
const ECHO_MS = 1_000;

export interface StopSignal {
  /** The first signal. */
  readonly first: Promise<NodeJS.Signals>;
  /** The same signal later, or another one at any time. */
  readonly second: Promise<NodeJS.Signals>;
}

export function stopSignal(clock: Clock): StopSignal {
  let before: { readonly signal: NodeJS.Signals; readonly atMs: number } | null = null;
  let onFirst: (signal: NodeJS.Signals) => void = () => undefined;
  let onSecond: (signal: NodeJS.Signals) => void = () => undefined;
  const first = new Promise<NodeJS.Signals>((resolve) => {
    onFirst = resolve;
  });
  const second = new Promise<NodeJS.Signals>((resolve) => {
    onSecond = resolve;
  });
  const onSignal = (signal: NodeJS.Signals) => {
    const atMs = clock.nowMs();
    if (before === null) {
      before = { signal, atMs };
      onFirst(signal);
    } else if (signal !== before.signal || atMs - before.atMs >= ECHO_MS) onSecond(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return { first, second };
}
