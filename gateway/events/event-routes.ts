/** `GET /v1/events`: a client's own events as a stream that can be resumed (SPEC.md §10.5; WHATWG HTML §9.2). */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import type { GatewayApp, GatewayMiddleware } from '../http/context.ts';
import { bodyOfFrames, KEEP_ALIVE_MS } from '../openai/chat-stream.ts';
import { eventRange, eventsAfter, oldestEvent } from '../store/events-repo.ts';
import type { Store } from '../store/handle.ts';
import { apiKeyById } from '../store/keys-repo.ts';
import { eventFrame } from './event-body.ts';
import type { EventHub } from './event-hub.ts';

/** Events that wait unread in one stream: the others wait in the database. */
const PAGE = 100;
/** After so long a stream ends, and its reader comes back: one that nobody reads does not live for ever. */
const LIFE_MS = 3_600_000;
/** What a reader waits before it comes back. */
const RETRY_FRAME = 'retry: 2000\n\n';

export interface EventDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly hub: EventHub;
}

export function mountEvents(app: GatewayApp, auth: GatewayMiddleware, deps: EventDeps): void {
  app.get('/v1/events', auth, async (c) => {
    const { keyId } = c.get('apiKey');
    const after = cursorOf(c.req.header('last-event-id') ?? c.req.query('last_event_id'));
    const leave = deps.hub.enter(keyId);
    const left = new AbortController();
    const ended = c.get('ended');
    Object.assign(c.get('observation'), { deferred: true, stream: true });
    const body = bodyOfFrames(framesOf(deps, keyId, after, left.signal), {
      clock: deps.clock,
      keepAliveMs: KEEP_ALIVE_MS,
      onCancel: () => left.abort(),
      onEnd: () => {
        leave();
        ended();
      },
    });
    return c.body(body, 200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' });
  });
}

/** @returns null where the reader names none: it hears what happens from now on */
function cursorOf(text: string | undefined): number | null {
  if (text === undefined || text === '') return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ProtocolError('invalid_request', 'Last-Event-ID is not the id of an event.', { param: 'Last-Event-ID' });
}

async function* framesOf(
  { store, clock, hub }: EventDeps,
  keyId: string,
  from: number | null,
  left: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const untilMs = clock.nowMs() + LIFE_MS;
  let after = from ?? (await store.read((handle) => eventRange(handle, keyId)))?.last ?? 0;
  yield RETRY_FRAME;
  const oldest = await store.read(oldestEvent);
  // Of those that were forgotten meanwhile some may have been this reader's.
  if (from !== null && oldest !== null && oldest > from + 1) yield `event: gap\ndata: {"after":${from}}\n\n`;
  while (!left.aborted && !hub.isOver && clock.nowMs() < untilMs) {
    const { rows, isRevoked } = await store.read(async (handle) => ({
      rows: await eventsAfter(handle, keyId, after, PAGE),
      isRevoked: (await apiKeyById(handle, keyId))?.revokedAtMs !== null,
    }));
    if (isRevoked) return;
    for (const row of rows) {
      after = row.seq;
      yield eventFrame(row);
    }
    if (rows.length < PAGE) await hub.change(left);
  }
}
