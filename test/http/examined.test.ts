/** Before what a provider earned alone leaves for the first time, and before it leaves itself, others look at its answers (SPEC.md §8.4). */
import { eq, ne } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import type { Address } from '#protocol/hash';
import type { LogEntry } from '#protocol/log';
import { checkExaminations } from '../../gateway/fsck/check-examinations.ts';
import { earningsAccount } from '../../gateway/ledger/accounts.ts';
import { PAY_DELAY_MS } from '../../gateway/ledger/retained.ts';
import { addKey, putStake } from '../../gateway/store/chain-state-repo.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { retainedNano } from '../../gateway/store/retained-pay.ts';
import { MortalStore } from '../fixtures/mortal-store.ts';
import { booksOf, stakeOf } from '../fixtures/network.ts';
import { clock, signerOf, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const PROVIDER = signerOf('p0').address;
/** On a chain: whose stake answers for its key. */
const ACCOUNT: Address = `0x${'ac'.repeat(20)}`;
const STAKE_NANO = 1_000_000_000_000n;
const DAY_MS = 24 * 3600 * 1000;
/** Nobody is audited but who asks for it. */
const NEVER = { ratePpm: 1, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
/** More questions than any test needs until the draw has seated whom it wants. */
const ASKED_MAX = 200;
const LIAR = { engines: { p0: toyMachine({ salt: 'liar' }) } };

const tablesOf = ({ store }: ToyNetwork) =>
  store.read(async ({ db, tables }) => ({
    jobs: await db.select().from(tables.jobs),
    requests: await db.select().from(tables.requests),
    disputes: await db.select().from(tables.disputes),
    kept: await db.select().from(tables.keptAnswers),
    examinations: await db.select().from(tables.examinations),
    examined: await db.select().from(tables.examined),
    transfers: await db.select().from(tables.transfers),
    postings: await db.select().from(tables.postings),
  }));

/** A network in which p0 has answered alone so many times. */
async function served(count: number, options: ToyOptions = {}): Promise<ToyNetwork> {
  const network = await open({ members: 5, ...options, limits: { audits: NEVER, ...options.limits } });
  const own = async () => (await tablesOf(network)).jobs.filter(({ provider }) => provider === PROVIDER).length;
  for (let asked = 0; (await own()) < count; asked++) {
    if (asked > ASKED_MAX) throw new Error('the draw never seats it');
    const how = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 16, seed: asked, verification: 'single' };
    await network.ask(`question ${asked}`, how);
  }
  await network.gateway.settled();
  return network;
}

async function ticked(network: ToyNetwork): Promise<void> {
  // Rulings that are final by the end of the work are settled by the tick after it.
  for (let i = 0; i < 3; i++) {
    await network.gateway.tick();
    await network.gateway.settled();
  }
}

async function leave(network: ToyNetwork): Promise<void> {
  expect((await network.admin('POST', `/providers/${PROVIDER}/remove`)).status).toBe(200);
  await ticked(network);
}

const earned = ({ store }: ToyNetwork) => store.read((handle) => balanceNano(handle, earningsAccount(PROVIDER)));
const retained = ({ store }: ToyNetwork) => store.read((handle) => retainedNano(handle, PROVIDER, clock.nowMs()));
const of = <T extends LogEntry['type']>(entries: readonly LogEntry[], type: T) =>
  entries.filter((entry): entry is Extract<LogEntry, { type: T }> => entry.type === type);

/** Log, rows and money of all examinations tell the same. */
async function expectWhole(network: ToyNetwork): Promise<void> {
  const rows = await tablesOf(network);
  // Of the database's rows the check reads these.
  expect(checkExaminations(rows as never, await entriesOf(network))).toEqual([]);
  expect(await booksOf(network.store)).toEqual([]);
}

/** Everything that p0 has answered is so much older, and nothing is kept of the others. */
function older({ store }: ToyNetwork, byMs: number): Promise<void> {
  return store.withTx(async ({ db, tables }) => {
    await db.delete(tables.keptAnswers).where(ne(tables.keptAnswers.provider, PROVIDER));
    for (const row of await db.select().from(tables.jobs)) {
      await db.update(tables.jobs).set({ issuedAtMs: row.issuedAtMs - byMs });
    }
    for (const row of await db.select().from(tables.keptAnswers)) {
      await db.update(tables.keptAnswers).set({ answeredAtMs: row.answeredAtMs - byMs });
    }
  });
}

describe('a provider that its operator retires', () => {
  test('is examined on all that it answered alone, pays the scores once, and loses nothing else', async () => {
    const network = await served(3);
    const before = await earned(network);
    await leave(network);
    const { examinations, examined, jobs } = await tablesOf(network);
    const own = jobs.filter(({ provider, wave }) => provider === PROVIDER && wave === 0).length;
    expect(examinations).toMatchObject([{ provider: PROVIDER, occasion: 'last', endedAtMs: expect.any(Number) }]);
    expect(examined.map(({ outcome }) => outcome)).toEqual(Array(own).fill('held'));
    const feeNano = examined.reduce((sum, { costNano }) => sum + costNano, 0n);
    expect(feeNano).toBeGreaterThan(0n);
    expect(examinations[0]!.feeNano).toBe(feeNano);
    expect(await earned(network)).toBe(before - feeNano);
    expect(await stakeOf(network.store, PROVIDER)).toBe(STAKE_NANO);
    const entries = await entriesOf(network);
    expect(of(entries, 'examination')).toMatchObject([{ occasion: 'last', drawn: own, of: own }]);
    expect(of(entries, 'examined').every(({ auditor }) => auditor !== null && auditor !== PROVIDER)).toBe(true);
    expect(of(entries, 'examination_end')).toMatchObject([{ provider: PROVIDER, feeNano: feeNano.toString() }]);
    await expectWhole(network);
    await network.restart();
    await ticked(network);
    expect((await tablesOf(network)).examinations).toHaveLength(1);
  });

  test('that has cheated loses its pay and stake, and its clients are paid back', async () => {
    const network = await served(3, LIAR);
    expect((await tablesOf(network)).disputes).toEqual([]);
    await leave(network);
    const { examined, disputes, requests, examinations } = await tablesOf(network);
    expect(examined.length).toBeGreaterThanOrEqual(3);
    expect(examined.every(({ outcome }) => outcome === 'rejected')).toBe(true);
    expect(disputes.every(({ ruling, state }) => ruling === 'upheld' && state === 'settled')).toBe(true);
    expect(await earned(network)).toBe(0n);
    expect(await stakeOf(network.store, PROVIDER)).toBeLessThanOrEqual((STAKE_NANO * 8n) / 10n);
    for (const { requestId } of examined) {
      const { chargedNano, refundedNano } = requests.find((request) => request.requestId === requestId)!;
      expect(refundedNano).toBe(chargedNano);
    }
    expect(examinations[0]).toMatchObject({ feeNano: 0n, endedAtMs: expect.any(Number) });
    await expectWhole(network);
  });

  test('would get away with it where nothing is kept to examine', async () => {
    const network = await served(3, { ...LIAR, limits: { reexamineMs: 0 } });
    const before = await earned(network);
    await leave(network);
    const { disputes, examinations } = await tablesOf(network);
    expect([disputes, examinations]).toEqual([[], []]);
    expect(await earned(network)).toBe(before);
    expect(await stakeOf(network.store, PROVIDER)).toBe(STAKE_NANO);
  });

  test('waits no longer than an audit may take where nobody can score, and then pays nothing', async () => {
    const network = await served(2, { limits: { audits: { ...NEVER, withinMs: 0 } } });
    for (const name of network.names.slice(1)) network.down(name, true);
    await leave(network);
    const { examinations, examined } = await tablesOf(network);
    expect(examined.every(({ outcome }) => outcome === 'undone')).toBe(true);
    expect(examinations).toMatchObject([{ feeNano: 0n, endedAtMs: expect.any(Number) }]);
    await expectWhole(network);
  });

  test('has its pay and stake held while the examination runs, however old they are', async () => {
    const network = await served(2);
    for (const name of network.names.slice(1)) network.down(name, true);
    await leave(network);
    await network.store.withTx(async ({ db, tables }) => {
      await db.update(tables.jobs).set({ issuedAtMs: clock.nowMs() - PAY_DELAY_MS - 1 });
      await db.update(tables.examinations).set({ beganAtMs: clock.nowMs() - DAY_MS });
    });
    expect(await retained(network)).toBe(await earned(network));
    const stake = { account: `stake:${PROVIDER}`, amount_nano: '1', reference: 'stake' };
    expect(await network.admin('POST', '/withdrawals', stake)).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('evidence_outstanding') } },
    });
  });
});

describe('a provider that goes on', () => {
  const withdraw = (network: ToyNetwork) =>
    network.admin('POST', '/withdrawals', { account: `earnings:${PROVIDER}`, amount_nano: '1', reference: 'pay' });

  test('is paid for the first time only once it was examined', async () => {
    const network = await served(3);
    await ticked(network);
    expect((await tablesOf(network)).examinations).toEqual([]);
    // Old enough to leave, were it not the first.
    await network.store.withTx(async ({ db, tables }) => {
      await db.update(tables.jobs).set({ issuedAtMs: clock.nowMs() - 2 * PAY_DELAY_MS });
      const rows = await db.select().from(tables.keptAnswers);
      const oldest = rows.filter(({ provider }) => provider === PROVIDER)[0]!;
      expect(oldest.keepUntilMs).toBeGreaterThan(clock.nowMs());
    });
    expect((await withdraw(network)).status).toBe(400);
    await makeOld(network, PROVIDER);
    await network.restart();
    await ticked(network);
    const { examinations } = await tablesOf(network);
    expect(examinations.filter(({ provider }) => provider === PROVIDER)).toMatchObject([
      { occasion: 'first', endedAtMs: expect.any(Number) },
    ]);
    expect((await withdraw(network)).status).toBe(201);
    await expectWhole(network);
  });

  /** The oldest of its answers was given six days ago. */
  async function makeOld({ store }: ToyNetwork, provider: Address): Promise<void> {
    await store.withTx(async ({ db, tables }) => {
      const { keptAnswers: kept } = tables;
      const [oldest] = (await db.select().from(kept)).filter((row) => row.provider === provider);
      await db
        .update(kept)
        .set({ answeredAtMs: clock.nowMs() - 6 * DAY_MS })
        .where(eq(kept.requestId, oldest!.requestId));
    });
  }

  test('and asks for all of its stake on the chain is examined at once', async () => {
    const network = await served(2);
    const unstaking = (activeBase: string) =>
      network.store.withTx(async (tx) => {
        const base = { queuedBase: '5', slashedBase: '0', activeNano: 0n, convicted: 0 };
        await putStake(tx, { account: ACCOUNT, activeBase, ...base });
      });
    await network.store.withTx((tx) => addKey(tx, ACCOUNT, PROVIDER));
    // A part of it leaves who goes on.
    await unstaking('1');
    await network.restart();
    await ticked(network);
    expect((await tablesOf(network)).examinations).toEqual([]);
    await unstaking('0');
    await network.restart();
    await ticked(network);
    expect((await tablesOf(network)).examinations).toMatchObject([{ provider: PROVIDER, occasion: 'last' }]);
    await expectWhole(network);
  });

  test('and falls silent is examined after two days', async () => {
    const network = await served(8);
    await older(network, 2 * DAY_MS);
    await network.restart();
    await ticked(network);
    expect((await tablesOf(network)).examinations).toMatchObject([{ provider: PROVIDER, occasion: 'last' }]);
    await expectWhole(network);
  });
});

test.each([0, 1, 3, 6])(
  'a gateway that dies %i commits after the draw examines every answer once, and takes the fee once',
  async (commits) => {
    let mortal: MortalStore | null = null;
    const through: ToyOptions['through'] = (store) => {
      mortal = new MortalStore(store);
      return mortal;
    };
    const network = await served(3, { through });
    const before = await earned(network);
    const killed = mortal! as MortalStore;
    let left = commits;
    killed.afterCommit = async (handle) => {
      const begun = await handle.db.select().from(handle.tables.examinations);
      if (begun.length > 0 && left-- === 0) killed.dead = true;
    };
    await leave(network).catch(() => undefined);
    await network.gateway.settled();
    expect(killed.dead).toBe(true);
    await network.revive();
    await ticked(network);
    const { examinations, examined } = await tablesOf(network);
    expect(examinations).toHaveLength(1);
    expect(examined.map(({ outcome }) => outcome)).toEqual(examined.map(() => 'held'));
    expect(await earned(network)).toBe(before - examinations[0]!.feeNano);
    expect(examinations[0]!.feeNano).toBe(examined.reduce((sum, { costNano }) => sum + costNano, 0n));
    await expectWhole(network);
  },
);
