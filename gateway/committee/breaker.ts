/**
 * When a provider that keeps failing is left alone, and when it is tried again (DESIGN §4.3; M. Nygard, Release It!, ch. 5).
 * Pure: time comes in, the next state comes out.
 */

/** Failures in a row that open a breaker: one broken connection is weather, five are not. */
export const CONSECUTIVE_MAX = 5;
/** Outcomes that the failure ratio looks back on. */
export const WINDOW = 20;
/** Fewest outcomes that a ratio is taken of. */
export const WINDOW_MIN = 10;
/** Share of failures in the window that opens a breaker, in percent. */
export const FAILURE_PERCENT = 50;
/** First time that a breaker stays open: 5 s; it doubles with every further opening. */
export const OPEN_MS = 5_000;
/** Longest time that a breaker stays open: 5 minutes. */
export const OPEN_MAX_MS = 5 * 60_000;
/** Answers of a half-open provider, one at a time, that close its breaker. */
export const PROBES_NEEDED = 2;
/** Answers in a row after which earlier openings are forgotten; until then a provider that flaps is left alone ever longer. */
export const FORGIVEN_AFTER = 20;

interface Past {
  /** Openings that are not forgotten. */
  readonly opens: number;
}

export interface ClosedBreaker extends Past {
  readonly kind: 'closed';
  readonly failuresInRow: number;
  readonly answersInRow: number;
  /** Newest last; true for an answer. */
  readonly recent: readonly boolean[];
}

export interface OpenBreaker extends Past {
  readonly kind: 'open';
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface HalfOpenBreaker extends Past {
  readonly kind: 'half_open';
  /** Jobs that are being tried. */
  readonly probing: number;
  readonly answered: number;
}

export type Breaker = ClosedBreaker | OpenBreaker | HalfOpenBreaker;

export const NEW_BREAKER: Breaker = { kind: 'closed', opens: 0, failuresInRow: 0, answersInRow: 0, recent: [] };

/** What happened to a provider: a job was sent, brought what it should, did not, or ended without saying either. */
export type BreakerEvent = 'sent' | 'answered' | 'failed' | 'dropped';

/** The state as time alone changes it: an open breaker whose time is over is half open. */
export function breakerAt(breaker: Breaker, nowMs: number): Breaker {
  if (breaker.kind !== 'open' || nowMs < breaker.untilMs) return breaker;
  return { kind: 'half_open', opens: breaker.opens, probing: 0, answered: 0 };
}

/** Whether a job may be sent: to a half-open provider one at a time. */
export function admits(breaker: Breaker, nowMs: number): boolean {
  const now = breakerAt(breaker, nowMs);
  return now.kind === 'closed' || (now.kind === 'half_open' && now.probing === 0);
}

/** The next state. */
export function afterEvent(breaker: Breaker, event: BreakerEvent, nowMs: number): Breaker {
  const now = breakerAt(breaker, nowMs);
  switch (now.kind) {
    case 'closed':
      return afterClosed(now, event, nowMs);
    case 'half_open':
      return afterHalfOpen(now, event, nowMs);
    case 'open':
      // What was sent before it opened says nothing new.
      return now;
  }
}

function afterClosed(breaker: ClosedBreaker, event: BreakerEvent, nowMs: number): Breaker {
  if (event === 'sent' || event === 'dropped') return breaker;
  const answered = event === 'answered';
  const recent = [...breaker.recent, answered].slice(-WINDOW);
  const failuresInRow = answered ? 0 : breaker.failuresInRow + 1;
  const answersInRow = answered ? breaker.answersInRow + 1 : 0;
  const failures = recent.filter((outcome) => !outcome).length;
  const isMostlyFailing = recent.length >= WINDOW_MIN && failures * 100 >= recent.length * FAILURE_PERCENT;
  if (!answered && (failuresInRow >= CONSECUTIVE_MAX || isMostlyFailing)) return opened(breaker.opens + 1, nowMs);
  return {
    kind: 'closed',
    opens: answersInRow >= FORGIVEN_AFTER ? 0 : breaker.opens,
    failuresInRow,
    answersInRow,
    recent,
  };
}

function afterHalfOpen(breaker: HalfOpenBreaker, event: BreakerEvent, nowMs: number): Breaker {
  const probing = event === 'sent' ? breaker.probing + 1 : Math.max(0, breaker.probing - 1);
  if (event === 'failed') return opened(breaker.opens + 1, nowMs);
  if (event !== 'answered') return { ...breaker, probing };
  const answered = breaker.answered + 1;
  if (answered < PROBES_NEEDED) return { ...breaker, probing, answered };
  return { kind: 'closed', opens: breaker.opens, failuresInRow: 0, answersInRow: answered, recent: [] };
}

function opened(opens: number, nowMs: number): OpenBreaker {
  return { kind: 'open', opens, sinceMs: nowMs, untilMs: nowMs + openMs(opens) };
}

/** How long the `opens`-th opening in a row lasts, in milliseconds: 5 s, 10 s, 20 s, … 5 minutes. */
export function openMs(opens: number): number {
  return Math.min(OPEN_MAX_MS, OPEN_MS * 2 ** Math.min(opens - 1, 30));
}
