/** A member that missed a round is heard after the release, and may take the answer back (DESIGN §4, spec-judge.md §7.9). */
import { afterEach, describe, expect, test } from 'vitest';
import { earningsAccount } from '../../gateway/ledger/accounts.ts';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { transferById } from '../../gateway/store/ledger-repo.ts';
import { logRange } from '../../gateway/store/log-repo.ts';
import { earlyStop, lyingScorer } from '../fixtures/cheats-engine.ts';
import type { Handler } from '../fixtures/cheats-wire.ts';
import { booksOf, LIMITS, STAKE_NANO, stakeOf } from '../fixtures/network.ts';
import {
  earningsOf,
  fundsOf,
  type LateWorld,
  rulings,
  STUCK_MS,
  startWorld as startLateWorld,
  stuck,
  stuckOnce,
} from './late-world.ts';
import { HONEST_JITTER, toyMachine } from './toy-machine.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Of answers of 160 tokens at T = 1 about every second one has a token that is closer than the noise of a class. */
const NEAR_TIE_REQUESTS = 8;

let world: LateWorld | null = null;
afterEach(() => world?.close());
async function startWorld(...parts: Parameters<typeof startLateWorld>): Promise<LateWorld> {
  world = await startLateWorld(...parts);
  return world;
}

const cheap = () => toyMachine({ salt: 'cheap' });
const honest = () => toyMachine();

describe('a witness', () => {
  test('that saw something else than two colluders served takes their answer back, with their stake', async () => {
    const late = (clock: VirtualClock) => stuckOnce(honest(), clock);
    const world = await startWorld({ 'liar-a': cheap, 'liar-b': cheap, late });
    const { store, gateway, clock, addressOf } = world;
    const fundsBefore = await fundsOf(store);
    const { status, body } = await world.ask();
    expect(status).toBe(200);
    expect(body.assay.verdict).toBe('agreed');
    expect(await fundsOf(store)).toBeLessThan(fundsBefore);
    await clock.run(gateway.settled());
    await clock.run(gateway.tick());

    expect(await world.get(`/v1/attestations/${body.assay.id}`)).toMatchObject({
      status: 'overturned',
      overturned: { dispute: expect.stringMatching(/^0x/) },
      // What was signed is still what was signed.
      assay: { verdict: 'agreed' },
    });
    expect(await rulings(store)).toEqual({ [addressOf('liar-a')]: 'upheld', [addressOf('liar-b')]: 'upheld' });
    // The client has its money back, the liars a fifth of their stake less, the witness all of it and its pay.
    expect(await fundsOf(store)).toBe(fundsBefore);
    expect(await stakeOf(store, addressOf('liar-a'))).toBe((STAKE_NANO * 4n) / 5n);
    expect(await stakeOf(store, addressOf('late'))).toBe(STAKE_NANO);
    expect(await earningsOf(store, addressOf('late'))).toBeGreaterThan(0n);
    expect(await booksOf(store)).toEqual([]);
    const entries = await store.read((handle) => logRange(handle, 0, 1000));
    expect(entries.filter(({ entryJson }) => entryJson.includes('"overturned"'))).toHaveLength(1);
  });

  test('that agrees changes nothing, and is paid for its work', async () => {
    const late = (clock: VirtualClock) => stuckOnce(honest(), clock);
    const world = await startWorld({ a: honest, b: honest, late });
    const { store, gateway, clock, addressOf } = world;
    const { body } = await world.ask();
    await clock.run(gateway.settled());
    expect(await world.get(`/v1/attestations/${body.assay.id}`)).toMatchObject({
      status: 'standing',
      overturned: null,
    });
    expect(await rulings(store)).toEqual({});
    expect(await earningsOf(store, addressOf('late'))).toBeGreaterThan(0n);
    expect(await booksOf(store)).toEqual([]);
  });

  test('that lies is convicted itself, and the answer stands', async () => {
    const late = (clock: VirtualClock) => stuckOnce(cheap(), clock);
    const world = await startWorld({ a: honest, b: honest, late });
    const { store, gateway, clock, addressOf } = world;
    const { body } = await world.ask();
    await clock.run(gateway.settled());
    await clock.run(gateway.tick());
    expect(await world.get(`/v1/attestations/${body.assay.id}`)).toMatchObject({ status: 'standing' });
    expect(await rulings(store)).toEqual({ [addressOf('late')]: 'upheld' });
    expect(await stakeOf(store, addressOf('a'))).toBe(STAKE_NANO);
    expect(await booksOf(store)).toEqual([]);
  });

  test('that parts at honest near-ties opens nothing, and nobody is asked to score it', async () => {
    // Stuck in the first order of each request, never in the second.
    const late = (clock: VirtualClock) =>
      stuck(toyMachine({ jitter: HONEST_JITTER, classSalt: 'b' }), clock, (call) => (call % 2 === 0 ? STUCK_MS : 0));
    const world = await startWorld({ a: honest, b: honest, late });
    const { store, gateway, clock } = world;
    const transcripts = new Set<string>();
    for (let seed = 0; seed < NEAR_TIE_REQUESTS; seed++) {
      // Never the end token: every answer has all its tokens.
      const { body } = await world.ask({ temperature: 1, seed, max_tokens: 160, logit_bias: { 0: -100 } });
      await clock.run(gateway.settled());
      const jobs = await store.read((handle) => jobsOfRequest(handle, body.assay.id));
      expect(jobs.filter(({ role }) => role !== 'member')).toEqual([]);
      const claims = jobs.flatMap(({ claimJson }) => claimJson?.match(/"transcriptHash":"0x[0-9a-f]+"/)?.[0] ?? []);
      if (new Set(claims).size > 1) transcripts.add(body.assay.id);
    }
    // Without one that parted this would show nothing.
    expect(transcripts.size).toBeGreaterThan(0);
    expect(await rulings(store)).toEqual({});
  });

  test('is heard no more once the answer has fallen', async () => {
    const late = (clock: VirtualClock) => stuckOnce(honest(), clock);
    const world = await startWorld({ 'liar-a': cheap, 'liar-b': cheap, first: late, second: late });
    const { store, gateway, clock, addressOf } = world;
    const { body } = await world.ask({ verification: { mode: 'quorum', n: 4, agree: 2 } });
    await clock.run(gateway.settled());
    await clock.run(gateway.tick());
    expect(await world.get(`/v1/attestations/${body.assay.id}`)).toMatchObject({ status: 'overturned' });
    const jobs = await store.read((handle) => jobsOfRequest(handle, body.assay.id));
    const heard = ['first', 'second'].map((name) => jobs.filter(({ provider }) => provider === addressOf(name)).length);
    expect(heard.sort()).toEqual([1, 2]);
    // Scores are paid as work, beside any share of the slash.
    const scored = jobs.filter(({ role }) => role === 'scorer');
    expect(scored.length).toBeGreaterThan(0);
    expect(scored.every(({ earnedNano }) => earnedNano > 0n)).toBe(true);
  });

  test('whose transcript breaks the order is accused by that alone', async () => {
    const late = (clock: VirtualClock) => stuckOnce(earlyStop(honest()), clock);
    const world = await startWorld({ a: honest, b: honest, late });
    const { store, gateway, clock, addressOf } = world;
    const { body } = await world.ask();
    await clock.run(gateway.settled());
    await clock.run(gateway.tick());
    const jobs = await store.read((handle) => jobsOfRequest(handle, body.assay.id));
    expect(jobs.filter(({ role }) => role === 'scorer')).toEqual([]);
    expect(await rulings(store)).toEqual({ [addressOf('late')]: 'upheld' });
    expect(await world.get(`/v1/attestations/${body.assay.id}`)).toMatchObject({ status: 'standing' });
  });

  test('that is never heard keeps nobody waiting, and what was set aside for it goes back', async () => {
    const never = (clock: VirtualClock) => stuck(honest(), clock, () => 24 * 3_600_000);
    const world = await startWorld({ a: honest, b: honest, never });
    const { store, gateway, clock } = world;
    const { body } = await world.ask();
    await clock.run(gateway.settled());
    expect(await world.get(`/v1/attestations/${body.assay.id}`)).toMatchObject({ status: 'standing' });
    expect(await booksOf(store)).toEqual([]);
  });
});

describe('a scorer that takes the liars’ side', () => {
  const sharersOf = async (store: Store): Promise<string[]> => {
    const [dispute] = await store.read((handle) => listDisputes(handle, { limit: 1, state: 'settled' }));
    const transfer = await store.read((handle) => transferById(handle, `dispute:${dispute!.disputeId}`));
    const accounts = transfer!.postings.map(({ account }) => account);
    return accounts.filter((account) => account.startsWith('earnings:')).sort();
  };

  test('is paid for its score and gets nothing of the slash; those who were right do', async () => {
    const world = await startWorld({ a: honest, b: honest, liar: cheap }, {}, lyingScorer(honest(), cheap()));
    const { store, gateway, clock, addressOf } = world;
    const { body } = await world.ask();
    expect(body.assay.verdict).toBe('agreed');
    await clock.run(gateway.settled());
    await clock.run(gateway.tick());
    expect(await rulings(store)).toEqual({ [addressOf('liar')]: 'upheld' });
    const jobs = await store.read((handle) => jobsOfRequest(handle, body.assay.id));
    const scored = jobs.filter(({ provider, role }) => provider === addressOf('scorer-a') && role === 'scorer');
    expect(scored.length).toBeGreaterThan(0);
    expect(scored.map(({ standing }) => standing)).not.toContain('counted');
    expect(scored.every(({ earnedNano }) => earnedNano > 0n)).toBe(true);
    const right = ['a', 'b', 'scorer-b'].map((name) => earningsAccount(addressOf(name)));
    expect(await sharersOf(store)).toEqual(right.sort());
    expect(await booksOf(store)).toEqual([]);
  });

  test('and whose side had won until a witness was heard, gets nothing of their slash', async () => {
    const late = (clock: VirtualClock) => stuckOnce(honest(), clock);
    const world = await startWorld({ 'liar-a': cheap, 'liar-b': cheap, late }, {}, lyingScorer(honest(), cheap()));
    const { store, gateway, clock, addressOf } = world;
    const { body } = await world.ask();
    await clock.run(gateway.settled());
    await clock.run(gateway.tick());
    expect(await rulings(store)).toEqual({ [addressOf('liar-a')]: 'upheld', [addressOf('liar-b')]: 'upheld' });
    const jobs = await store.read((handle) => jobsOfRequest(handle, body.assay.id));
    expect(jobs.some(({ provider }) => provider === addressOf('scorer-a'))).toBe(true);
    const right = ['late', 'scorer-b'].map((name) => earningsAccount(addressOf(name)));
    expect(await sharersOf(store)).toEqual(right.sort());
    expect(await booksOf(store)).toEqual([]);
  });
});

describe('an extra seat', () => {
  test('counts like any other where all arrive, and is paid by the reserve', async () => {
    const world = await startWorld({ a: honest, b: honest, c: honest, d: honest }, { extraSeatsMax: 1 });
    const { store, addressOf } = world;
    const before = await fundsOf(store);
    const { body } = await world.ask();
    expect(body.assay).toMatchObject({ verdict: 'agreed', agreement: { needed: 3, standing: 4, of: 4 } });
    const earned = await Promise.all(['a', 'b', 'c', 'd'].map((name) => earningsOf(store, addressOf(name))));
    expect(new Set(earned).size).toBe(1);
    // Three seats were asked for, and three are paid by the client (each charge rounded up by less than one nano).
    const charged = before - (await fundsOf(store));
    expect(charged - 3n * earned[0]!).toBeGreaterThanOrEqual(0n);
    expect(charged - 3n * earned[0]!).toBeLessThanOrEqual(3n);
    expect(await booksOf(store)).toEqual([]);
  });

  test('stays one where another seat is taken by the next of the draw: the client pays three seats, the reserve one', async () => {
    const refuses = (name: string, handle: Handler): Handler =>
      name !== 'refuser'
        ? handle
        : async (request) => (request.url.endsWith('/v1/jobs') ? new Response('no', { status: 503 }) : handle(request));
    const drawn = { a: honest, b: honest, c: honest, refuser: honest };
    const world = await startWorld(drawn, { extraSeatsMax: 1 }, honest(), refuses);
    const { store, addressOf } = world;
    const places = new Set<number>();
    // Fewer than open its breaker; the refuser is drawn at one place after another.
    for (let question = 0; question < 4; question++) {
      const { body } = await world.ask({ messages: [{ role: 'user', content: `Question ${question}` }] });
      const jobs = await store.read((handle) => jobsOfRequest(handle, body.assay.id));
      places.add(jobs.findIndex(({ provider }) => provider === addressOf('refuser')));
      const seated = jobs.filter(({ standing }) => standing === 'counted');
      expect(seated.map(({ wave }) => wave).sort()).toEqual([0, 0, 0, 1]);
    }
    expect(places.size).toBeGreaterThan(1);
    expect(await booksOf(store)).toEqual([]);
  });

  test('makes up for a member that is lost, without a score, and takes the time of nobody', async () => {
    const gone = (clock: VirtualClock) => stuck(honest(), clock, () => 24 * 3_600_000);
    const world = await startWorld({ a: honest, b: honest, c: honest, gone }, { extraSeatsMax: 1 });
    const startMs = world.clock.nowMs();
    const { body } = await world.ask();
    expect(body.assay).toMatchObject({ verdict: 'agreed', agreement: { standing: 3, of: 3 } });
    // The slow one had all of its time before the others were compared.
    expect(world.clock.nowMs() - startMs).toBeGreaterThanOrEqual(LIMITS.roundTimeoutMs);
    expect(await rulings(world.store)).toEqual({});
  });
});
