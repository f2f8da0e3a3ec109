/** Who cheats where it answers alone is convicted by an audit, whole or streamed, and its client is paid back (SPEC.md §8.1, spec-money.md 11.8). */
import { expect, test } from 'vitest';
import type { Statement } from '#protocol/attestation';
import { API_KEY, STAKE_NANO, stakeOf } from '../fixtures/network.ts';
import { signerOf, type ToyNetwork } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { failuresOf, statementOf, statementOfStream } from '../fixtures/witnessed-network.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const AUDITS = { ratePpm: 1_000_000, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
/** Four chunks where it is streamed: of 4, 8, 16 and 32 tokens at most. */
const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 32, verification: 'audited' };
const LIARS = ['p0', 'p1', 'p2', 'p3'];

/** Liars that hold four of seven seats' worth of stake. */
async function startWithLiars(regeneratePpm: number): Promise<ToyNetwork> {
  const liar = toyMachine({ salt: 'liar' });
  const engines = Object.fromEntries(LIARS.map((name) => [name, liar]));
  const network = await open({ engines, members: LIARS.length, limits: { audits: { ...AUDITS, regeneratePpm } } });
  const urls = [0, 1, 2].map((at) => network.addMember(`honest${at}`));
  const admission = { reserveNano: 0n, stakeNano: STAKE_NANO };
  await network.gateway.admit(
    urls.map((url) => ({ url, role: 'member' as const })),
    admission,
  );
  return network;
}

/** Asks until an audit has found a liar's answer wrong. A liar answers four of seven, and half of those who look are its friends: a dozen answers convict nobody in one run of forty. */
async function convict(network: ToyNetwork, stream: boolean) {
  const answers = new Map<
    string,
    { readonly statement: Statement; readonly saved: string; readonly request: string }
  >();
  for (let at = 0; at < 60; at++) {
    const { saved, request } = await network.ask(`question ${at}`, { ...ASKED, seed: at, stream });
    const statement = stream ? statementOfStream(saved) : statementOf(saved);
    answers.set(statement.requestId, { statement, saved, request });
    await network.gateway.settled();
    const entries = await entriesOf(network);
    const audits = entries.flatMap((entry) => (entry.type === 'audited' ? [entry] : []));
    const convicted = audits.find(({ outcome }) => outcome === 'rejected');
    if (convicted !== undefined) return { convicted, answer: answers.get(convicted.requestId)! };
  }
  throw new Error('no liar was found');
}

test.each([
  ['a whole answer', 'a score', false, 0],
  ['a whole answer', 'a whole answer', false, 1_000_000],
  ['a stream', 'a score', true, 0],
  ['a stream', 'a whole answer', true, 1_000_000],
] as const)(
  'a liar that sends %s is convicted by %s, loses stake, and its client gets the price back',
  async (_, __, stream, regeneratePpm) => {
    const network = await startWithLiars(regeneratePpm);
    const { convicted, answer } = await convict(network, stream);
    const { statement, saved, request } = answer;
    // All of it had left, under a promise of an audit, and nothing in it said that it was a lie.
    if (stream) expect(saved.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(statement.audit).toMatchObject({ ppm: 1_000_000, regeneratePpm });
    expect(statement.served).toBe(convicted.provider);
    expect(failuresOf(saved, request)).toEqual([]);
    const liars = LIARS.map((name) => signerOf(name).address as string);
    expect(liars).toContain(convicted.provider);
    const disputes = await network.store.read((handle) => handle.db.select().from(handle.tables.disputes));
    // An auditor that writes a whole answer may be one of the liars: then it is the accused.
    expect(disputes.map(({ provider }) => provider)).toContain(convicted.provider);
    for (const { provider, fault, ruling } of disputes) {
      expect(liars).toContain(provider);
      expect([fault, ruling]).toEqual(['wrong_output', 'upheld']);
    }
    expect(await stakeOf(network.store, convicted.provider)).toBeLessThan(STAKE_NANO);
    const rows = await network.store.read((handle) => handle.db.select().from(handle.tables.requests));
    const charged = rows.find(({ requestId }) => requestId === convicted.requestId)!;
    // The surcharge is part of it.
    expect(charged.chargedNano).toBeGreaterThan(0n);
    expect(charged.refundedNano).toBe(charged.chargedNano);
    const path = `/v1/attestations/${convicted.requestId}`;
    const told = await network.call(path, { headers: { authorization: `Bearer ${API_KEY}` } });
    expect(((await told.json()) as { status: string }).status).toBe('overturned');
  },
);

test('a streamed answer carries its promise before the first word and in its last chunk', async () => {
  const network = await open({ members: 4, limits: { audits: AUDITS } });
  const { saved, headers } = await network.ask('hello', { ...ASKED, stream: true });
  expect(headers.get('assay-security')).toContain('audit_rate=1');
  expect(statementOfStream(saved).audit).toMatchObject({ ppm: 1_000_000 });
});
