/** A gateway that cheats, and tickets that are used again: what providers refuse, keep, and can prove; over real HTTP. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compactAttestation, type Statement, type StatementWire } from '#protocol/attestation';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { type JobOrderWire, zTicket } from '#protocol/messages';
import { recoverNative } from '#protocol/signer-native';
import { signerOfTwoRoots, zTwoRootsReply } from '#protocol/two-roots';
import { digests } from '#protocol/typed';
import { verifyResponse } from '#protocol/verify';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import { askTwice, type SideCall } from '../fixtures/cheats-gateway.ts';
import { booksOf } from '../fixtures/network.ts';
import {
  type HttpAnswer,
  type HttpNetwork,
  loadMinnows,
  type Minnows,
  signerOf,
  startHttpNetwork,
} from '../fixtures/network-http.ts';

let minnows: Minnows;
beforeAll(async () => {
  minnows = await loadMinnows();
});
afterAll(() => minnows.close());

const BODY = {
  messages: [{ role: 'user', content: 'Tell me about Norway.' }],
  max_tokens: 12,
  temperature: 0,
  verification: { mode: 'quorum', n: 3 },
};

test('a gateway that demands one opening under two roots is refused, and both its signatures are kept', async () => {
  const calls: SideCall[] = [];
  const network = await startHttpNetwork(minnows, { fetch: (plain) => askTwice(plain, signerOf('gateway'), calls) });
  try {
    const answer = await network.ask(BODY);
    expect(answer.statement.verdict).toBe('agreed');
    expect(calls.map(({ status }) => status)).toEqual([409, 409, 409]);
    for (const { text } of calls) expect(text).toContain('permission_conflict');
    // Nothing was opened under the second root: every claim names the first ones only.
    expect(verify(answer.saved).filter(({ status }) => status === 'failed')).toEqual([]);
    const kept = await Promise.all(network.providerUrls.map(twoRootsAt));
    const seats = answer.statement.waves.flatMap((wave) => wave.members);
    expect(kept.flat()).toHaveLength(seats.length);
    for (const evidence of kept.flat()) {
      const keys = { domain: LOCAL_DOMAIN, recover: recoverNative };
      expect(signerOfTwoRoots(evidence, keys)).toBe(network.gatewaySigner.address);
      // One signature twice, or a signature of somebody else, convicts nobody.
      expect(signerOfTwoRoots({ ...evidence, second: evidence.first }, keys)).toBeNull();
      const forged = { ...evidence.second, roundRoot: hashOf('another') };
      expect(signerOfTwoRoots({ ...evidence, second: forged }, keys)).toBeNull();
    }
    expect(await booksOf(network.store)).toEqual([]);
  } finally {
    await network.stop();
  }
});

test('an attestation whose members opened under two roots does not verify, whoever signed it', async () => {
  const network = await startHttpNetwork(minnows);
  try {
    const answer = await network.ask(BODY);
    expect(failedNames(attested(network, answer, (statement) => statement))).not.toContain('rounds');
    // What the second member would have signed, had it been shown another root.
    const twoRoots = attested(network, answer, (statement) => {
      const member = statement.waves[0]!.members[1]!;
      const value = { ...member.claim!.value, rootsHash: hashOf('other roots') };
      const signer = network.members.find(({ address }) => address === member.provider)!;
      member.claim = { value, signature: signer.sign(digests.claim(LOCAL_DOMAIN, value)) };
      return statement;
    });
    expect(failedNames(twoRoots)).toContain('rounds');
    expect(failedNames(twoRoots)).not.toContain('claims');
    // A member of the round that is passed off as padding.
    const hidden = attested(network, answer, (statement) => {
      const [wave] = statement.waves;
      return { ...statement, waves: [{ ...wave!, members: wave!.members.slice(0, 2) }] };
    });
    expect(failedNames(hidden)).toContain('rounds');
  } finally {
    await network.stop();
  }
});

test('a replayed ticket gets the stored transcript again and starts nothing', async () => {
  const orders: { url: string; order: JobOrderWire }[] = [];
  const record =
    (plain: Fetch): Fetch =>
    (url, init) => {
      if (url.endsWith('/v1/jobs')) orders.push({ url, order: JSON.parse(init.body as string) as JobOrderWire });
      return plain(url, init);
    };
  const network = await startHttpNetwork(minnows, { fetch: record });
  try {
    const { statement } = await network.ask(BODY);
    const { url, order } = orders[0]!;
    const member = statement.waves[0]!.members.find(({ ticket }) => ticket.jobId === order.ticket.jobId)!;
    const replayed = await post(url, order);
    expect(replayed.status).toBe(200);
    const said = eventsOf(replayed.text);
    // The same seals and the same claim, byte by byte: a second run would have drawn other salts.
    expect(said.filter(({ type }) => type === 'commitment').map(({ data }) => data.commitment)).toEqual(
      member.commitments,
    );
    expect(said.at(-1)!.data.signature).toBe(member.claim!.signature);
    // The same jobId for another job, well signed.
    const { ticket } = order;
    const changed = { ...ticket, retainUntilMs: ticket.retainUntilMs + 1 };
    const signature = network.gatewaySigner.sign(digests.ticket(LOCAL_DOMAIN, zTicket.parse(changed)));
    const reused = await post(url, { ...order, ticket: changed, signature });
    expect([reused.status, reused.text]).toEqual([409, expect.stringContaining('ticket_replayed')]);
    // The same ticket at another provider.
    const elsewhere = orders.find((other) => other.url !== url)!;
    const misdirected = await post(elsewhere.url, order);
    expect([misdirected.status, misdirected.text]).toEqual([400, expect.stringContaining('invalid_ticket')]);
    expect(await booksOf(network.store)).toEqual([]);
  } finally {
    await network.stop();
  }
});

const hashOf = (text: string): Hash => toHex(sha256(utf8(text)));

async function post(url: string, body: object): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

function eventsOf(text: string): { type: string; data: Record<string, unknown> }[] {
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => ({
      type: /^event: (.*)$/m.exec(block)![1]!,
      data: JSON.parse(/^data: (.*)$/m.exec(block)![1]!) as Record<string, unknown>,
    }));
}

async function twoRootsAt(url: string) {
  const response = await fetch(`${url}/v1/two-roots`);
  return zTwoRootsReply.parse(await response.json()).items;
}

const verify = (response: string) => verifyResponse({ response, text: minnows.model.text }).items;

function failedNames(saved: string): string[] {
  return verify(saved)
    .filter(({ status }) => status === 'failed')
    .map(({ name }) => name);
}

/** The answer with a statement that the gateway has changed and signed again. */
function attested(network: HttpNetwork, answer: HttpAnswer, change: (statement: Statement) => Statement): string {
  const body = JSON.parse(answer.saved) as { assay: { attestation: string } };
  const wire = JSON.parse(
    JSON.stringify(change(structuredClone(answer.statement)), (_, value: unknown) =>
      typeof value === 'bigint' ? value.toString() : value,
    ),
  ) as StatementWire;
  const attestation = compactAttestation(LOCAL_DOMAIN, network.gatewaySigner, wire);
  return JSON.stringify({ ...body, assay: { ...body.assay, attestation } });
}
