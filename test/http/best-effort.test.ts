/** Answers that nobody could settle and that were asked for all the same: marked, and paid like any other (spec-money.md §11.6). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAttestation } from '#protocol/attestation';
import { choicesOf } from '#protocol/choices';
import { choiceSeed } from '#protocol/request';
import { verifyResponse } from '#protocol/verify';
import { jobPrice } from '../../gateway/ledger/price.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { requestById } from '../../gateway/store/requests-repo.ts';
import { otherModel } from '../fixtures/cheats-engine.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';
import { TOY_MODEL, toyMachine, underSeed } from '../simulation/toy-machine.ts';

const SEED = 7;
const CHOICES = 3;
/** The choice about which four of five collude: too few stand behind any answer, and no fresh operator is left. */
const LIED = 1;
const BEST = { mode: 'quorum', n: 5, on_inconclusive: 'best_effort' };
const SAMPLED = { temperature: 1, seed: SEED, max_tokens: 30, logit_bias: { 0: -100 }, n: CHOICES };

let network: ToyNetwork;
beforeAll(async () => {
  const liar = () => {
    const honest = toyMachine();
    return underSeed(choiceSeed(BigInt(SEED), LIED), otherModel(honest, toyMachine({ salt: 'cheap' })), honest);
  };
  const engines = Object.fromEntries(['p1', 'p2', 'p3', 'p4'].map((name) => [name, liar()]));
  network = await startToyNetwork({ engines });
});
afterAll(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
});

interface Priced {
  readonly price: { readonly quote_nano: string };
}

test.each([false, true])('one inconclusive choice of three is paid with the others (streamed: %s)', async (stream) => {
  const { saved, request } = await network.ask('Tell me', { ...SAMPLED, stream, verification: BEST });
  const { assay } = JSON.parse(stream ? lastFrame(saved) : saved) as { assay: { attestation: string } };
  const { statement } = parseAttestation(assay.attestation)!;
  expect(statement.verdict).toBe('inconclusive');
  expect(choicesOf(statement).map(({ verdict }) => verdict)).toEqual(['agreed', 'inconclusive', 'agreed']);
  const { row, jobs } = await network.store.read(async (handle) => ({
    row: (await requestById(handle, statement.requestId))!,
    jobs: await jobsOfRequest(handle, statement.requestId),
  }));
  expect(row).toMatchObject({ state: 'settled', verdict: 'best_effort' });
  const client = jobs.filter(({ role, wave, standing }) => role === 'member' && wave === 0 && standing !== 'witness');
  const charged = client.reduce((sum, job) => sum + jobPrice(TOY_MODEL.price, job).chargeNano, 0n);
  expect(client.length).toBeGreaterThanOrEqual(11);
  expect(row.chargedNano).toBe(charged);
  expect(charged).toBeGreaterThan(0n);
  expect(statement.price).toEqual({ quoteNano: `${row.quoteNano}`, chargedNano: `${charged}` });
  // The quote of the same body said the most that this can cost.
  const quoted = await network.call('/v1/quote', {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: request,
  });
  expect(((await quoted.json()) as Priced).price.quote_nano).toBe(row.quoteNano.toString());
  const failed = verifyResponse({ response: saved }).items.filter(({ status }) => status === 'failed');
  expect(failed).toEqual([]);
});

test('without best effort the same request is a 502 and costs nothing', async () => {
  await expect(network.ask('Tell me', { ...SAMPLED, verification: { mode: 'quorum', n: 5 } })).rejects.toThrow('502');
});

function lastFrame(saved: string): string {
  const frames = saved.split('\n\n').filter((frame) => frame.includes('"attestation"'));
  return frames.at(-1)!.slice('data: '.length);
}
