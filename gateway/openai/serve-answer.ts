/** Serves an answer to one client: its own, or under an idempotency key one that is shared or was made before. */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import { clientLeft } from '../http/client-left.ts';
import type { GatewayContext } from '../http/context.ts';
import type { KeyedCall } from './answer.ts';
import { bodyOfFrames } from './chat-stream.ts';
import type { IdempotencyDesk, Keeper, MadeAnswer } from './idempotency.ts';

export interface ServeDeps {
  readonly clock: Clock;
  /** Longest silence of a stream in milliseconds before a comment is sent. */
  readonly keepAliveMs: number;
  readonly idempotency: IdempotencyDesk;
}

/** What making an answer is given: when to give up, and where to keep what it makes. */
export interface Making {
  /** Aborts when the client leaves; never under an idempotency key. */
  readonly signal: AbortSignal;
  readonly keeper: Keeper | null;
}

const REPLAYED_HEADERS = { 'idempotent-replayed': 'true' };

/** @throws {ProtocolError} what `make` throws before there is anything to send, and idempotency_key_reused */
export async function serveAnswer(
  c: GatewayContext,
  deps: ServeDeps,
  keyed: KeyedCall | null,
  make: (making: Making) => Promise<MadeAnswer>,
): Promise<Response> {
  if (keyed === null) return serveOwn(c, deps, make);
  const { recording, isShared, ended } = await deps.idempotency.answer(c.get('apiKey').keyId, keyed, (keeper) =>
    make({ signal: new AbortController().signal, keeper }),
  );
  // Whoever leaves a keyed call behind has not left its place: else leaving would be a way around the limit.
  void ended.then(c.get('admission').hold());
  const { headers, isStream } = await recording.head();
  const shown = isShared ? { ...headers, ...REPLAYED_HEADERS } : headers;
  if (isStream) return streamed(c, deps, shown, recording.read(), () => {});
  let body = '';
  for await (const part of recording.read()) body += part;
  return new Response(body, { headers: shown });
}

async function serveOwn(
  c: GatewayContext,
  deps: ServeDeps,
  make: (making: Making) => Promise<MadeAnswer>,
): Promise<Response> {
  // The request's own signal covers plain answers; a stream's `cancel` covers the rest.
  const { controller, release } = clientLeft(c.req.raw);
  const { headers, body } = await make({ signal: controller.signal, keeper: null }).finally(release);
  if (typeof body === 'string') return new Response(body, { headers });
  return streamed(c, deps, headers, body, () => {
    controller.abort(new ProtocolError('client_closed', 'The client has left.'));
    c.get('observation').code ??= 'client_closed';
    c.get('ended')();
  });
}

function streamed(
  c: GatewayContext,
  { clock, keepAliveMs }: ServeDeps,
  headers: MadeAnswer['headers'],
  frames: AsyncGenerator<string, void, undefined>,
  onCancel: () => void,
): Response {
  const onEnd = c.get('admission').hold();
  return new Response(bodyOfFrames(frames, { clock, keepAliveMs, onCancel, onEnd }), { headers });
}
