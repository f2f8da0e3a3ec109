/** Accumulated evidence in a running gateway: counted, logged, quarantined, accused, recomputed; the same after a restart. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountKey, replayEvidence } from '#protocol/evidence-book';
import { PPM, type ScoredEntry } from '#protocol/log';
import { AUDIT_RULES } from '../../gateway/audit/equilibrium.ts';
import { zDisputeBundle } from '../../gateway/dispute/bundle.ts';
import { findingOf } from '../../gateway/dispute/finding.ts';
import { disputeById, listDisputes } from '../../gateway/store/disputes-repo.ts';
import { listEvidenceAccounts } from '../../gateway/store/evidence-repo.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { signerOf, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';
import { entriesOf } from '../fixtures/toy-networks.ts';
import { TOY_MODEL, toyMachine } from '../simulation/toy-machine.ts';

const CHEAT = 'p0';
const OPERATOR = `operator-${CHEAT}`;
const ASKED = {
  temperature: 1,
  max_tokens: 12,
  logit_bias: { 0: -100 },
  verification: { mode: 'witnessed', n: 3, agree: 2 },
};
const KEY_ID = 'key-test';

let network: ToyNetwork;
let number = 0;

async function ask(): Promise<number> {
  const response = await network.call('/v1/chat/completions', {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: TOY_MODEL.id,
      messages: [{ role: 'user', content: `question ${number++}` }],
      ...ASKED,
    }),
  });
  await response.text();
  await network.gateway.settled();
  return response.status;
}

async function scoredEntries(): Promise<ScoredEntry[]> {
  const entries = await entriesOf(network);
  return entries.flatMap((entry) => (entry.type === 'scored' ? [entry] : []));
}

async function stageOf(operator: string): Promise<string | undefined> {
  const rows = await network.store.read(listEvidenceAccounts);
  return rows.find((row) => row.operator === operator)?.stage;
}

async function askUntil(isThere: () => Promise<boolean>, most: number): Promise<void> {
  for (let i = 0; i < most; i++) {
    if (await isThere()) return;
    await ask();
  }
  throw new Error(`not there after ${most} requests`);
}

beforeAll(async () => {
  const audits = { ratePpm: null, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
  const engines = { [CHEAT]: toyMachine({ salt: 'cheap' }) };
  network = await startToyNetwork({ members: 4, engines, limits: { audits } });
  // Every rejected answer costs it a fifth of its stake; a draw by what would be left would hardly seat it any more.
  const order = { account: `stake:${signerOf(CHEAT).address}`, amount_nano: `1${'0'.repeat(17)}`, reference: 'rich' };
  expect((await network.admin('POST', '/deposits', order)).status).toBe(201);
  network.gateway.epochs.renew();
});
afterAll(async () => {
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
});

test('witnessed responses are counted by the account of their operator; a cheat is put into quarantine, the honest are not', async () => {
  await askUntil(async () => (await stageOf(OPERATOR)) === 'quarantine', 60);
  await ask();
  const entries = await scoredEntries();
  expect(replayEvidence(entries).problems).toEqual([]);
  const honest = entries.filter(({ operator }) => operator !== OPERATOR);
  expect(honest.length).toBeGreaterThan(0);
  expect(honest.map(({ stage }) => stage)).toEqual(honest.map(() => 'clear'));
  const excluded = network.gateway.registry.excluded();
  expect(excluded.map(({ provider, reason }) => [provider, reason])).toEqual([
    [signerOf(CHEAT).address, 'quarantine:accumulated-evidence'],
  ]);
});

test('in quarantine it is asked no more, and its stake stays', async () => {
  const before = (await scoredEntries()).filter(({ operator }) => operator === OPERATOR).length;
  for (let i = 0; i < 8; i++) expect(await ask()).toBe(200);
  expect((await scoredEntries()).filter(({ operator }) => operator === OPERATOR)).toHaveLength(before);
  const order = { account: `stake:${signerOf(CHEAT).address}`, amount_nano: '1000', reference: 'leaving' };
  const refused = await network.admin('POST', '/withdrawals', order);
  expect(refused.status).toBe(400);
  expect(JSON.stringify(refused.body)).toContain('evidence_against');
  const free = { ...order, account: `stake:${signerOf('p1').address}`, reference: 'free' };
  expect((await network.admin('POST', '/withdrawals', free)).status).toBe(201);
});

test('a restart reads the same wealth out of the log, bit for bit', async () => {
  const account = { operator: OPERATOR, modelDigest: TOY_MODEL.digest };
  const before = network.gateway.evidence.standing(account);
  await network.restart();
  expect(network.gateway.evidence.standing(account)).toStrictEqual(before);
  const { book } = replayEvidence(await scoredEntries());
  const stored = await network.store.read(listEvidenceAccounts);
  expect(stored.map(({ operator }) => operator)).toContain(OPERATOR);
  for (const row of stored) {
    const key = accountKey({ operator: row.operator, modelDigest: TOY_MODEL.digest });
    expect(book.account(key)!.all.responses).toBe(row.responses);
  }
  expect(Number(stored.find(({ operator }) => operator === OPERATOR)!.wealth)).toBe(before!.wealth);
});

test('whose quarantine is lifted while its account speaks against it is audited at the ceiling, all others at the floor', async () => {
  const rateOf = async () => {
    const reply = await network.call('/v1/quote', {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: TOY_MODEL.id, prompt_tokens: 20, max_tokens: 20, verification: 'audited' }),
    });
    return ((await reply.json()) as { security: { audit_rate: number } }).security.audit_rate;
  };
  expect(await rateOf()).toBe(AUDIT_RULES.floorPpm / PPM);
  const lifted = await network.admin('DELETE', `/providers/${signerOf(CHEAT).address}/quarantine`, {
    reason: 'checked',
  });
  expect(lifted.status).toBe(200);
  expect(await stageOf(OPERATOR)).not.toBe('clear');
  expect(await rateOf()).toBe(AUDIT_RULES.ceilingPpm / PPM);
  // What it answers next puts it back.
  await askUntil(async () => network.gateway.registry.excluded().length > 0, 60);
});

test("the gateway's own prompts go on asking, until the account is slashed: accused, recomputed, upheld", async () => {
  expect((await network.admin('PUT', '/evidence/own-keys', { keys: ['nobody'] })).status).toBe(404);
  expect((await network.admin('PUT', '/evidence/own-keys', { keys: [KEY_ID] })).status).toBe(200);
  await askUntil(async () => (await stageOf(OPERATOR)) === 'slash', 120);
  const disputes = await network.store.read((handle) => listDisputes(handle, { limit: 200 }));
  const [dispute] = disputes.filter(({ fault }) => fault === 'model_substitution');
  const row = (await network.store.read((handle) => disputeById(handle, dispute!.disputeId)))!;
  expect(row).toMatchObject({ provider: signerOf(CHEAT).address, ruling: 'upheld' });
  const bundle = zDisputeBundle.parse(JSON.parse(row.bundleJson!));
  const court = network.gateway.desk.courtFor(bundle);
  expect(findingOf(bundle, court)).toMatchObject({ ruling: 'upheld', finding: { reason: 'accumulated_evidence' } });
  // What was changed in it afterwards convicts nobody.
  const { entries, kept } = bundle.accumulated!;
  const raised = entries.map((entry, i) => (i === 0 ? { ...entry, factors: entry.factors.map(() => 2 ** 37) } : entry));
  expect(findingOf({ ...bundle, accumulated: { entries: raised, kept } }, court).ruling).toBe('abandoned');
  const twice = { entries: [entries[0]!, ...entries], kept };
  expect(findingOf({ ...bundle, accumulated: twice }, court).ruling).toBe('abandoned');
  const fewer = { entries: entries.slice(-2), kept: kept.slice(-2) };
  expect(findingOf({ ...bundle, accumulated: fewer }, court).ruling).toBe('rejected');
  const hidden = { entries, kept: kept.slice(0, -1) };
  expect(findingOf({ ...bundle, accumulated: hidden }, court).ruling).toBe('abandoned');
  expect(findingOf({ ...bundle, accumulated: null }, court).ruling).toBe('abandoned');
});

test('a new key of the operator is put where the account is, one of another operator is not', async () => {
  const urls = [network.addMember('renamed', toyMachine(), OPERATOR), network.addMember('stranger')];
  for (const url of urls) expect((await network.admin('POST', '/providers', { url })).status).toBeLessThan(300);
  const excluded = network.gateway.registry.excluded().map(({ provider }) => provider);
  expect(excluded).toContain(signerOf('renamed').address);
  expect(excluded).not.toContain(signerOf('stranger').address);
  const { body } = await network.admin('GET', '/evidence');
  expect(JSON.stringify(body)).toContain(OPERATOR);
});
