/** Sends events to webhooks out of a durable queue, again and again until they are taken or given up (SPEC.md §10.6). */

import type { Clock } from '#protocol/env';
import { signWebhook } from '#protocol/webhook';
import type { SecretBox } from '../committee/epochs.ts';
import { errorFields, type Log } from '../log.ts';
import { type DueDelivery, dueDeliveries, recordTry, stopWebhook } from '../store/events-repo.ts';
import type { Store } from '../store/handle.ts';
import { eventBody, eventId } from './event-body.ts';
import type { WebhookCall } from './webhook-call.ts';

const [SECOND_MS, MINUTE_MS, HOUR_MS] = [1_000, 60_000, 3_600_000];
/** From each try to the next: 75 hours and 35 minutes in all, so that a weekend's outage loses nothing (as Standard Webhooks suggests). */
export const RETRIES_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];
/** A receiver that needs longer has to answer first and work afterwards. */
const TRY_MS = 15_000;
/** Tries at one time. */
const RUNNING_MAX = 16;
/** The receiver wants no more (RFC 9110 §15.5.11). */
const GONE = 410;

export interface SenderDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly box: SecretBox;
  readonly log: Log;
  readonly call: WebhookCall;
  readonly background: (work: Promise<void>) => void;
  readonly stopping: AbortSignal;
}

export class WebhookSender {
  readonly #deps: SenderDeps;
  /** Keys that are being called: one after the other each, so that events come in order while all goes well. */
  readonly #busy = new Set<string>();

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  /** Begins what is due; called after events, on a timer and at a start. */
  async runDue(): Promise<void> {
    const { store, clock, background, stopping } = this.#deps;
    if (stopping.aborted) return;
    const due = await store.read((handle) => dueDeliveries(handle, clock.nowMs(), RUNNING_MAX * 4));
    for (const one of due) {
      const { keyId } = one.delivery;
      if (this.#busy.has(keyId) || this.#busy.size >= RUNNING_MAX) continue;
      this.#busy.add(keyId);
      background(
        this.#try(one)
          .finally(() => this.#busy.delete(keyId))
          .then(() => this.runDue()),
      );
    }
  }

  async #try({ delivery, event, hook }: DueDelivery): Promise<void> {
    const { store, clock, stopping, log } = this.#deps;
    const status = await this.#send(hook, eventId(event), eventBody(event));
    // A stop is not the receiver's fault: the next start tries again.
    if (stopping.aborted) return;
    const nowMs = clock.nowMs();
    const tries = delivery.tries + 1;
    const isTaken = status !== null && status >= 200 && status < 300;
    const waitMs = RETRIES_MS[delivery.tries];
    const state = isTaken ? 'delivered' : status === GONE || waitMs === undefined ? 'given_up' : 'waiting';
    await store.withTx(async (tx) => {
      await recordTry(tx, delivery.seq, { state, tries, dueAtMs: nowMs + (waitMs ?? 0), status });
      if (status === GONE) await stopWebhook(tx, delivery.keyId, nowMs);
    });
    if (state === 'given_up')
      log.warn('webhook_given_up', { keyId: delivery.keyId, code: String(status ?? 'no_reply') });
  }

  /** @returns the status of the reply; null where there was none in time */
  async #send(hook: DueDelivery['hook'], id: string, body: string): Promise<number | null> {
    const { clock, box, call, stopping, log } = this.#deps;
    const secret = new TextDecoder().decode(box.open(hook.sealedSecret));
    const ended = new AbortController();
    const onStop = () => ended.abort(stopping.reason);
    stopping.addEventListener('abort', onStop, { once: true });
    const timer = new AbortController();
    void clock.sleep(TRY_MS, timer.signal).then(
      () => ended.abort(new Error('no reply in time')),
      () => undefined,
    );
    try {
      const headers = { 'content-type': 'application/json', ...signWebhook(secret, id, body, clock.nowMs()) };
      return await call(hook.url, { headers, body, signal: ended.signal });
    } catch (error) {
      log.debug('webhook_failed', errorFields(error));
      return null;
    } finally {
      timer.abort();
      stopping.removeEventListener('abort', onStop);
    }
  }
}
