/** What a client pays for audits, from its escrow on a real chain to the wallet of who audited (spec-money.md 11.5, spec-chain.md C9.5). */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { zEarningsProof } from '#protocol/earnings';
import { type Address, toHex } from '#protocol/hash';
import { AUDIT_POOL, clientAccount, earningsAccount } from '../../gateway/ledger/accounts.ts';
import { surchargeNano } from '../../gateway/ledger/price.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { requestById } from '../../gateway/store/requests-repo.ts';
import { tokenBalance } from '../../provider/chain/account.ts';
import { claim } from '../../provider/chain/claim.ts';
import { keyOf, signerOf } from '../fixtures/toy-network.ts';
import { entriesOf } from '../fixtures/toy-networks.ts';
import { statementOf } from '../fixtures/witnessed-network.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';
import { type ChainGateway, soon, startChainGateway } from './chain-gateway.ts';
import { ASKED, DAY } from './court.ts';
import { PAID_IN, payingClient } from './paying-client.ts';

let gateway: ChainGateway;

beforeAll(async () => {
  const audits = { ratePpm: 1_000_000, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
  gateway = await startChainGateway(3, undefined, { limits: { audits } });
}, 300_000);
afterAll(() => gateway?.stop());

it('the surcharge of an audited answer goes from the client’s escrow to whoever audits it, through the ledger and a root, and nothing of it is left over', {
  timeout: 300_000,
}, async () => {
  const { net, toy, post } = gateway;
  const { apiKey } = await payingClient(gateway);
  const messages = [{ role: 'user', content: 'Is somebody looking?' }];
  const verification = { mode: 'audited', audit_rate: 1 };
  const reply = await post('/v1/chat/completions', { ...ASKED, model: TOY_MODEL.id, messages, verification }, apiKey);
  expect(reply.status).toBe(200);
  const { requestId, served, request: asked, outputIds, audit } = statementOf(await reply.text());
  const work = { inputTokens: asked.promptTokens, outputTokens: outputIds.length };
  const surcharge = surchargeNano(TOY_MODEL.price, work, audit!);
  expect(surcharge).toBeGreaterThan(0n);

  const auditor = await auditorOf(requestId);
  const nanoOf = (account: string) => toy.store.read((handle) => balanceNano(handle, account));
  const request = (await toy.store.read((handle) => requestById(handle, requestId)))!;
  const answerPay = await nanoOf(earningsAccount(served));
  const auditPay = await nanoOf(earningsAccount(auditor));
  // Off the chain: the client has paid answer and surcharge, the surcharge has paid the audit. A base unit is a nano here.
  expect(request.chargedNano - answerPay - surcharge).toBeLessThanOrEqual(1n);
  expect(await nanoOf(clientAccount(request.account))).toBe(PAID_IN - request.chargedNano);
  expect(await postingsOn(AUDIT_POOL)).toEqual([surcharge, -auditPay]);
  expect(await nanoOf(AUDIT_POOL)).toBe(surcharge - auditPay);
  expect(surcharge - auditPay).toBeLessThanOrEqual(1n);

  // On the chain: the auditor's pay is under a root at once, and its wallet has it; pay for the lone answer is retained for a week.
  await soon(async () => expect((await toy.call(`/v1/earnings/${auditor}/pending`)).status).toBe(200));
  await net.pass(DAY);
  await soon(async () => expect((await toy.call(`/v1/earnings/${auditor}`)).status).toBe(200));
  const proof = zEarningsProof.parse(await (await toy.call(`/v1/earnings/${auditor}`)).json());
  expect(proof.cumulative).toBe(auditPay);
  expect((await toy.call(`/v1/earnings/${served}`)).status).toBe(404);
  const name = toy.names.find((one) => signerOf(one).address === auditor)!;
  const { chain } = await net.party(0n, toHex(keyOf(name)));
  const before = await tokenBalance(chain, chain.sender);
  expect(await claim(chain, { proof, provider: auditor, dryRun: false }, { print: () => undefined })).toBe(auditPay);
  expect((await tokenBalance(chain, chain.sender)) - before).toBe(auditPay);
  await soon(async () => expect(await nanoOf(earningsAccount(auditor))).toBe(0n));
  expect(await nanoOf(earningsAccount(served))).toBe(answerPay);
  expect(await toy.gateway.chain!.compare()).toEqual([]);
});

/** Who has audited it and found that it holds. */
async function auditorOf(id: string): Promise<Address> {
  let found: Address | null = null;
  await soon(async () => {
    // As a running gateway does: what is due and has waited begins.
    await gateway.toy.gateway.tick();
    const entries = await entriesOf(gateway.toy);
    const audits = entries.flatMap((entry) => (entry.type === 'audited' && entry.requestId === id ? [entry] : []));
    expect(audits.map(({ outcome }) => outcome)).toEqual(['held']);
    found = audits[0]!.auditor;
  });
  return found!;
}

/** Amounts that have come to an account and left it, in their order. */
function postingsOn(account: string): Promise<bigint[]> {
  return gateway.toy.store.read(async ({ db, tables }) => {
    const rows = await db.select().from(tables.postings);
    return rows.flatMap((row) => (row.account === account ? [row.amountNano] : []));
  });
}
