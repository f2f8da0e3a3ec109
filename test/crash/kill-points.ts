/** When a process is killed: a seed decides between plain times and the moments just after something has left it. */
import type { SeededRng } from '../simulation/seeded-rng.ts';

/** What providers and clients see of a gateway; each may be the last thing that it did. */
export const GATEWAY_EVENTS = [
  'ticket',
  'score_order',
  'permission',
  'reveal',
  'claim',
  'first_byte',
  'answer',
  'checkpoint',
] as const;
export type GatewayEvent = (typeof GATEWAY_EVENTS)[number];

export type KillPoint =
  /** Milliseconds after the process was started: it may still be recovering. */
  | { readonly kind: 'start'; readonly afterMs: number }
  /** Milliseconds after it was ready. */
  | { readonly kind: 'time'; readonly afterMs: number }
  /** The nth event of a kind, and some microseconds. */
  | { readonly kind: 'event'; readonly event: GatewayEvent; readonly nth: number; readonly afterUs: number };

/** What this machine has needed lately, in milliseconds: kill times follow it, so that a slow one is not killed idle. */
export interface Pace {
  /** From the start of the process to its ready line. */
  startMs: number;
  /** From a call to its whole answer. */
  answerMs: number;
}

/** How many answers' time an event that may never come is waited for, and how long at most in milliseconds. */
const PATIENCE_ANSWERS = 12;
const PATIENCE_MAX_MS = 6_000;
/** Uniform times reach so many answers' time after the ready line. */
const TIME_ANSWERS = 3;
const EVENT_NTH_MAX = 12;
/** Longest delay after an event: a transaction with its fsync takes one to three milliseconds. */
const EVENT_DELAY_MAX_US = 4_000;

/** The next kill. */
export function killPoint(rng: SeededRng, { startMs, answerMs }: Pace): KillPoint {
  const draw = rng.unit();
  if (draw < 0.15) return { kind: 'start', afterMs: rng.between(Math.floor(startMs * 0.3), Math.ceil(startMs * 1.1)) };
  if (draw < 0.5)
    return { kind: 'time', afterMs: rng.between(0, Math.ceil(Math.min(TIME_ANSWERS * answerMs, PATIENCE_MAX_MS))) };
  const event = rng.pick(GATEWAY_EVENTS);
  const rare = event === 'score_order' || event === 'checkpoint';
  return {
    kind: 'event',
    event,
    nth: rng.between(1, rare ? 2 : EVENT_NTH_MAX),
    afterUs: rng.chance(0.3) ? 0 : rng.between(0, EVENT_DELAY_MAX_US),
  };
}

/** After which time a process is killed whatever has come, in milliseconds. */
export function patienceMs(point: KillPoint, { answerMs }: Pace): number {
  if (point.kind === 'time') return point.afterMs;
  return Math.min(PATIENCE_ANSWERS * answerMs, PATIENCE_MAX_MS);
}

/** A name for tables: `start`, `time` or the event. */
export function killName(point: KillPoint): string {
  return point.kind === 'event' ? `after ${point.event}` : point.kind;
}
