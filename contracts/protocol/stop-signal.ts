/** Signals that end a process: the first lets running work finish, a second does not wait for it. */
import type { Clock } from './env.ts';

/** A terminal's Ctrl-C reaches npm and this process, and npm passes it on: the same signal so soon is one wish. */
const ECHO_MS = 1_000;

export interface StopSignal {
  /** The first signal. */
  readonly first: Promise<string>;
  /** The same signal later, or another one at any time. */
  readonly second: Promise<string>;
}

/** Where signals come from: the part of Node's `process` that is used. */
export interface SignalSource {
  on(signal: 'SIGTERM' | 'SIGINT', listener: (signal: string) => void): unknown;
}

/** @param source the process; it then no longer ends by itself */
export function stopSignal(clock: Clock, source: SignalSource): StopSignal {
  let before: { readonly signal: string; readonly atMs: number } | null = null;
  let onFirst: (signal: string) => void = () => undefined;
  let onSecond: (signal: string) => void = () => undefined;
  const first = new Promise<string>((resolve) => {
    onFirst = resolve;
  });
  const second = new Promise<string>((resolve) => {
    onSecond = resolve;
  });
  const onSignal = (signal: string) => {
    const atMs = clock.nowMs();
    if (before === null) {
      before = { signal, atMs };
      onFirst(signal);
    } else if (signal !== before.signal || atMs - before.atMs >= ECHO_MS) onSecond(signal);
  };
  source.on('SIGTERM', onSignal);
  source.on('SIGINT', onSignal);
  return { first, second };
}
