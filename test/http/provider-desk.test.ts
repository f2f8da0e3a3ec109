/** What a provider may ask a gateway: to be admitted, what it is owed, what it is accused of, and how it answers (SPEC.md §6.9). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DisputeAnswer, signAnswer } from '#protocol/dispute-answer';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { type Address, type Hash, toHex, utf8 } from '#protocol/hash';
import type { EvidenceItem } from '#protocol/messages';
import { CALL_HEADERS, CALL_SKEW_MS, signCall } from '#protocol/provider-call';
import type { Signer } from '#protocol/signer';
import type { DeskMove } from '../../gateway/dispute/desk.ts';
import { cheatOf } from '../fixtures/cheats.ts';
import { booksOf } from '../fixtures/network.ts';
import { clock, signerOf, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const gateway = signerOf('gateway').address;
const moves: DeskMove[] = [];
/** While true, p0 opens no evidence to the gateway. */
let refuses = true;
let network: ToyNetwork;

beforeAll(async () => {
  const honest = toyMachine();
  const tools = {
    signer: signerOf('p0'),
    domain: LOCAL_DOMAIN,
    other: toyMachine({ salt: 'small' }),
    forger: signerOf('f'),
  };
  const cheat = cheatOf('refused_evidence');
  network = await startToyNetwork({
    engines: { p0: cheat.engine!(honest, tools) },
    host: (name, handle) => {
      const closed = cheat.wire!(handle, tools);
      return (request) => (name === 'p0' && refuses ? closed(request) : handle(request));
    },
    limits: { appealMs: 3_600_000 },
    allowed: [signerOf('friend').address],
    onMove: (move) => moves.push(move),
  });
});
afterAll(() => network.stop());

interface CallOptions {
  readonly signer?: Signer;
  readonly body?: unknown;
  readonly gateway?: Address;
  readonly nowMs?: number;
  readonly change?: (headers: Record<string, string>) => Record<string, string>;
  readonly nonce?: number;
}
let nonces = 0;

async function call(method: string, path: string, options: CallOptions = {}) {
  const body = options.body === undefined ? '' : JSON.stringify(options.body);
  const nonce = options.nonce ?? ++nonces;
  const headers = signCall(
    { method, path, body: utf8(body) },
    {
      domain: LOCAL_DOMAIN,
      signer: options.signer ?? signerOf('p0'),
      gateway: options.gateway ?? gateway,
      nowMs: options.nowMs ?? clock.nowMs(),
      rng: { bytes: (length) => new Uint8Array(length).fill(nonce) },
    },
  );
  const response = await network.call(path, {
    method,
    headers: options.change?.(headers) ?? headers,
    ...(body === '' ? {} : { body }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('a signed call', () => {
  const path = '/v1/provider/account';
  test('shows a provider its own account', async () => {
    await network.ask('work', { verification: { mode: 'quorum', n: 5, agree: 4 } });
    const { status, body } = await call('GET', path, { signer: signerOf('p1') });
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: signerOf('p1').address, status: 'active', stake_nano: '1000000000000' });
    expect(BigInt(body.earned_nano as string)).toBeGreaterThan(0n);
    expect(body.earned_nano).toBe(body.earnings_nano);
    const jobs = await call('GET', '/v1/provider/jobs?limit=1', { signer: signerOf('p1') });
    expect(jobs.body.data).toMatchObject([{ object: 'job', standing: 'counted' }]);
    const later = await call('GET', `${path}?since_ms=${clock.nowMs() + 1000}`, { signer: signerOf('p1') });
    expect(later.body).toMatchObject({ earned_nano: '0', jobs: [] });
  });

  test('is refused where it came before, is for another gateway, another path or body, another time, or another signer', async () => {
    expect((await call('GET', path, { nonce: 200 })).status).toBe(200);
    expect((await call('GET', path, { nonce: 200 })).status).toBe(401);
    const late = { nowMs: clock.nowMs() - CALL_SKEW_MS - 1000 };
    const early = { nowMs: clock.nowMs() + CALL_SKEW_MS + 1000 };
    expect((await call('GET', path, late)).status).toBe(401);
    expect((await call('GET', path, early)).status).toBe(401);
    expect((await call('GET', path, { gateway: signerOf('other').address })).status).toBe(401);
    expect((await call('GET', path, { signer: signerOf('nobody') })).status).toBe(401);
    const asOther = { [CALL_HEADERS.provider]: signerOf('p1').address };
    expect((await call('GET', path, { change: (headers) => ({ ...headers, ...asOther }) })).status).toBe(401);
    expect((await call('GET', path, { change: () => ({}) })).status).toBe(401);
    const signed = signCall(
      { method: 'GET', path, body: new Uint8Array() },
      {
        domain: LOCAL_DOMAIN,
        signer: signerOf('p1'),
        gateway,
        nowMs: clock.nowMs(),
        rng: { bytes: (n) => new Uint8Array(n).fill(201) },
      },
    );
    expect((await network.call(`${path}?since_ms=1`, { headers: signed })).status).toBe(401);
    expect((await network.call('/v1/provider/disputes', { headers: signed })).status).toBe(401);
  });
});

describe('an application', () => {
  const path = '/v1/provider/application';
  test('waits for an operator, who admits that very provider or refuses it', async () => {
    const body = { url: network.addMember('new'), operator: 'operator-new' };
    const signer = signerOf('new');
    expect((await call('POST', path, { signer, body })).body).toMatchObject({ state: 'pending' });
    expect((await call('POST', path, { signer, body })).body).toMatchObject({ state: 'pending' });
    const listed = await network.admin('GET', '/applications?state=pending');
    expect(listed.body.data).toMatchObject([{ id: signer.address, url: 'http://new', operator: 'operator-new' }]);
    expect((await network.admin('POST', `/applications/${signer.address}/refuse`)).body.state).toBe('refused');
    expect((await call('POST', path, { signer, body })).body).toMatchObject({ state: 'refused' });
    const approved = await network.admin('POST', `/applications/${signer.address}/approve`, { stake_nano: '7' });
    expect(approved.body).toMatchObject({ id: signer.address, status: 'active', stake_nano: '7' });
    expect((await call('POST', path, { signer, body })).body).toMatchObject({ state: 'admitted' });
  });

  test('of an allowed address is admitted at once, and not where another provider answers', async () => {
    const signer = signerOf('friend');
    const wrong = await call('POST', path, { signer, body: { url: 'http://p2', operator: 'o' } });
    expect([wrong.status, (wrong.body.error as { param: string }).param]).toEqual([400, 'url']);
    const body = { url: network.addMember('friend'), operator: 'operator-friend' };
    expect((await call('POST', path, { signer, body })).body).toMatchObject({ state: 'admitted' });
    const known = (await network.admin('GET', '/providers')).body.data as { id: string; status: string }[];
    expect(known.find(({ id }) => id === signer.address)?.status).toBe('active');
  });

  test.each([[{}], [{ url: 'x', operator: 'o' }], [{ url: 'http://x', operator: '' }], [{ url: 'http://x' }]])(
    'with a bad body %j is a 400',
    async (body) => {
      expect((await call('POST', path, { signer: signerOf('bad'), body })).status).toBe(400);
    },
  );
});

describe('a dispute', () => {
  let id: Hash;
  interface Shown {
    ruling: string;
    finding: { reason: string };
    job_id: Hash;
    answer: { until_ms: number | null; left: number; positions: number[] };
    moves: { kind: string }[];
  }
  const show = async (signer = signerOf('p0')) => {
    const { status, body } = await call('GET', `/v1/provider/disputes/${id}`, { signer });
    return { status, shown: body as unknown as Shown };
  };
  /** The accused's own evidence, as it would open it to anybody. */
  const evidence = async (positions: readonly number[], jobId: Hash): Promise<EvidenceItem[]> => {
    const response = await network.host('p0', `/v1/jobs/${jobId}/evidence`, { positions });
    return ((await response.json()) as { items: EvidenceItem[] }).items;
  };
  const answer = (items: readonly EvidenceItem[], signer = signerOf('p0'), change: Partial<DisputeAnswer> = {}) =>
    call('POST', `/v1/provider/disputes/${id}/answer`, {
      signer,
      body: { ...signAnswer(LOCAL_DOMAIN, signer, id, items, clock.nowMs()), ...change },
    });

  test('that was ruled on refused evidence is judged again by what the accused shows, and nothing else is taken', async () => {
    for (let times = 0; !moves.some(({ kind }) => kind === 'ruled') && times < 20; times++) {
      await network.ask(`lie ${times}`, { verification: { mode: 'quorum', n: 5, agree: 4 } });
      await network.gateway.settled();
    }
    id = moves.find(({ kind }) => kind === 'ruled')!.disputeId as Hash;
    const { shown } = await show();
    expect(shown).toMatchObject({ ruling: 'upheld', finding: { reason: 'evidence_refused' }, answer: { left: 4 } });
    expect(shown.answer.positions.length).toBeGreaterThan(0);
    expect((await show(signerOf('p1'))).status).toBe(404);
    refuses = false;
    const items = await evidence(shown.answer.positions, shown.job_id);
    const [first] = items;
    // Somebody else's move, an altered one, one of another time, evidence beside the root, unasked and twice.
    expect((await answer(items, signerOf('p1'))).status).toBe(404);
    expect((await answer(items, signerOf('p0'), { items: items.slice(1) })).status).toBe(400);
    const forged = { ...first!, evidence: { ...first!.evidence, chosenLogit: first!.evidence.chosenLogit + 1 } };
    const refused = await answer([forged, ...items.slice(1)]);
    expect([refused.status, (refused.body.error as { param: string }).param]).toEqual([400, 'items']);
    expect((await answer([...items, first!])).status).toBe(400);
    expect((await show()).shown).toMatchObject({ finding: { reason: 'evidence_refused' } });
    expect((await answer(items)).status).toBe(200);
    const { shown: after } = await show();
    // It ran another model: its own evidence convicts it, where before its silence did.
    expect(after.ruling).toBe('upheld');
    expect(after.finding.reason).not.toBe('evidence_refused');
    expect(after.answer).toMatchObject({ left: 3, positions: [] });
    expect(after.moves.map(({ kind }) => kind)).toContain('answered');
    expect((await answer(items)).status).toBe(400);
    await network.call('/v1/log/checkpoint');
    const entries = (await (await network.call('/v1/log/entries')).json()) as { data: { entry: { kind?: string } }[] };
    expect(entries.data.filter(({ entry }) => entry.kind === 'answered')).toHaveLength(1);
  });

  test('that was abandoned without a referee is ruled when the accused answers and the referee is back', async () => {
    const known = moves.length;
    network.down('referee', true);
    for (let times = 0; moves.length === known && times < 20; times++) {
      await network.ask(`again ${times}`, { verification: { mode: 'quorum', n: 5, agree: 4 } });
      await network.gateway.settled();
    }
    id = moves.at(-1)!.disputeId as Hash;
    expect((await show()).shown).toMatchObject({ ruling: 'abandoned' });
    network.down('referee', false);
    const { body } = await answer([]);
    const judged = body as unknown as Shown;
    expect(judged.ruling).toBe('upheld');
    expect(judged.moves.map(({ kind }) => kind)).toEqual(['opened', 'evidence', 'ruled', 'answered', 'ruled']);
    for (let times = 0; times < 3; times++) expect((await answer([])).status).toBe(200);
    expect((await answer([])).status).toBe(400);
    expect(await booksOf(network.store)).toEqual([]);
  });

  test('of nobody is a 404', async () => {
    id = toHex(new Uint8Array(32));
    expect((await show()).status).toBe(404);
    expect((await call('GET', '/v1/provider/disputes/x')).status).toBe(404);
  });
});
