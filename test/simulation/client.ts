/** A client: asks, may hang up, and asks again where the connection broke. */
import type { Clock } from '#protocol/env';
import { API_KEY } from '../fixtures/network.ts';
import type { Life } from './life.ts';
import type { RequestPlan } from './scenario.ts';

/** What a client got. */
export interface Answer {
  readonly plan: RequestPlan;
  /** 0 where the client had left, or the connection broke, before there was any. */
  readonly status: number;
  readonly text: string;
  readonly requestText: string;
  /** What ended it: the gateway, the client itself, or the network. */
  readonly end: 'answered' | 'left' | 'broken';
}

/** Where requests go; no life while the gateway is down. */
export interface Door {
  readonly life: Life | null;
  handle(request: Request): Promise<Response>;
}

/** Between two tries of one client, in virtual milliseconds. */
const RETRY_MS = 3_000;
/** More than any gateway is down for. */
const TRIES_MAX = 60;

/** Asks until the connection holds. @returns every try, the last one last */
export async function ask(plan: RequestPlan, clock: Clock, door: Door): Promise<Answer[]> {
  await clock.sleep(plan.atMs - clock.nowMs());
  const tries: Answer[] = [];
  while (tries.length < TRIES_MAX) {
    const answer = await askOnce(plan, clock, door);
    tries.push(answer);
    if (answer.end !== 'broken') break;
    await clock.sleep(RETRY_MS);
  }
  return tries;
}

async function askOnce(plan: RequestPlan, clock: Clock, door: Door): Promise<Answer> {
  const requestText = JSON.stringify(plan.body);
  const ended = (end: Answer['end'], status = 0, text = ''): Answer => ({ plan, status, text, requestText, end });
  const { life } = door;
  if (!life?.alive) return ended('broken');
  const left = new AbortController();
  const over = new AbortController();
  if (plan.leavesAfterMs !== null) {
    clock.sleep(plan.leavesAfterMs, over.signal).then(
      () => left.abort(new Error('the client hung up')),
      () => undefined,
    );
  }
  const route = plan.body.prompt === undefined ? 'chat/completions' : 'completions';
  const request = new Request(`http://gateway/v1/${route}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${API_KEY}`,
      'content-type': 'application/json',
      ...(plan.idempotencyKey === undefined ? {} : { 'idempotency-key': plan.idempotencyKey }),
    },
    body: requestText,
    signal: left.signal,
  });
  const gone = new Promise<Answer>((resolve) => {
    life.cut.addEventListener('abort', () => resolve(ended(left.signal.aborted ? 'left' : 'broken')), {
      once: true,
      signal: over.signal,
    });
  });
  const answering = (async () => {
    const response = await door.handle(request);
    const text = await readUntil(response, left.signal, over.signal);
    return left.signal.aborted ? ended('left') : ended('answered', response.status, text);
  })();
  // A client that has left waits too: what the gateway still says is read by nobody, and must end all the same.
  const answer = await Promise.race([answering.catch(() => ended('left')), gone]);
  over.abort();
  return answer;
}

/** Reads a body until its end, or cancels it as a socket does when its client hangs up. */
async function readUntil(response: Response, signal: AbortSignal, over: AbortSignal): Promise<string> {
  if (response.body === null) return '';
  const reader = response.body.getReader();
  const leave = () => void reader.cancel(signal.reason);
  // Taken away by hand: by the `signal` option Node 20 keeps the listener as long as the signal, and the signal as long as its Request.
  if (!over.aborted) signal.addEventListener('abort', leave, { once: true });
  over.addEventListener('abort', () => signal.removeEventListener('abort', leave), { once: true });
  if (signal.aborted) await reader.cancel(signal.reason);
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
  }
}
