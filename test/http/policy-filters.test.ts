/** What a client may spend and who may see its request: over HTTP, in the attestation, and against a gateway that does not care. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyResponse } from '#protocol/verify';
import { logSize } from '../../gateway/store/log-repo.ts';
import { requestsOfKey } from '../../gateway/store/requests-repo.ts';
import { forgeAnswer } from '../fixtures/forged-answer.ts';
import { API_KEY, booksOf } from '../fixtures/network.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

const BODY = { model: 'minnow-5m', temperature: 0, max_tokens: 6, messages: [{ role: 'user', content: 'Hi' }] };
let minnows: Minnows;
let network: HttpNetwork;
beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows, {
    cheats: [null, null, null, null, null, null],
    // p5 is the second machine of p4's operator, in another region.
    operators: { p4: 'shared', p5: 'shared' },
    regions: { p0: 'eu', p1: 'eu', p2: 'eu', p3: 'us', p4: 'us', p5: 'eu' },
  });
});
afterAll(async () => {
  await network.gateway.settled();
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
  await minnows.close();
});

const send = async (verification: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...BODY, verification }),
  });
  const body = (await response.json()) as { error?: { code: string; param: string | null; message: string } };
  return { status: response.status, headers: response.headers, error: body.error };
};
const failed = (saved: string) =>
  verifyResponse({ response: saved })
    .items.filter(({ status }) => status === 'failed')
    .map(({ name }) => name);
const operatorsOf = ({ statement }: Awaited<ReturnType<HttpNetwork['ask']>>) =>
  statement.waves.flatMap(({ members }) => members.map(({ operator }) => operator)).sort();

test('only admitted providers are drawn, every time, and the attestation shows it', async () => {
  for (let i = 0; i < 4; i++) {
    const messages = [{ role: 'user', content: `Hi ${i}` }];
    const answer = await network.ask({
      ...BODY,
      messages,
      verification: { n: 3, allow_regions: ['eu'], deny_operators: ['operator-p1'] },
    });
    // Of the shared operator only the machine in the region sits.
    expect(operatorsOf(answer)).toEqual(['operator-p0', 'operator-p2', 'shared']);
    expect(answer.statement.policy).toMatchObject({ allow_regions: ['eu'], deny_operators: ['operator-p1'] });
    expect(failed(answer.saved)).toEqual([]);
  }
});

test('a gateway that seats somebody whom the policy keeps away, or hides that it could, is found out', async () => {
  const answer = await network.ask({ ...BODY, verification: { n: 3 } });
  const [seated] = operatorsOf(answer);
  const denying = forgeAnswer(answer.saved, network.gatewaySigner, (statement) => {
    (statement.policy as Record<string, unknown>).deny_operators = [seated];
  });
  expect(failed(denying)).toContain('draw');
  const filtered = await network.ask({
    ...BODY,
    verification: { n: 3, allow_regions: ['eu'], deny_operators: ['operator-p1'] },
  });
  const hiding = forgeAnswer(filtered.saved, network.gatewaySigner, (statement) => {
    delete (statement.policy as Record<string, unknown>).allow_regions;
    delete (statement.policy as Record<string, unknown>).deny_operators;
  });
  // The same three could be drawn from all by chance; this body and these keys draw others.
  expect(failed(hiding)).toContain('draw');
});

test('lists of classes and a header say the same', async () => {
  const [{ numeric_class: numericClass }] = (
    (await (await fetch(`${network.url}/v1/providers`)).json()) as { data: [{ numeric_class: string }] }
  ).data;
  expect((await send({ n: 2, allow_classes: [numericClass] })).status).toBe(200);
  expect((await send({ n: 2, deny_classes: [numericClass] })).status).toBe(503);
  const byHeader = await send(undefined, { 'assay-verification': 'quorum; n=2; allow_regions="us"' });
  expect(byHeader.status).toBe(200);
  expect(byHeader.headers.get('assay-policy')).toContain('allow_regions="us"');
});

test('a policy that leaves too few providers is a 503 that is not to be repeated', async () => {
  const record = () =>
    network.store.read(async (handle) => [await logSize(handle), await requestsOfKey(handle, 'key-test', 100)]);
  await network.gateway.settled();
  const before = await record();
  const refused = await send({ n: 3, allow_regions: ['us'] });
  expect(await record()).toEqual(before);
  expect(refused.status).toBe(503);
  expect(refused.error).toMatchObject({ code: 'committee_unavailable' });
  expect(refused.headers.get('x-should-retry')).toBe('false');
  expect(refused.headers.has('retry-after')).toBe(false);
});

test('a request that can cost more than max_cost is refused before anything is held; at the quote it runs', async () => {
  const before = await network.store.read((handle) => requestsOfKey(handle, 'key-test', 100));
  const quote = (await network.ask({ ...BODY, verification: { n: 3 } })).statement.price.quoteNano;
  const refused = await send({ n: 3, max_cost: String(BigInt(quote) - 1n) });
  expect(refused.status).toBe(400);
  expect(refused.error).toMatchObject({ code: 'max_cost_exceeded', param: 'verification.max_cost' });
  expect(refused.error!.message).toContain(quote);
  expect(refused.headers.get('x-should-retry')).toBe('false');
  const exact = await network.ask({ ...BODY, verification: { n: 3, max_cost: quote } });
  expect(exact.statement.policy).toMatchObject({ max_cost: quote });
  const after = await network.store.read((handle) => requestsOfKey(handle, 'key-test', 100));
  expect(after.length).toBe(before.length + 2);
  const dearer = forgeAnswer(exact.saved, network.gatewaySigner, (statement) => {
    statement.price.quoteNano = String(BigInt(quote) + 1n);
  });
  expect(failed(dearer)).toContain('policy');
});
