/** The admin API: its own key, what it changes and how often, and what stands in the log before it takes effect (DESIGN §4.3, §9). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAttestation } from '#protocol/attestation';
import { drawKeyInTree } from '#protocol/draw';
import type { Hash } from '#protocol/hash';
import { verifyResponse } from '#protocol/verify';
import { hashApiKey, keyIdOf } from '../../gateway/keys.ts';
import { createLog } from '../../gateway/log.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { ADMIN_KEY, clock, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';

const lines: string[] = [];
let network: ToyNetwork;
beforeAll(async () => {
  const log = createLog({ clock, level: 'info', destination: { write: (line) => void lines.push(line) } });
  network = await startToyNetwork({ log });
});
afterAll(() => network.stop());

const events = (name: string) => lines.map((line) => JSON.parse(line)).filter(({ event }) => event === name);
const entriesOf = async (type: string) => {
  await network.call('/v1/log/checkpoint');
  const response = await network.call('/v1/log/entries');
  const { data } = (await response.json()) as { data: { index: number; entry: Record<string, string> }[] };
  return data.filter(({ entry }) => entry.type === type);
};

describe('the admin key', () => {
  test('opens the admin API, and no client key does; failures are told apart from nothing and logged once a minute', async () => {
    const keys = [undefined, 'Bearer', `Bearer ${API_KEY}`, `Bearer ${ADMIN_KEY}x`, `Bearer ${ADMIN_KEY.slice(0, -1)}`];
    for (const authorization of keys) {
      for (const path of ['/admin/keys', '/admin/no-such-route']) {
        const response = await network.call(path, authorization === undefined ? {} : { headers: { authorization } });
        expect(response.status).toBe(401);
        expect(((await response.json()) as { error: unknown }).error).toEqual({
          message: 'Incorrect admin key provided.',
          type: 'invalid_request_error',
          param: null,
          code: 'invalid_api_key',
        });
      }
    }
    expect(events('admin_key_refused')).toHaveLength(1);
    expect((await network.admin('GET', '/keys')).status).toBe(200);
    expect((await network.admin('GET', '/no-such-route')).status).toBe(404);
    expect(lines.join('')).not.toContain(ADMIN_KEY);
  });

  test('opens no client route', async () => {
    const response = await network.call('/v1/models', { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
    expect(response.status).toBe(401);
  });

  test('that is not configured leaves no admin route', async () => {
    const bare = await startToyNetwork({ hasAdmin: false, members: 1 });
    expect((await bare.admin('GET', '/keys')).status).toBe(404);
    expect((await bare.admin('POST', '/epochs', { after: 0 })).body.error).toMatchObject({ code: 'not_found' });
    await bare.stop();
  });
});

describe('keys', () => {
  test('are made once, shown once, limited, funded once a reference, and revoked for good', async () => {
    const made = await network.admin('POST', '/keys', { label: 'shop', funds_nano: '5', policy: 'quorum; n=5' });
    expect(made.status).toBe(201);
    const { key, id } = made.body as { key: string; id: string };
    expect(made.body).toMatchObject({
      label: 'shop',
      balance_nano: '5',
      requests_per_minute: null,
      revoked_at_ms: null,
    });
    expect(made.body.policy).toContain('n=5');
    expect(JSON.stringify((await network.admin('GET', '/keys')).body)).not.toContain(key);
    const change = { requests_per_minute: 3, policy: null, budget: { period: 'day', period_nano: '9' } };
    for (let times = 0; times < 2; times++) {
      const changed = await network.admin('PATCH', `/keys/${id}`, change);
      expect(changed.body).toMatchObject({
        requests_per_minute: 3,
        policy: null,
        budget: { period: 'day', period_nano: '9' },
      });
    }
    const funding = { account: `key:${id}`, amount_nano: '7', reference: 'invoice-1' };
    expect((await network.admin('POST', '/deposits', funding)).status).toBe(201);
    const again = await network.admin('POST', '/deposits', funding);
    expect([again.status, again.body.balance_nano]).toEqual([200, '12']);
    const other = await network.admin('POST', '/deposits', { ...funding, amount_nano: '8' });
    expect([other.status, (other.body.error as { param: string }).param]).toEqual([400, 'reference']);
    for (let times = 0; times < 2; times++) {
      expect((await network.admin('POST', `/keys/${id}/revoke`)).body.revoked_at_ms).toEqual(expect.any(Number));
    }
    const revived = await network.admin('POST', '/keys', { key_hash: hashApiKey(key) });
    expect(revived.body.revoked_at_ms).toEqual(expect.any(Number));
    expect(events('admin_key_revoked')).toHaveLength(1);
    expect(await booksOf(network.store)).toEqual([]);
  });

  test('may be made by the caller, who sends the hash alone, however often', async () => {
    const keyHash = hashApiKey('a key that never travels');
    const first = await network.admin('POST', '/keys', { key_hash: keyHash, funds_nano: '4' });
    const second = await network.admin('POST', '/keys', { key_hash: keyHash, funds_nano: '4' });
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.body).toMatchObject({ id: keyIdOf(keyHash), balance_nano: '4' });
    expect(second.body).not.toHaveProperty('key');
  });

  test.each([
    ['POST', '/keys', { label: '' }, 'label'],
    ['POST', '/keys', { funds_nano: 5 }, 'funds_nano'],
    ['POST', '/keys', { funds_nano: '4611686018427387904' }, 'funds_nano'],
    ['POST', '/keys', { policy: 'quorum; n=99' }, 'policy.n'],
    ['POST', '/keys', { extra: 1 }, 'extra'],
    ['POST', '/keys', { budget: { period: 'day' } }, 'budget'],
    ['POST', '/deposits', { account: 'escrow:x', amount_nano: '1', reference: 'r' }, 'account'],
    ['POST', '/deposits', { account: 'reserve', amount_nano: '0', reference: 'r' }, 'amount_nano'],
    ['POST', '/withdrawals', { account: 'reserve', amount_nano: '4611686018427387903', reference: 'r' }, 'amount_nano'],
    ['POST', '/providers', { url: 'ftp://x' }, 'url'],
    ['POST', '/providers', { url: 'http://nobody' }, 'url'],
    ['PUT', '/policy', { policy: 'nonsense' }, 'policy.mode'],
    ['POST', '/epochs', {}, 'after'],
    ['GET', '/disputes?state=lost', undefined, 'state'],
  ])('%s %s with a bad member is a 400 that names it', async (method, path, body, param) => {
    const { status, body: reply } = await network.admin(method, path, body);
    expect([status, (reply.error as { param: string }).param]).toEqual([400, param]);
  });
});

describe('the default policy', () => {
  test('changes for requests from now on, and is kept over a restart until it is given back', async () => {
    expect((await network.ask()).headers.get('assay-policy')).toContain('n=3');
    expect((await network.admin('PUT', '/policy', { policy: 'quorum; n=5; agree=4' })).body.set).toBe(true);
    expect((await network.ask()).headers.get('assay-policy')).toContain('n=5;agree=4');
    await network.restart();
    expect((await network.ask()).headers.get('assay-policy')).toContain('n=5;agree=4');
    const reset = await network.admin('DELETE', '/policy');
    expect(reset.body).toMatchObject({ set: false });
    expect((await network.ask()).headers.get('assay-policy')).toContain('n=3');
  });
});

describe('a provider in quarantine', () => {
  test('is passed over from the log entry on, every draw says so, and the verifier takes it', async () => {
    const [victim] = network.members;
    const path = `/providers/${victim!.address}/quarantine`;
    const put = await network.admin('PUT', path, { reason: 'operator-request' });
    expect(put.body).toMatchObject({ status: 'quarantined', excluded: { reason: 'quarantine:operator-request' } });
    const { log_index: logIndex } = put.body.excluded as { log_index: number };
    const again = await network.admin('PUT', path, { reason: 'operator-request' });
    expect(again.body.excluded).toMatchObject({ log_index: logIndex });
    expect(await entriesOf('skip')).toMatchObject([
      { index: logIndex, entry: { provider: victim!.address, reason: 'quarantine:operator-request' } },
    ]);
    let passedOver = 0;
    for (let times = 0; times < 8; times++) {
      const { saved } = await network.ask(`question ${times}`);
      const { statement } = parseAttestation(JSON.parse(saved).assay.attestation)!;
      const seated = statement.waves.flatMap(({ members }) => members.map(({ provider }) => provider));
      expect(seated).not.toContain(victim!.address);
      const cited = statement.draw.skipped.filter(({ provider }) => provider === victim!.address);
      for (const skip of cited) expect(skip).toMatchObject({ reason: 'quarantine:operator-request', logIndex });
      passedOver += cited.length;
      const items = verifyResponse({ response: saved }).items;
      expect(items.filter(({ status }) => status === 'failed')).toEqual([]);
      expect(items.find(({ name }) => name === 'draw')?.status).toBe('proved');
    }
    // Of eight draws of three in five, that it came before the last seat in none has a chance below 1 in 1,000.
    expect(passedOver).toBeGreaterThan(0);
    await network.restart();
    expect((await network.admin('GET', '/providers')).body.data).toContainEqual(
      expect.objectContaining({ id: victim!.address, status: 'quarantined' }),
    );
    const lifted = await network.admin('DELETE', path, { reason: 'checked' });
    expect(lifted.body).toMatchObject({ status: 'active', excluded: null });
    expect((await network.admin('DELETE', path, { reason: 'checked' })).status).toBe(200);
    expect((await entriesOf('skip')).map(({ entry }) => entry.reason)).toEqual([
      'quarantine:operator-request',
      'lifted:checked',
    ]);
    expect(events('admin_quarantined')).toHaveLength(1);
  });

  test('that nobody knows is a 404', async () => {
    const path = `/providers/0x${'11'.repeat(20)}/quarantine`;
    expect((await network.admin('PUT', path, { reason: 'x' })).status).toBe(404);
    expect((await network.admin('PUT', '/providers/nobody/quarantine', { reason: 'x' })).status).toBe(404);
  });
});

describe('providers', () => {
  test('are admitted by URL, survive a restart, leave, and come back by an operator alone', async () => {
    const url = network.addMember('late');
    const admitted = await network.admin('POST', '/providers', { url });
    expect(admitted.body).toMatchObject({
      status: 'active',
      operator: 'operator-late',
      stake_nano: String(10n ** 12n),
    });
    const id = admitted.body.id as string;
    expect((await network.admin('POST', '/providers', { url })).body.stake_nano).toBe(String(10n ** 12n));
    await network.ask('six', { verification: { mode: 'quorum', n: 5 } });
    const left = await network.admin('POST', `/providers/${id}/remove`);
    expect(left.body).toMatchObject({ status: 'left', excluded: { reason: 'left' } });
    const { saved } = await network.ask('after');
    expect(verifyResponse({ response: saved }).items.find(({ name }) => name === 'draw')?.status).toBe('proved');
    const start = await network.gateway.admit([{ url, role: 'member' }], { reserveNano: 0n, stakeNano: 0n });
    expect(start).toEqual([]);
    const known = (await network.admin('GET', '/providers')).body.data as { id: string; status: string }[];
    expect(known.find((provider) => provider.id === id)?.status).toBe('left');
    expect((await network.admin('POST', '/providers', { url })).body.status).toBe('active');
    expect(await booksOf(network.store)).toEqual([]);
  });
});

describe('epochs', () => {
  test('begin by order once, however often the same order comes', async () => {
    await network.ask();
    const [newest] = (await network.admin('GET', '/epochs')).body.data as { id: number }[];
    const begun = await network.admin('POST', '/epochs', { after: newest!.id });
    expect([begun.status, begun.body.id]).toEqual([201, newest!.id + 1]);
    const again = await network.admin('POST', '/epochs', { after: newest!.id });
    expect([again.status, again.body.id]).toEqual([200, newest!.id + 1]);
    const { saved } = await network.ask();
    expect(parseAttestation(JSON.parse(saved).assay.attestation)!.statement.draw.epoch).toBe(newest!.id + 1);
  });

  test('open their keys to everybody once they are over, and not before', async () => {
    await network.ask();
    const over = (await network.admin('GET', '/epochs')).body.data as { id: number }[];
    const { id } = over[0]!;
    const running = await network.call(`/v1/epochs/${id}/keys/0`);
    expect([running.status, ((await running.json()) as { error: { code: string } }).error.code]).toEqual([
      404,
      'not_found',
    ]);
    await network.admin('POST', '/epochs', { after: id });
    const [logged] = (await entriesOf('epoch')).filter(({ entry }) => Number(entry.epoch) === id);
    const { drawRoot, drawSize } = logged!.entry as unknown as { drawRoot: Hash; drawSize: number };
    for (const index of [0, drawSize - 1]) {
      const reply = (await (await network.call(`/v1/epochs/${id}/keys/${index}`)).json()) as {
        key: Hash;
        path: Hash[];
      };
      expect(drawKeyInTree(index, reply.key, reply.path, drawSize, drawRoot)).toBe(true);
    }
    for (const place of [
      `${id}/keys/${drawSize}`,
      `${id + 1}/keys/0`,
      `${id}/keys/-1`,
      'x/keys/0',
      '99999999999/keys/0',
    ]) {
      expect((await network.call(`/v1/epochs/${place}`)).status, place).toBe(404);
    }
  });
});

test('books and disputes are told', async () => {
  const books = await network.admin('GET', '/books');
  expect(books.body).toMatchObject({ balanced: true, problems: [] });
  expect((await network.admin('GET', '/disputes')).body).toEqual({ object: 'list', data: [] });
});
