/** Each kind of damage is done to one row of a real database, and fsck says which; an undamaged one gives no line. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compactForm } from '#protocol/attestation';
import { createClock } from '#protocol/clock';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK } from '#protocol/command-line';
import type { Hex } from '#protocol/hash';
import { runFsck } from '../../gateway/cli/fsck.ts';
import { DAMAGES, type DamageCode } from '../../gateway/fsck/damage.ts';
import { livedDatabase } from '../fixtures/lived-database.ts';

const home = mkdtempSync(path.join(tmpdir(), 'assay-fsck-'));
const original = path.join(home, 'lived.sqlite');

beforeAll(async () => {
  await livedDatabase(original);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

const clock = createClock({ now: () => 0, after: () => () => undefined });
const rng = { bytes: (length: number) => new Uint8Array(length) };

/** Runs the command over a copy that `harm` has changed. */
async function fsck(
  harm: (sqlite: Database.Database) => void,
): Promise<{ code: number; lines: string[]; errors: string[] }> {
  const folder = mkdtempSync(path.join(home, 'case-'));
  const file = path.join(folder, 'assay.sqlite');
  copyFileSync(original, file);
  const sqlite = new Database(file);
  // Whoever damages a row by hand is not stopped by the checks of the table.
  sqlite.pragma('foreign_keys = OFF');
  sqlite.pragma('ignore_check_constraints = ON');
  harm(sqlite);
  sqlite.close();
  const lines: string[] = [];
  const errors: string[] = [];
  const io = { print: (line: string) => lines.push(line), fail: (line: string) => errors.push(line), clock, rng };
  const code = await runFsck(['--data-folder', folder], io);
  return { code, lines, errors };
}

const HASH = `'0x${'ab'.repeat(32)}'`;
const one = (table: string, condition = 'true') => `rowid = (select rowid from ${table} where ${condition} limit 1)`;

test('attestations as they were stored before, signature and statement in one text, are as good', async () => {
  const { code, lines } = await fsck((sqlite) => {
    const rows = sqlite.prepare('select request_id, statement_json, compact from attestations').all() as {
      request_id: string;
      statement_json: string;
      compact: Hex;
    }[];
    expect(rows.length).toBeGreaterThan(1);
    const change = sqlite.prepare('update attestations set compact = ? where request_id = ?');
    for (const row of rows) change.run(compactForm(row.statement_json, row.compact), row.request_id);
  });
  expect([code, lines.filter((line) => line.includes('_wrong'))]).toEqual([EXIT_OK, []]);
});

/** One change by hand each, and the line that it must bring. */
const HARMS: readonly (readonly [DamageCode, string])[] = [
  ['dangling_reference', `delete from requests where ${one('requests', "state = 'failed'")}`],
  ['unreadable_row', `update jobs set ticket_json = '{}' where ${one('jobs')}`],
  ['unreadable_row', `update attestations set statement_json = '{' where ${one('attestations')}`],
  [
    'unreadable_row',
    `update attestations set receipt_json = '[]' where ${one('attestations', 'receipt_json is not null')}`,
  ],
  ['unreadable_row', `update jobs set claim_json = 'x' where ${one('jobs', 'claim_json is not null')}`],
  ['books_unbalanced', "update accounts set balance_nano = balance_nano + 1 where id = 'reserve'"],
  ['books_unbalanced', `update postings set amount_nano = amount_nano + 1 where ${one('postings')}`],
  ['books_unbalanced', "delete from transfers where id = 'deposit:genesis:reserve'"],
  [
    'hold_left',
    "update accounts set balance_nano = 5 where id = (select id from accounts where kind = 'escrow' and owner in (select request_id from requests where state = 'settled') limit 1)",
  ],
  [
    'hold_missing',
    `update requests set state = 'running', ended_at_ms = null, verdict = null where ${one('requests', "state = 'settled'")}`,
  ],
  ['hold_missing', `delete from transfers where id = (select 'hold:' || request_id from requests limit 1)`],
  [
    'close_wrong',
    `delete from transfers where id = (select 'close:' || request_id from requests where state = 'settled' limit 1)`,
  ],
  [
    'close_wrong',
    `update requests set state = 'running', ended_at_ms = null, verdict = null where ${one('requests', "state = 'settled'")}`,
  ],
  ['charge_wrong', `update requests set charged_nano = charged_nano + 1 where ${one('requests', "state = 'settled'")}`],
  ['earned_wrong', `update jobs set earned_nano = earned_nano + 1 where ${one('jobs', 'earned_nano > 0')}`],
  [
    'frozen_wrong',
    `update disputes set state = 'ruled', settled_at_ms = null where ${one('disputes', "state = 'settled' and frozen_nano > 0")}`,
  ],
  [
    'withheld_wrong',
    `update disputes set state = 'ruled', settled_at_ms = null where ${one('disputes', "state = 'settled' and withheld_client_nano > 0")}`,
  ],
  ['dispute_money_wrong', `update disputes set frozen_nano = frozen_nano + 1 where ${one('disputes')}`],
  ['dispute_money_wrong', "delete from transfers where reason = 'dispute'"],
  ['log_gap', 'delete from log_entries where log_index = 3'],
  ['log_gap', "update counters set next = next + 1 where name = 'log'"],
  ['log_leaf_wrong', `update log_entries set leaf_hash = ${HASH} where log_index = 2`],
  [
    'log_leaf_wrong',
    `update log_entries set entry_json = replace(entry_json, '"atMs":', '"atMs":1') where log_index = 2`,
  ],
  ['log_node_wrong', `update log_nodes set hash = ${HASH} where level = 1 and node_index = 0`],
  ['log_node_wrong', 'delete from log_nodes where level = 2 and node_index = 0'],
  ['checkpoint_wrong', `update checkpoints set root = ${HASH} where ${one('checkpoints')}`],
  ['checkpoint_wrong', 'update checkpoints set size = size + 1000 where size = (select max(size) from checkpoints)'],
  [
    'checkpoint_note_wrong',
    'update checkpoints set note = (select note from checkpoints c where c.size <> checkpoints.size and note is not null limit 1) where size = (select max(size) from checkpoints)',
  ],
  ['request_log_wrong', `update requests set log_index = 0 where ${one('requests', "state = 'settled'")}`],
  ['request_log_wrong', `update requests set error_code = 'queue_full' where ${one('requests', "state = 'failed'")}`],
  ['log_orphan', `delete from requests where ${one('requests', "state = 'failed'")}`],
  ['log_orphan', 'delete from dispute_moves where move_index = 0'],
  ['draw_wrong', `delete from draws where ${one('draws')}`],
  ['draw_wrong', `update draws set state = 'aborted' where ${one('draws', "state = 'used'")}`],
  ['draw_wrong', "update counters set next = next + 1 where name = 'draw:0'"],
  ['epoch_wrong', `update epochs set draw_root = ${HASH} where ${one('epochs')}`],
  ['epoch_wrong', `update epochs set snapshot_json = '{}' where ${one('epochs')}`],
  ['attestation_missing', `delete from attestations where ${one('attestations')}`],
  ['attestation_wrong', `update attestations set content_hash = ${HASH} where ${one('attestations')}`],
  [
    'attestation_wrong',
    `update attestations set statement_json = replace(statement_json, '"attempt":1', '"attempt":2') where ${one('attestations')}`,
  ],
  [
    'attestation_wrong',
    'update attestations set compact = (select compact from attestations a where a.log_index <> attestations.log_index limit 1)',
  ],
  [
    'receipt_wrong',
    `update attestations set receipt_json = (select receipt_json from attestations a where a.log_index <> attestations.log_index and receipt_json is not null limit 1) where ${one('attestations', 'receipt_json is not null')}`,
  ],
  ['job_wrong', "update jobs set provider = '0x00'"],
  ['job_wrong', `update jobs set standing = null where ${one('jobs', "role = 'member'")}`],
  [
    'job_wrong',
    `update jobs set claim_json = (select claim_json from jobs j where j.job_id <> jobs.job_id and claim_json is not null limit 1) where ${one('jobs', 'claim_json is not null')}`,
  ],
  ['job_over_cover', `update requests set cover_nano = 1 where ${one('requests', "state = 'settled'")}`],
  ['round_wrong', `update rounds set round_root = ${HASH}`],
  [
    'round_wrong',
    `update rounds set request_id = (select request_id from requests r where r.request_id <> rounds.request_id limit 1) where ${one('rounds')}`,
  ],
  ['dispute_wrong', `update disputes set state = 'evidence' where ${one('disputes', "state = 'settled'")}`],
  ['dispute_wrong', `update disputes set ruling = 'abandoned' where ${one('disputes', "ruling = 'upheld'")}`],
  ['dispute_wrong', "update disputes set provider = '0x00'"],
  ['dispute_move_wrong', 'update dispute_moves set at_ms = at_ms + 1 where move_index = 1'],
  [
    'dispute_move_wrong',
    'update dispute_moves set signature = (select signature from dispute_moves m where m.move_index = 0 limit 1) where move_index = 1',
  ],
  ['budget_wrong', 'update key_budgets set spent_nano = spent_nano - 1'],
  ['budget_wrong', 'update key_budgets set period_spent_nano = period_spent_nano - 1'],
  ['budget_wrong', 'update key_budgets set spent_nano = 0, period_spent_nano = 0'],
  ['budget_wrong', 'update key_budgets set period_spent_nano = spent_nano + 1'],
  ['signing_key_wrong', `update signing_keys set address = '0x${'ab'.repeat(20)}' where state = 'active'`],
  ['signing_key_wrong', 'update signing_keys set log_index = 1 where key_id = (select max(key_id) from signing_keys)'],
  ['signing_key_wrong', "update signing_keys set state = 'past' where state = 'active'"],
  ['signing_key_wrong', "update signing_keys set state = 'active' where state = 'past'"],
  ['signing_key_wrong', "delete from signing_keys where state = 'active'"],
  ['signing_key_wrong', 'delete from signing_keys'],
  ['signing_key_wrong', "update signing_keys set activated_at_ms = null where state = 'active'"],
  ['idempotency_wrong', `update idempotency_keys set key_id = 'other' where ${one('idempotency_keys')}`],
  ['evidence_wrong', `update scored_responses set provider = '0x12' where ${one('scored_responses')}`],
  ['evidence_wrong', `update evidence_accounts set wealth = '2' where ${one('evidence_accounts')}`],
  ['evidence_wrong', `delete from evidence_accounts where ${one('evidence_accounts')}`],
  ['log_orphan', `delete from scored_responses where ${one('scored_responses')}`],
  ['audit_wrong', `update audits set provider = '0x12' where ${one('audits')}`],
  ['audit_wrong', "update requests set policy_json = replace(policy_json, 'audited', 'single')"],
  ['log_orphan', `delete from audits where ${one('audits')}`],
  ['audit_wrong', `delete from audits where ${one('audits')}`],
  ['audit_money_wrong', `delete from audit_jobs where ${one('audit_jobs')}`],
  [
    'audit_money_wrong',
    "update postings set amount_nano = amount_nano + 1 where account = 'escrow:audits' and amount_nano > 0",
  ],
  ['jackpot_wrong', "delete from transfers where id = (select id from transfers where id like 'jackpot:%' limit 1)"],
  ['jackpot_wrong', "update postings set amount_nano = amount_nano * 2 where transfer_id like 'jackpot:%'"],
  [
    'jackpot_wrong',
    `insert into transfers select 'jackpot:x/0', 'late', request_id, null, 0 from transfers where ${one('transfers')}`,
  ],
  ['examination_wrong', `update examined set provider = '0x12' where ${one('examined')}`],
  ['examination_wrong', `update examined set outcome = 'undone' where ${one('examined', "outcome = 'held'")}`],
  ['examination_wrong', `update examinations set occasion = 'first'`],
  ['examination_wrong', 'update examinations set ended_at_ms = null'],
  ['examination_wrong', 'update examinations set fee_nano = fee_nano - 1'],
  ['examination_wrong', "delete from transfers where id like 'examination:%'"],
  ['examination_wrong', "update postings set amount_nano = amount_nano * 2 where transfer_id like 'examination:%'"],
  ['examination_wrong', `delete from examined where ${one('examined')}`],
  ['log_orphan', 'delete from examinations'],
  ['reexamined_wrong', `update reexamined set provider = '0x12' where ${one('reexamined')}`],
  ['reexamined_wrong', `update reexamined set outcome = 'stands' where ${one('reexamined', "outcome = 'overturned'")}`],
  ['reexamined_wrong', `update reexamined set outcome = null where ${one('reexamined', "outcome = 'overturned'")}`],
  ['reexamined_wrong', 'update reexaminations set ended_at_ms = null'],
  ['log_orphan', 'delete from reexamined'],
  [
    'overturn_wrong',
    `update attestations set overturned_by = null where ${one('attestations', 'overturned_by is not null')}`,
  ],
  [
    'overturn_wrong',
    `update attestations set overturned_by = ${HASH} where ${one('attestations', 'overturned_by is null')}`,
  ],
  [
    'overturn_wrong',
    `update log_entries set entry_json = replace(entry_json, '"reason":"rejected', '"reason":"Rejected') where entry_json like '%"overturned"%'`,
  ],
  [
    'refund_wrong',
    `update requests set refunded_nano = refunded_nano - 1 where ${one('requests', 'refunded_nano > 0')}`,
  ],
  [
    'refund_wrong',
    `update reexamined set refunded_nano = refunded_nano * 2 where ${one('reexamined', 'refunded_nano > 0')}`,
  ],
];

test('an undamaged database with answers, failures and disputes gives no finding', async () => {
  const { code, lines } = await fsck(() => undefined);
  expect(lines).toEqual([
    expect.stringMatching(/^nothing is wrong: \d+ requests, \d+ log entries, [1-9]\d* disputes$/),
  ]);
  expect(code).toBe(EXIT_OK);
});

test.each(HARMS)('%s is found after: %s', async (wanted, statement) => {
  const { code, lines } = await fsck((sqlite) => {
    expect(sqlite.prepare(statement).run().changes).toBeGreaterThan(0);
  });
  expect(lines.map((line) => line.split(' ')[0])).toContain(wanted);
  expect(code).toBe(EXIT_FAILED);
});

test('broken pages are found as a damaged file, or end the reading with one line', async () => {
  const { code, lines, errors } = await fsck((sqlite) => {
    const page = (
      sqlite.prepare("select rootpage from sqlite_master where name = 'rounds_request'").get() as { rootpage: number }
    ).rootpage;
    const size = sqlite.pragma('page_size', { simple: true }) as number;
    sqlite.pragma('wal_checkpoint(TRUNCATE)');
    sqlite.pragma('journal_mode = DELETE');
    const file = sqlite.name;
    const bytes = Buffer.alloc(size, 0xa5);
    const whole = sqlite.serialize();
    bytes.copy(whole, (page - 1) * size);
    sqlite.close();
    writeFileSync(file, whole);
  });
  expect(code).toBe(EXIT_FAILED);
  expect([...lines, ...errors].join('\n')).toMatch(/file_damaged|cannot be read/);
});

test('every code of the list is shown by a test', () => {
  const shown = new Set<string>([...HARMS.map(([code]) => code), 'file_damaged']);
  expect(Object.keys(DAMAGES).filter((code) => !shown.has(code))).toEqual([]);
});

test('a folder without a database, and a call without a folder, are refused', async () => {
  const empty = path.join(home, 'empty');
  mkdirSync(empty);
  const errors: string[] = [];
  const io = { print: () => undefined, fail: (line: string) => errors.push(line), clock, rng };
  expect(await runFsck(['--data-folder', empty], io)).toBe(EXIT_FAILED);
  expect(await runFsck([], io)).toBe(EXIT_MISUSED);
  expect(errors).toEqual([
    expect.stringContaining('holds no gateway database'),
    expect.stringContaining('needs --data-folder'),
  ]);
});
