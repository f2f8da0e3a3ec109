/** What operators change while the gateway runs: settings, admissions, quarantine, signing keys. */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, oneOf } from './checks.ts';
import { APPLICATION_STATES, PROVIDER_ROLES, SIGNING_KEY_STATES } from './words.ts';

/** Tables of operation. */
export function operationTables(c: Columns) {
  /** Values that go before the configuration's, such as the default policy. */
  const settings = c.table('settings', {
    name: c.text('name').primaryKey(),
    valueJson: c.text('value_json').notNull(),
    updatedAtMs: c.int('updated_at_ms').notNull(),
  });

  /** Providers that operators have admitted, beside those of the configuration. */
  const admissions = c.table(
    'admissions',
    {
      url: c.text('url').primaryKey(),
      role: c.text('role', { enum: PROVIDER_ROLES }).notNull(),
      atMs: c.int('at_ms').notNull(),
    },
    () => [c.check('admissions_role', oneOf('role', PROVIDER_ROLES))],
  );

  /** Providers that no draw seats, each with the log entry that said so before. */
  const exclusions = c.table(
    'exclusions',
    {
      provider: c.text('provider').primaryKey(),
      reason: c.text('reason').notNull(),
      logIndex: c.int('log_index').notNull(),
      atMs: c.int('at_ms').notNull(),
    },
    () => [c.check('exclusions_index', atLeastZero('log_index'))],
  );

  /** Keys that sign, or have signed, for this gateway; the private halves are files. */
  const signingKeys = c.table(
    'signing_keys',
    {
      keyId: c.text('key_id').primaryKey(),
      address: c.text('address').notNull(),
      state: c.text('state', { enum: SIGNING_KEY_STATES }).notNull(),
      logIndex: c.int('log_index').notNull(),
      createdAtMs: c.int('created_at_ms').notNull(),
      activatedAtMs: c.int('activated_at_ms'),
    },
    (t) => [
      c.uniqueIndex('signing_keys_address').on(t.address),
      c.check('signing_keys_state', oneOf('state', SIGNING_KEY_STATES)),
      c.check('signing_keys_index', atLeastZero('log_index')),
    ],
  );

  /** Providers that asked to be admitted. */
  const applications = c.table(
    'applications',
    {
      provider: c.text('provider').primaryKey(),
      url: c.text('url').notNull(),
      operator: c.text('operator').notNull(),
      state: c.text('state', { enum: APPLICATION_STATES }).notNull(),
      atMs: c.int('at_ms').notNull(),
      decidedAtMs: c.int('decided_at_ms'),
    },
    (t) => [
      c.index('applications_state').on(t.state),
      c.check('applications_state_word', oneOf('state', APPLICATION_STATES)),
    ],
  );

  return { settings, admissions, exclusions, signingKeys, applications };
}
