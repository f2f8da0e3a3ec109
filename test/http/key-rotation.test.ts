/** The gateway's signing key changes while it runs: nothing breaks, nothing is forgotten, nobody is fooled (SPEC.md §6.8, §9.1). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAttestation } from '#protocol/attestation';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Address } from '#protocol/hash';
import { sha256, utf8 } from '#protocol/hash';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { signSuccession, successorsOf } from '#protocol/succession';
import { verifyResponse } from '#protocol/verify';
import type { Engine } from '../../provider/engine/engine.ts';
import { createMemoryStore } from '../../provider/store/memory.ts';
import { API_KEY, makeProvider } from '../fixtures/network.ts';
import { clock, memoryVault, signerOf, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';
import { TOY_MODEL, toyMachine } from '../simulation/toy-machine.ts';

const OLD = signerOf('gateway').address;
let network: ToyNetwork;
/** While it is set, generation waits. */
let gate: Promise<void> | null = null;

function gated(engine: Engine): Engine {
  return {
    info: engine.info,
    text: engine.text,
    async *generate(request) {
      for await (const token of engine.generate(request)) {
        await gate;
        yield token;
      }
    },
    score: (request) => engine.score(request),
    close: () => engine.close(),
  };
}

beforeAll(async () => {
  const engines = Object.fromEntries(['p0', 'p1', 'p2', 'p3', 'p4'].map((name) => [name, gated(toyMachine())]));
  network = await startToyNetwork({ vault: memoryVault(), engines });
});
afterAll(() => network.stop());

const statementOf = (saved: string) => parseAttestation(JSON.parse(saved).assay.attestation)!.statement;
const failedItems = (saved: string, gatewayAddress: Address) =>
  verifyResponse({ response: saved, trusted: { gatewayAddress } }).items.filter(({ status }) => status === 'failed');
const all = { verification: { mode: 'quorum', n: 5 } };

test('a request that runs ends under the old key, the next begins under the new one, and both verify', async () => {
  const before = await network.ask('before');
  let open = () => {};
  gate = new Promise((resolve) => {
    open = resolve;
  });
  const running = network.ask('while it changes', all);
  const announced = await network.admin('POST', '/signing-keys');
  expect(announced.body).toMatchObject({ untold_providers: [], data: [{ state: 'active' }, { state: 'announced' }] });
  const [, next] = announced.body.data as { id: string; address: Address; log_index: number }[];
  expect((await network.admin('POST', '/signing-keys')).body.data).toHaveLength(2);
  const activated = await network.admin('POST', `/signing-keys/${next!.id}/activate`);
  expect(activated.body.data).toMatchObject([{ state: 'past' }, { state: 'active', address: next!.address }]);
  expect((await network.admin('POST', `/signing-keys/${next!.id}/activate`)).status).toBe(200);
  open();
  gate = null;
  const during = (await running).saved;
  expect(statementOf(during).gateway).toBe(OLD);
  expect(failedItems(during, OLD)).toEqual([]);
  const after = (await network.ask('after', all)).saved;
  expect(statementOf(after).gateway).toBe(next!.address);
  expect(failedItems(after, next!.address)).toEqual([]);
  expect(failedItems(after, OLD).map(({ name }) => name)).toEqual(['gateway-key']);
  // The old answer's receipt, asked for again, still names and carries the old key.
  const { id } = JSON.parse(before.saved).assay;
  const path = `/v1/attestations/${id}`;
  const again = await network.call(path, { headers: { authorization: `Bearer ${API_KEY}` } });
  const saved = JSON.stringify({ ...JSON.parse(before.saved), ...((await again.json()) as object) });
  expect(failedItems(saved, OLD)).toEqual([]);
  await network.call('/v1/log/checkpoint');
  const entries = (await (await network.call('/v1/log/entries')).json()) as {
    data: { index: number; entry: { type: string; use: string; value: string } }[];
  };
  const history = entries.data.filter(({ entry }) => entry.type === 'key' && entry.use === 'gateway');
  expect(history.map(({ entry }) => entry.value)).toEqual([OLD, next!.address]);
  expect(history[1]!.index).toBe(next!.log_index);
});

test('a restart keeps the active key, and signs what was begun under the old one with the old one', async () => {
  await network.restart();
  const { saved } = await network.ask('restarted', all);
  expect(statementOf(saved).gateway).not.toBe(OLD);
  expect(network.gateway.signingKeys.of(OLD)?.address).toBe(OLD);
});

test('a provider that has not heard of the key holds the change up, unless it is forced; it is told when it comes back', async () => {
  network.down('p4', true);
  const announced = await network.admin('POST', '/signing-keys');
  expect(announced.body.untold_providers).toEqual([network.members[4]!.address]);
  const [, , third] = announced.body.data as { id: string; address: Address }[];
  const held = await network.admin('POST', `/signing-keys/${third!.id}/activate`, {});
  expect([held.status, (held.body.error as { param: string }).param]).toEqual([400, 'force']);
  expect(statementOf((await network.ask('held')).saved).gateway).not.toBe(third!.address);
  const forced = await network.admin('POST', `/signing-keys/${third!.id}/activate`, { force: true });
  expect(forced.status).toBe(200);
  network.down('p4', false);
  await network.restart();
  const { saved } = await network.ask('all again', all);
  expect(statementOf(saved).gateway).toBe(third!.address);
  expect(statementOf(saved).draw.skipped).toEqual([]);
});

test('a key of the past does not come back, and an unknown one is a 404', async () => {
  const past = await network.admin('POST', '/signing-keys/gateway-1/activate', { force: true });
  expect([past.status, (past.body.error as { param: string }).param]).toEqual([400, 'id']);
  expect((await network.admin('POST', '/signing-keys/gateway-99/activate')).status).toBe(404);
});

test('a provider takes a successor only from a key that it trusts, signed by both, and remembers it', async () => {
  const [trusted, stranger, next] = ['gateway', 'stranger', 'next'].map((name) => nativeSigner(sha256(utf8(name))));
  const store = createMemoryStore();
  const make = () =>
    makeProvider({
      clock,
      recover: recoverNative,
      rng: () => ({ bytes: (length) => new Uint8Array(length) }),
      name: 'p',
      role: 'member',
      signer: signerOf('p'),
      gateway: trusted!.address,
      digest: TOY_MODEL.digest,
      modelId: 'toy',
      engine: toyMachine(),
      store,
    });
  const provider = make();
  const tell = async (body: unknown) => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    return (await provider.app.request('/v1/gateways', init)).status;
  };
  const good = signSuccession(LOCAL_DOMAIN, trusted!, next!, 1);
  expect(await tell(signSuccession(LOCAL_DOMAIN, stranger!, next!, 1))).toBe(401);
  expect(await tell({ ...good, nextSignature: good.previousSignature })).toBe(401);
  expect(await tell({ ...good, previousSignature: good.nextSignature })).toBe(401);
  expect(await tell({ ...good, succession: { ...good.succession, atMs: 2 } })).toBe(401);
  expect(await tell({ ...good, extra: 1 })).toBe(400);
  expect(store.successions()).toEqual([]);
  expect([await tell(good), await tell(good)]).toEqual([200, 200]);
  expect(store.successions()).toEqual([good]);
  // Its successor is trusted in turn, after a restart too.
  make();
  expect(await tell(signSuccession(LOCAL_DOMAIN, next!, stranger!, 3))).toBe(200);
});

test('successors are reached from trusted keys alone, in whatever order they came', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => signerOf(name).address);
  const chain = [
    { previous: b!, next: c! },
    { previous: a!, next: b! },
    { previous: d!, next: d! },
  ];
  expect([...successorsOf([a!], chain)].sort()).toEqual([a, b, c].sort());
  expect([...successorsOf([], chain)]).toEqual([]);
});
