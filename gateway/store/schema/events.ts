/** What clients are told about their answers afterwards, and the calls that carry it to them (SPEC.md §10.6, §10.7). */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, oneOf } from './checks.ts';
import type { PartyTables } from './parties.ts';
import { DELIVERY_STATES } from './words.ts';

/** Tables of events. */
export function eventTables(c: Columns, { apiKeys }: Pick<PartyTables, 'apiKeys'>) {
  /** Consecutive over all keys; a client sees its own. Ids, words and amounts only, never content. */
  const clientEvents = c.table(
    'client_events',
    {
      seq: c.int('seq').primaryKey(),
      keyId: c
        .text('key_id')
        .notNull()
        .references(() => apiKeys.keyId),
      type: c.text('type').notNull(),
      bodyJson: c.text('body_json').notNull(),
      atMs: c.int('at_ms').notNull(),
    },
    (t) => [
      c.index('client_events_key').on(t.keyId, t.seq),
      c.index('client_events_time').on(t.atMs),
      c.check('client_events_seq', atLeastZero('seq')),
    ],
  );

  /** Where a key's events are sent. */
  const webhooks = c.table('webhooks', {
    keyId: c
      .text('key_id')
      .primaryKey()
      .references(() => apiKeys.keyId),
    url: c.text('url').notNull(),
    /** Sealed under the gateway's key; shown once. */
    sealedSecret: c.text('sealed_secret').notNull(),
    createdAtMs: c.int('created_at_ms').notNull(),
    /** Since the receiver said that it is gone. */
    stoppedAtMs: c.int('stopped_at_ms'),
  });

  /** One row for every event of a key that had a webhook when it happened. */
  const webhookDeliveries = c.table(
    'webhook_deliveries',
    {
      seq: c
        .int('seq')
        .primaryKey()
        .references(() => clientEvents.seq),
      keyId: c.text('key_id').notNull(),
      state: c.text('state', { enum: DELIVERY_STATES }).notNull(),
      tries: c.int('tries').notNull(),
      dueAtMs: c.int('due_at_ms').notNull(),
      /** HTTP status of the last try; null where there was no reply. */
      status: c.int('status'),
    },
    (t) => [
      c.index('webhook_deliveries_due').on(t.state, t.dueAtMs),
      c.index('webhook_deliveries_key').on(t.keyId, t.seq),
      c.check('webhook_deliveries_state', oneOf('state', DELIVERY_STATES)),
      c.check('webhook_deliveries_tries', condition('tries >= 0')),
    ],
  );

  return { clientEvents, webhooks, webhookDeliveries };
}
