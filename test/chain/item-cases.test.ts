/** An answer that fell after a conviction, before a real contract's referees (SPEC.md §8.3, spec-chain.md C9.8). */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hash } from '#protocol/hash';
import { judgeCases } from '../../gateway/cli/referee.ts';
import { requestById } from '../../gateway/store/requests-repo.ts';
import { creditOf } from '../../provider/chain/account.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';
import { type ChainGateway, soon } from './chain-gateway.ts';
import { ASKED, type Court, DAY, LIAR, REFEREES, startCourt } from './court.ts';
import { payingClient } from './paying-client.ts';

let court: Court;

beforeAll(async () => {
  court = await startCourt();
}, 300_000);
afterAll(() => court?.gateway.stop());

it('an answer that falls after a conviction is a case of its own: its client, and nobody else, gets what it paid out of another share', {
  timeout: 300_000,
}, async () => {
  const { gateway, caseOf, stakeOfLiar, benchOf, lines } = court;
  const { net, toy } = gateway;
  const before = await stakeOfLiar();
  const { client, apiKey } = await payingClient(gateway);
  const alone = await answeredByLiar(gateway, apiKey);
  const conviction = await court.newDispute();
  const fallen = async () => {
    const rows = await toy.store.read(({ db, tables }) => db.select().from(tables.reexamined));
    return rows.find(({ requestId }) => requestId === alone);
  };
  await soon(async () => {
    // As a running gateway does: an auditor that was not there is asked again.
    await toy.gateway.tick();
    expect(await fallen()).toMatchObject({ disputeId: conviction, outcome: 'overturned' });
  });
  const item = (await fallen())!.accusedIn as Hash;
  await soon(async () => expect(await caseOf(item)).toMatchObject({ state: 'opened' }));
  const opened = (await caseOf(item))!;
  const request = (await toy.store.read((handle) => requestById(handle, alone)))!;
  // A base unit of its token is a nano.
  const paidBack = BigInt(opened.division.refund) + request.refundedNano;
  expect([opened.division.client, opened.division.right, paidBack]).toEqual([client, [], request.chargedNano]);
  await soon(async () => expect(await caseOf(conviction)).toMatchObject({ state: 'opened' }));
  lines.length = 0;
  for (const referee of REFEREES.slice(0, 2)) expect(await judgeCases(await benchOf(referee)), lines.join()).toBe(0);
  for (const id of [item, conviction])
    await soon(async () => expect(await caseOf(id)).toMatchObject({ state: 'ruled' }));
  await net.pass(2 * DAY);
  for (const id of [item, conviction]) {
    await soon(async () => expect(await caseOf(id)).toMatchObject({ state: 'settled', outcome: 'upheld' }));
  }
  expect(await stakeOfLiar()).toBe((before! * 6n) / 10n);
  expect(await creditOf((await net.party(0n)).chain, client)).toBe(BigInt(opened.division.refund));
  expect(await toy.gateway.chain!.compare()).toEqual([]);
});

/** Asks one provider alone until it is the liar. @returns the request */
async function answeredByLiar({ post, toy }: ChainGateway, apiKey: string): Promise<string> {
  for (let tries = 0; tries < 60; tries++) {
    const messages = [{ role: 'user', content: `only you (${tries})` }];
    const question = { ...ASKED, model: TOY_MODEL.id, seed: tries, messages };
    const reply = await post('/v1/chat/completions', { ...question, verification: 'single' }, apiKey);
    const { assay } = (await reply.json()) as { assay: { id: string } };
    const kept = await toy.store.read(({ db, tables }) => db.select().from(tables.keptAnswers));
    if (kept.some(({ requestId, provider }) => requestId === assay.id && provider === LIAR)) return assay.id;
  }
  throw new Error('the liar was never drawn');
}
