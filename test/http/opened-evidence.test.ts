/** Committed evidence is opened at drawn positions: who sealed other logits than its model gives is found, though every token is right (spec-judge.md §7.10). */
import { expect, test } from 'vitest';
import { parseAttestation } from '#protocol/attestation';
import { AuditDraw } from '#protocol/audit';
import { choicesOf } from '#protocol/choices';
import type { TokenEvidence } from '#protocol/evidence';
import type { LogEntry, ScoredEntry } from '#protocol/log';
import { BETS } from '#protocol/wealth';
import { isOpenedBy, positionsBy } from '../../gateway/evidence/opened.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import { listEvidenceAccounts } from '../../gateway/store/evidence-repo.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { keptOf } from '../fixtures/kept-evidence.ts';
import { signerOf, type ToyNetwork } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const CHEAT = 'p0';
const ASKED = { temperature: 1, max_tokens: 12, logit_bias: { 0: -100 } };
const OPENED = BETS.flatMap(({ test: name }, at) => (name === 'opened' ? [at] : []));
const MARGINS = BETS.flatMap(({ test: name }, at) => (name === 'margin' ? [at] : []));

/** As a quantised model would: every token is what the real one says, and its logits are a third of a logit off. */
function offBy(logits: number): Engine {
  const honest = toyMachine();
  const shift = Math.round(logits * 65536);
  const moved = (evidence: TokenEvidence): TokenEvidence => ({
    ...evidence,
    top: evidence.top.map(([id, logit]) => [id, id === evidence.chosen ? logit : logit - shift] as const),
  });
  return {
    info: honest.info,
    text: honest.text,
    async *generate(request) {
      for await (const token of honest.generate(request)) yield { ...token, evidence: moved(token.evidence) };
    },
    score: (request) => honest.score(request),
    close: () => honest.close(),
  };
}

interface Asked {
  readonly network: ToyNetwork;
  readonly entries: LogEntry[];
  readonly scored: ScoredEntry[];
  /** Calls for evidence, by job. */
  readonly calls: { readonly jobId: string; readonly positions: number[] }[];
  readonly saved: string[];
}

/** Asks until the operator's account is suspect, or so often; most answers are the first member's, which has most stake. */
async function ask(verification: string, ratePpm: number, engine: Engine, most: number, n = 1): Promise<Asked> {
  const calls: { jobId: string; positions: number[] }[] = [];
  const wrap =
    (fetch: Fetch): Fetch =>
    async (url, init) => {
      const [, jobId] = /^\/v1\/jobs\/(0x[0-9a-f]{64})\/evidence$/.exec(new URL(url).pathname) ?? [];
      if (jobId)
        calls.push({ jobId, positions: (JSON.parse(String(init?.body)) as { positions: number[] }).positions });
      return fetch(url, init);
    };
  const audits = { ratePpm, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
  const network = await open({ members: 4, engines: { [CHEAT]: engine }, limits: { audits }, wrap });
  const rich = { account: `stake:${signerOf(CHEAT).address}`, amount_nano: `1${'0'.repeat(17)}`, reference: 'rich' };
  expect((await network.admin('POST', '/deposits', rich)).status).toBe(201);
  network.gateway.epochs.renew();
  const saved: string[] = [];
  for (let at = 0; at < most && network.gateway.registry.excluded().length === 0; at++) {
    saved.push((await network.ask(`question ${at}`, { ...ASKED, verification, seed: at, n })).saved);
    await network.gateway.settled();
  }
  const entries = await entriesOf(network);
  const scored = entries.flatMap((entry) => (entry.type === 'scored' ? [entry] : []));
  return { network, entries, scored, calls, saved };
}

const isOpened = ({ factors }: ScoredEntry) => OPENED.some((at) => factors[at] !== 2 ** 30);

test.each([
  ['audited', 1_000_000],
  ['witnessed; n=2', 0],
] as const)(
  'in mode %s a machine whose logits are off is put into quarantine by its openings alone',
  async (verification, ppm) => {
    const { network, scored } = await ask(verification, ppm, offBy(0.33), 120);
    expect(network.gateway.registry.excluded().map(({ provider, reason }) => [provider, reason])).toEqual([
      [signerOf(CHEAT).address, 'quarantine:accumulated-evidence'],
    ]);
    const own = scored.filter(({ operator }) => operator === `operator-${CHEAT}`);
    // Its tokens are the model's own: no bet on margins has won anything.
    for (const { factors } of own) for (const at of MARGINS) expect(factors[at]).toBeLessThanOrEqual(2 ** 30);
    expect(own.filter(isOpened).length).toBeGreaterThan(1);
    const others = scored.filter(({ operator }) => operator !== `operator-${CHEAT}`);
    expect(others.every(({ stage }) => stage === 'clear')).toBe(true);
    await checkKept(network, scored);
  },
);

/** What is kept of a response gives its entry again, and only what was sealed counts as opened. */
async function checkKept(network: ToyNetwork, scored: readonly ScoredEntry[]): Promise<void> {
  let opened = 0;
  for (const { kept, problem } of await keptOf(network, scored)) {
    expect(problem(kept)).toBeNull();
    if (kept.opened === undefined) continue;
    opened++;
    const [first, ...others] = kept.opened.items;
    const put = (items: typeof kept.opened.items) => problem({ ...kept, opened: { ...kept.opened!, items } });
    const invented = { ...first!, evidence: { ...first!.evidence, chosenLogit: first!.evidence.chosenLogit + 1 } };
    expect(put([invented, ...others])).toBe('opened_unsealed');
    expect(put([first!, first!, ...others].slice(0, 16))).toBe('opened_unsealed');
    expect(put([{ ...first!, position: first!.position + 1 }])).toBe('opened_unsealed');
    const [opening] = kept.opened.openings;
    const moved = { ...kept.opened, openings: [{ ...opening!, evidenceRoot: `0x${'12'.repeat(32)}` as const }] };
    expect(problem({ ...kept, opened: moved })).toBe('opened_unsealed');
    expect(problem({ ...kept, claim: null })).toBe('opened_unsealed');
    // Without what was opened the factors are others: it cannot be left out either.
    const { opened: _, ...without } = kept;
    expect(problem(without)).toBe('other_factors');
  }
  expect(opened).toBeGreaterThan(0);
}

test('honest machines open what they sealed, and it speaks for them', async () => {
  const { network, scored } = await ask('audited', 1_000_000, toyMachine({ jitter: 0.002, classSalt: 'p0' }), 40);
  expect(network.gateway.registry.excluded()).toEqual([]);
  const opened = scored.filter(isOpened);
  expect(opened.length).toBeGreaterThan(0);
  for (const { factors } of opened) for (const at of OPENED) expect(factors[at]).toBeLessThan(2 ** 30);
  const accounts = await network.store.read(listEvidenceAccounts);
  expect(accounts.every(({ stage }) => stage === 'clear')).toBe(true);
});

test('who is asked follows from the key, whether or not the answer is audited, and each once', async () => {
  const { network, calls, saved } = await ask('audited', 500_000, toyMachine(), 12, 8);
  await network.gateway.epochs.begin((await network.gateway.epochs.current()).epoch);
  const secrets = (await entriesOf(network)).flatMap((entry) => (entry.type === 'audit' ? [entry] : []));
  const wanted: { jobId: string; positions: number[] }[] = [];
  const audited: boolean[] = [];
  for (const text of saved) {
    const { assay } = JSON.parse(text) as { assay: { attestation: string } };
    const { statement } = parseAttestation(assay.attestation)!;
    const { draw, bodyHash, audit } = statement;
    const { secret } = secrets.find(({ epoch }) => epoch === draw.epoch)!;
    for (const [choice, { waves, outputIds }] of choicesOf(statement).entries()) {
      const drawn = new AuditDraw(secret, { drawIndex: draw.index, choice, bodyHash });
      if (!isOpenedBy(drawn)) continue;
      wanted.push({ jobId: waves[0]!.members[0]!.ticket.jobId, positions: positionsBy(drawn, outputIds.length) });
      audited.push(drawn.isAudited(audit!));
    }
  }
  const sorted = (all: typeof calls) => all.map((one) => JSON.stringify(one)).sort();
  expect(sorted(calls)).toEqual(sorted(wanted));
  expect([audited.includes(true), audited.includes(false)]).toEqual([true, true]);
});

test('who opens nothing is judged by its scores alone, and audits go on', async () => {
  const silent: string[] = [];
  const network = await open({
    members: 2,
    limits: { audits: { ratePpm: 1_000_000, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 } },
    host: (name, handle) => async (request) => {
      if (!new URL(request.url).pathname.endsWith('/evidence')) return handle(request);
      silent.push(name);
      return new Response('{}', { status: 503 });
    },
  });
  for (let at = 0; at < 6; at++) {
    await network.ask(`question ${at}`, { ...ASKED, verification: 'audited', seed: at, n: 8 });
    await network.gateway.settled();
  }
  expect(silent.length).toBeGreaterThan(0);
  const scored = (await entriesOf(network)).flatMap((entry) => (entry.type === 'scored' ? [entry] : []));
  expect(scored.length).toBeGreaterThan(0);
  expect(scored.filter(isOpened)).toEqual([]);
});

test('a member of a committee is asked like one that is alone: by the same draw, at its own positions', async () => {
  const { network, calls, saved } = await ask('quorum; n=3', 0, toyMachine(), 6, 4);
  await network.gateway.epochs.begin((await network.gateway.epochs.current()).epoch);
  const secrets = (await entriesOf(network)).flatMap((entry) => (entry.type === 'audit' ? [entry] : []));
  const wanted = saved.flatMap((text) => {
    const { assay } = JSON.parse(text) as { assay: { attestation: string } };
    const { statement } = parseAttestation(assay.attestation)!;
    const { secret } = secrets.find(({ epoch }) => epoch === statement.draw.epoch)!;
    return choicesOf(statement).flatMap(({ waves }, choice) => {
      const drawn = new AuditDraw(secret, { drawIndex: statement.draw.index, choice, bodyHash: statement.bodyHash });
      return isOpenedBy(drawn) ? waves[0]!.members.map(({ ticket }) => ticket.jobId) : [];
    });
  });
  expect(calls.map(({ jobId }) => jobId).sort()).toEqual(wanted.sort());
  expect(wanted.length % 3).toBe(0);
});
