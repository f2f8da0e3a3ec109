/** A liar before a real contract's referees: the gateway opens the case, they judge the evidence again and sign, it ends the case. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { chainDigests, rightHash } from '#protocol/chain-messages';
import type { Address, Hash } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import { recoverNative } from '#protocol/signer-native';
import { type Bench, judgeCases } from '../../gateway/cli/referee.ts';
import type { CaseView } from '../../gateway/store/chain-cases-repo.ts';
import { bondsOf, creditOf } from '../../provider/chain/account.ts';
import { signerOf } from '../fixtures/toy-network.ts';
import { DEMO } from './chain-fixture.ts';
import { soon } from './chain-gateway.ts';
import { APPEAL, type Court, DAY, LIAR, REFEREES, startCourt } from './court.ts';

let court: Court;

beforeAll(async () => {
  court = await startCourt();
}, 300_000);
afterAll(() => court?.gateway.stop());

/** A voice as a referee that believes nobody's evidence would give it. */
async function voice(one: CaseView, signer: Signer, instance: 0 | 1, outcome: 'upheld' | 'rejected') {
  const { client, refund, right } = one.division;
  const ruling = {
    ...{ caseId: one.id as Hash, instance, outcome: outcome === 'upheld' ? 1 : 2, client: client as Address },
    ...{ refund: BigInt(refund), rightHash: rightHash(right as Address[]) },
  };
  const signature = signer.sign(chainDigests.ruling(court.gateway.net.network.domain, ruling));
  return court.gateway.post(`/v1/cases/${one.dispute_id}/voices`, { instance, outcome, signature });
}

it('a final ruling of the gateway becomes a case; two of three referees judge the same, and a fifth of the stake goes after the time to appeal', {
  timeout: 300_000,
}, async () => {
  const { gateway, caseOf, newDispute, stakeOfLiar, benchOf, lines } = court;
  const { net, toy, account } = gateway;
  const first = await newDispute();
  await soon(async () => expect(await caseOf(first)).toMatchObject({ state: 'opened', account: LIAR }));
  const opened = (await caseOf(first))!;
  expect(opened.division.right).toHaveLength(4);

  // Strangers have no voice, and see no prompt.
  expect((await voice(opened, APPEAL[0]!, 0, 'upheld')).status).toBe(400);
  expect((await voice(opened, REFEREES[0]!, 1, 'upheld')).status).toBe(400);
  await expect(judgeCases({ ...(await benchOf(REFEREES[0]!)), courtOf: noCourt })).resolves.toBe(1);
  expect(lines.splice(0)).toEqual([expect.stringContaining('the evidence does not decide it')]);
  expect(await judgeCases(await benchOf(signerOf('stranger')))).toBe(0);
  expect(lines).toEqual([]);

  // A gateway that would pay a friend, the accused or itself out of the slash finds nobody who signs that.
  const friend = signerOf('stranger').address;
  for (const [division, why] of [
    [{ right: [friend] }, `${friend} is named as right, and was not`],
    [{ right: [LIAR] }, `${LIAR} is named as right, and was not`],
    [{ right: [account] }, `${account} is named as right, and was not`],
    [{ client: friend, refund: '1' }, 'the refund is for somebody who has paid nothing out of an escrow'],
    [{ client: account, refund: '1' }, 'the refund is for the accused, or for the gateway'],
    [{ client: friend, refund: `${DEMO}` }, 'the refund is more than the client was charged'],
    [{ refund: '1' }, 'a refund needs a client, and a client a refund'],
  ] as const) {
    expect(await judgeCases(await proposing(REFEREES[0]!, division))).toBe(1);
    expect(lines.splice(0)).toEqual([expect.stringContaining(why)]);
  }
  expect((await caseOf(first))?.voices).toEqual([]);

  expect(await judgeCases(await benchOf(REFEREES[0]!))).toBe(0);
  expect(await judgeCases(await benchOf(REFEREES[0]!))).toBe(0);
  await toy.restart();
  expect((await caseOf(first))?.state).toBe('opened');
  expect(await judgeCases(await benchOf(REFEREES[1]!))).toBe(0);
  await soon(async () => expect(await caseOf(first)).toMatchObject({ state: 'ruled', outcome: 'upheld' }));
  expect(await stakeOfLiar()).toBe(50n * DEMO);
  await net.pass(2 * DAY);
  await soon(async () => expect(await caseOf(first)).toMatchObject({ state: 'settled', outcome: 'upheld' }));
  expect(await stakeOfLiar()).toBe(40n * DEMO);
  const { chain } = await net.party(0n);
  expect(await creditOf(chain, signerOf('p1').address)).toBe((3n * DEMO) / 4n);
  expect(await bondsOf(chain, 'Rulings', account)).toBe(DEMO);
  expect(await toy.gateway.chain!.compare()).toEqual([]);
});

it('an appeal is followed to the larger set, whose word gives the stake back', { timeout: 300_000 }, async () => {
  const { gateway, caseOf, newDispute, stakeOfLiar, benchOf } = court;
  const { net } = gateway;
  const second = await newDispute();
  await soon(async () => expect(await caseOf(second)).toMatchObject({ state: 'opened' }));
  const opened = (await caseOf(second))!;
  for (const referee of REFEREES.slice(0, 2)) expect(await judgeCases(await benchOf(referee))).toBe(0);
  await soon(async () => expect(await caseOf(second)).toMatchObject({ state: 'ruled' }));
  const { chain } = await net.party(10n);
  const { Rulings } = net.network.addresses;
  await chain.send({ callee: 'token', functionName: 'approve', args: [Rulings, 2n * DEMO] });
  await chain.send({ callee: 'Rulings', functionName: 'appeal', args: [opened.id] });
  await soon(async () => expect(await caseOf(second)).toMatchObject({ state: 'appealed' }));
  for (const referee of APPEAL.slice(0, 3)) expect((await voice(opened, referee, 1, 'rejected')).status).toBe(201);
  await soon(async () => expect(await caseOf(second)).toMatchObject({ state: 'settled', outcome: 'rejected' }));
  expect(await stakeOfLiar()).toBe(40n * DEMO);
});

/** A referee at a gateway that proposes another division. */
async function proposing(signer: Signer, change: Partial<CaseView['division']>): Promise<Bench> {
  const bench = await court.benchOf(signer);
  const fetch: typeof bench.io.fetch = async (url, init) => {
    const reply = await bench.io.fetch(url, init);
    if (!url.endsWith('/v1/cases')) return reply;
    const { data } = (await reply.json()) as { data: CaseView[] };
    return Response.json({ data: data.map((one) => ({ ...one, division: { ...one.division, ...change } })) });
  };
  return { ...bench, io: { ...bench.io, fetch } };
}

/** A referee that has neither the model nor its calibration. */
function noCourt(): ReturnType<Bench['courtOf']> {
  return { domain: court.gateway.net.network.domain, recover: recoverNative, text: null, calibrationOf: () => null };
}
