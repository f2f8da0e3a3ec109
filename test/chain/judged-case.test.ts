/** A judged case on a real chain, as the demonstration brings it: referees' signatures from TypeScript, read by the contract. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Hash, toHex } from '#protocol/hash';
import { portableSigner } from '#protocol/signer';
import { bringCase, type CaseStage } from '../../gateway/demo/chain-case.ts';
import { accountOf, bondsOf, creditOf } from '../../provider/chain/account.ts';
import { DEMO, startNetwork, type TestNetwork } from './chain-fixture.ts';
import { stakedProvider } from './scripted-gateway.ts';

const signerOf = (byte: number) => portableSigner(new Uint8Array(32).fill(byte));
const referees = [21, 22, 23].map(signerOf);
const appeal = [31, 32, 33, 34, 35].map(signerOf);
const named = (byte: number): Hash => toHex(new Uint8Array(32).fill(byte));

let net: TestNetwork;
beforeAll(async () => {
  const members = (set: typeof referees) => set.map(({ address }) => address);
  net = await startNetwork({ first: members(referees), appeal: members(appeal) });
}, 120_000);
afterAll(() => net?.stop());

/** The parts of a stage that a case needs. */
const stageOf = (judges: typeof referees): CaseStage => {
  const send: CaseStage['send'] = (access, _, call) => access.send(call);
  const pass: CaseStage['pass'] = (seconds) => net.pass(seconds);
  return { network: net.network, referees: judges, send, pass };
};

it('takes a fifth of the stake once the time to appeal is over: a part to who was right, the bond back to who opened it', async () => {
  const [liar, honest, opener] = [await stakedProvider(net), await stakedProvider(net), await net.party(10n)];
  const file = {
    account: liar.chain.sender,
    disputeId: named(1),
    bundle: { a: [1, 'é'] },
    right: [honest.chain.sender],
  };
  expect(await bringCase(stageOf(referees), opener.chain, file)).toBe(10n * DEMO);
  expect((await accountOf(opener.chain, liar.chain.sender))?.active).toBe(40n * DEMO);
  expect(await creditOf(opener.chain, honest.chain.sender)).toBe(3n * DEMO);
  expect(await bondsOf(opener.chain, 'Rulings', opener.chain.sender)).toBe(DEMO);
});

it('takes nothing by the voices of strangers', async () => {
  const [accused, opener] = [await stakedProvider(net), await net.party(10n)];
  const file = { account: accused.chain.sender, disputeId: named(2), bundle: {}, right: [] };
  await expect(bringCase(stageOf(appeal), opener.chain, file)).rejects.toThrow('too few referees have signed');
  expect((await accountOf(opener.chain, accused.chain.sender))?.active).toBe(50n * DEMO);
});
