/** Mode `audited` end to end: one seat answers, others look at it later, nothing of that is lost or done twice (SPEC.md §8.1). */
import { describe, expect, test } from 'vitest';
import { AuditDraw, auditCommitment } from '#protocol/audit';
import type { LogEntry } from '#protocol/log';
import { TRACES_MIN } from '../../gateway/committee/covers.ts';
import { AUDIT_POOL } from '../../gateway/ledger/accounts.ts';
import { surchargeNano } from '../../gateway/ledger/price.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { API_KEY } from '../fixtures/network.ts';
import type { ToyNetwork, ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { failuresOf, statementOf } from '../fixtures/witnessed-network.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';

const open = toyNetworks();

const AUDITS = { ratePpm: 1_000_000, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };

async function start(options: ToyOptions = {}, audits: Partial<typeof AUDITS> = {}): Promise<ToyNetwork> {
  return open({
    members: 4,
    ...options,
    limits: { audits: { ...AUDITS, ...audits }, ...options.limits },
  });
}

const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 16, verification: 'audited' };

type Audited = Extract<LogEntry, { type: 'audited' }>;
const auditsIn = (entries: readonly LogEntry[]): Audited[] =>
  entries.flatMap((entry) => (entry.type === 'audited' ? [entry] : []));

describe('an audited answer', () => {
  test('leaves like a single one, says how often it is audited, and holds up offline', async () => {
    const network = await start({}, { ratePpm: 50_000 });
    const { saved, request, headers } = await network.ask('hello', ASKED);
    const statement = statementOf(saved);
    expect(statement.policy).toMatchObject({ mode: 'audited', n: 1, agree: 1 });
    expect(statement.verdict).toBe('unverified');
    expect(statement.audit).toEqual({ ppm: 50_000, regeneratePpm: 0, withinMs: AUDITS.withinMs });
    expect(headers.get('assay-security')).toContain('audit_rate=0.05');
    expect(failuresOf(saved, request)).toEqual([]);
  });

  test('says why its provider can tell that it is alone, and a committee says nothing of the kind', async () => {
    const network = await start();
    const shown = async (verification: string) =>
      (await network.ask('hello', { ...ASKED, verification })).headers.get('assay-security');
    expect(await shown('audited')).toContain('unprotected="cover_unknown"');
    expect(await shown('single')).toContain('unprotected="cover_unknown"');
    expect(await shown('quorum; n=3')).not.toContain('unprotected');
    // A committee of three leaves one record; some more, for those that have lost a member.
    for (let at = 0; at < TRACES_MIN + 8; at++) await shown('quorum; n=3');
    expect(await shown('audited')).not.toContain('unprotected');
    const bare = await start({ limits: { coverMaxMs: 0 } });
    const { headers } = await bare.ask('hello', ASKED);
    expect(headers.get('assay-security')).toContain('unprotected="cover_off"');
  });

  test('is asked for by suffix, header and body, and refuses what does not belong to it', async () => {
    const network = await start();
    const post = (fields: object, headers: Record<string, string> = {}) =>
      network.call('/v1/chat/completions', {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
        body: JSON.stringify({
          model: TOY_MODEL.id,
          max_tokens: 4,
          messages: [{ role: 'user', content: 'x' }],
          ...fields,
        }),
      });
    for (const response of [
      await post({ model: `${TOY_MODEL.id}:audited` }),
      await post({}, { 'assay-verification': 'audited; audit_rate=0.5' }),
      await post({ verification: { mode: 'audited', audit_rate: 0.125 } }),
    ]) {
      expect(response.status).toBe(200);
      expect(response.headers.get('assay-policy') ?? 'audited').toContain('audited');
      await response.text();
    }
    for (const [verification, param] of [
      [{ mode: 'audited', n: 3 }, 'verification.n'],
      [{ mode: 'audited', audit_rate: 0.0001 }, 'verification.audit_rate'],
      [{ mode: 'audited', audit_rate: 0 }, 'verification.audit_rate'],
      [{ mode: 'quorum', audit_rate: 0.5 }, 'verification.audit_rate'],
      [{ mode: 'audited', evidence: 'full' }, 'verification.evidence'],
    ] as const) {
      const response = await post({ verification });
      expect([response.status, ((await response.json()) as { error: { param: string } }).error.param]).toEqual([
        400,
        param,
      ]);
    }
  });

  test('needs somebody who could audit it', async () => {
    const network = await start({ members: 1 });
    await expect(network.ask('hello', ASKED)).rejects.toThrow('503');
  });

  test('costs its share of an audit beside the answer, whether or not it has one', async () => {
    const network = await start({}, { ratePpm: 50_000, regeneratePpm: 100_000 });
    const { saved } = await network.ask('hello', ASKED);
    const single = statementOf((await network.ask('hello', { ...ASKED, verification: 'single', seed: 1 })).saved);
    const { price, audit, request, outputIds } = statementOf(saved);
    const work = { inputTokens: request.promptTokens, outputTokens: outputIds.length };
    const surcharge = surchargeNano(TOY_MODEL.price, work, audit!);
    expect(surcharge).toBeGreaterThan(0n);
    expect(BigInt(price.quoteNano) - BigInt(single.price.quoteNano)).toBe(
      surchargeNano(TOY_MODEL.price, { ...work, outputTokens: ASKED.max_tokens }, audit!),
    );
    const pool = await network.store.read((handle) => balanceNano(handle, AUDIT_POOL));
    const isAudited = auditsIn(await entriesOf(network)).length > 0;
    if (!isAudited) expect(pool).toBe(surcharge);
  });
});

describe('an audit', () => {
  test.each([
    ['a score', 0],
    ['a whole answer', 1_000_000],
  ] as const)('by %s is drawn, done by another operator, paid and logged', async (_, regeneratePpm) => {
    const network = await start({}, { regeneratePpm });
    for (let at = 0; at < 4; at++) await network.ask(`question ${at}`, { ...ASKED, seed: at, stream: at % 2 === 1 });
    await network.gateway.settled();
    const entries = await entriesOf(network);
    const audits = auditsIn(entries);
    expect(audits.map(({ outcome }) => outcome)).toEqual(['held', 'held', 'held', 'held']);
    for (const { kind, provider, auditor } of audits) {
      expect(kind).toBe(regeneratePpm === 0 ? 'score' : 'regenerate');
      expect(auditor).not.toBe(provider);
    }
    const rows = await network.store.read((handle) => handle.db.select().from(handle.tables.audits));
    expect(rows.map(({ sealedWork, outcome }) => [sealedWork, outcome])).toEqual(Array(4).fill([null, 'held']));
    const jobs = await network.store.read(async (handle) => {
      const ofAudits = await handle.db.select().from(handle.tables.auditJobs);
      const all = await handle.db.select().from(handle.tables.jobs);
      return all.filter(({ jobId }) => ofAudits.some((job) => job.jobId === jobId));
    });
    expect(jobs).toHaveLength(4);
    expect(jobs.every(({ earnedNano, standing }) => earnedNano > 0n && standing !== null)).toBe(true);
    expect(entries.filter(({ type }) => type === 'scored').length).toBe(regeneratePpm === 0 ? 4 : 0);
  });

  test('is the one that the committed key draws: who, how, and of which answers', async () => {
    const network = await start({ members: 6 }, { ratePpm: 400_000, regeneratePpm: 300_000 });
    const saved: string[] = [];
    for (let at = 0; at < 16; at++) saved.push((await network.ask(`question ${at}`, { ...ASKED, seed: at })).saved);
    await network.gateway.settled();
    const [epoch] = (await entriesOf(network)).flatMap((entry) => (entry.type === 'epoch' ? [entry] : []));
    await network.gateway.epochs.begin(epoch!.epoch);
    const entries = await entriesOf(network);
    const [secret] = entries.flatMap((entry) => (entry.type === 'audit' ? [entry.secret] : []));
    expect(auditCommitment(secret!)).toBe(epoch!.auditCommitment);
    let due = 0;
    for (const text of saved) {
      const { draw, bodyHash, requestId, request, served, audit } = statementOf(text);
      const { assay } = JSON.parse(text) as { assay: { receipt: { snapshot: never } } };
      const drawn = new AuditDraw(secret!, { drawIndex: draw.index, choice: 0, bodyHash });
      const first = drawn.auditors(assay.receipt.snapshot, request.modelDigest).find((address) => address !== served);
      const done = auditsIn(entries).filter((entry) => entry.requestId === requestId);
      const wanted = drawn.isAudited(audit!) ? [[first, drawn.kind(audit!), served]] : [];
      expect(done.map(({ auditor, kind, provider }) => [auditor, kind, provider])).toEqual(wanted);
      due += done.length;
    }
    expect(due).toBeGreaterThan(0);
    expect(due).toBeLessThan(16);
  });

  test('of every choice is drawn apart', async () => {
    const network = await start();
    const { saved } = await network.ask('hello', { ...ASKED, n: 3 });
    await network.gateway.settled();
    const { requestId } = statementOf(saved);
    const audits = auditsIn(await entriesOf(network));
    expect(audits.map((entry) => [entry.requestId, entry.choice]).sort()).toEqual(
      [0, 1, 2].map((choice) => [requestId, choice]),
    );
  });

  test('that comes later survives a restart, and is done once', async () => {
    const network = await start({}, { delayMs: 3_000_000 });
    for (let at = 0; at < 6; at++) await network.ask(`question ${at}`, { ...ASKED, seed: at });
    await network.gateway.settled();
    const open = () =>
      network.store.read(async (handle) =>
        (await handle.db.select().from(handle.tables.audits)).filter(({ logIndex }) => logIndex === null),
      );
    const waiting = await open();
    expect(waiting.length).toBeGreaterThan(0);
    expect(waiting.every(({ sealedWork }) => sealedWork !== null && !sealedWork.includes('question'))).toBe(true);
    await network.restart();
    await network.gateway.settled();
    expect((await open()).length).toBe(waiting.length);
    // As if their time had come.
    await network.store.withTx((tx) =>
      tx.db
        .update(tx.tables.audits)
        .set({ dueAtMs: 0 })
        .then(() => undefined),
    );
    await network.restart();
    await network.gateway.tick();
    await network.gateway.settled();
    const audits = auditsIn(await entriesOf(network));
    expect(audits.map(({ requestId }) => requestId).sort()).toEqual(
      [...new Set(audits.map(({ requestId }) => requestId))].sort(),
    );
    expect(audits.map(({ outcome }) => outcome)).toEqual(Array(6).fill('held'));
  });

  test('that nobody can do is put off, and in the end logged as not done', async () => {
    let isDown = true;
    const wrap: ToyOptions['wrap'] = (fetch) => async (url, init) => {
      if (isDown && new URL(url).pathname === '/v1/scores') throw new TypeError('connection refused');
      return fetch(url, init);
    };
    const patient = await start({ wrap });
    await patient.ask('hello', ASKED);
    await patient.gateway.settled();
    expect(auditsIn(await entriesOf(patient))).toEqual([]);
    isDown = false;
    await patient.store.withTx((tx) =>
      tx.db
        .update(tx.tables.audits)
        .set({ dueAtMs: 0 })
        .then(() => undefined),
    );
    await patient.gateway.tick();
    await patient.gateway.settled();
    expect(auditsIn(await entriesOf(patient)).map(({ outcome }) => outcome)).toEqual(['held']);
    isDown = true;
    const hurried = await start({ wrap }, { withinMs: 0 });
    await hurried.ask('hello', ASKED);
    await hurried.gateway.settled();
    const entries = await entriesOf(hurried);
    const [undone, ...others] = auditsIn(entries);
    expect([undone, others]).toMatchObject([{ outcome: 'undone', auditor: null }, []]);
    const skips = undone!.skipped.map((index) => entries[index]!);
    expect(skips).toHaveLength(3);
    expect(skips.every(({ type }) => type === 'skip')).toBe(true);
  });
});
