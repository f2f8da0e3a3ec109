/** Trials of scorers over the whole gateway: who lies is passed over, honest scorers are not, and the log shows why (spec-judge.md §7.13). */
import { describe, expect, test } from 'vitest';
import { parseAttestation } from '#protocol/attestation';
import { AuditDraw, auditCommitment } from '#protocol/audit';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE } from '#protocol/evidence';
import type { LogEntry } from '#protocol/log';
import { gumbelNoise } from '#protocol/philox';
import { recordTrial, SCORER_AT_START } from '#protocol/scorer-record';
import { QUARANTINE } from '../../gateway/committee/exclusions.ts';
import { LYING_SCORER } from '../../gateway/committee/scorer-records.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { signerOf, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();

/** Three members and a committee of two: whoever does not sit is the one that is tried. */
async function start(options: ToyOptions = {}): Promise<ToyNetwork> {
  return open({
    members: 3,
    ...options,
    limits: { scorerTrialPpm: 1_000_000, ...options.limits },
  });
}

const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 24, verification: 'quorum; n=2' };
async function ask(network: ToyNetwork, count: number): Promise<Awaited<ReturnType<ToyNetwork['ask']>>[]> {
  const answers = [];
  for (let at = 0; at < count; at++) {
    answers.push(await network.ask(`question ${at}`, { ...ASKED, seed: at }));
    await network.gateway.settled();
  }
  return answers;
}

const trialsIn = (entries: readonly LogEntry[]) => entries.flatMap((entry) => (entry.type === 'trial' ? [entry] : []));

/** Honest in what it generates. */
function scoring(score: Engine['score']): Engine {
  const honest = toyMachine();
  const { info, text } = honest;
  return { info, text, score, generate: (request) => honest.generate(request), close: () => honest.close() };
}
const LIAR = toyMachine({ salt: 'liar' });
const lying = () => scoring((request) => LIAR.score(request));
/** Says of every token that it was by far the best, in good form, and has computed nothing. */
const lazy = () =>
  scoring(async ({ outputIds, seed }) =>
    outputIds.map((chosen, position) => {
      const others = [90, 91, 92, 93, 94, 95, 96, 97].filter((id) => id !== chosen).slice(0, 7);
      const logits = others.map(
        (id, at) => [id, Math.round((-at - gumbelNoise(seed, position, id)) * LOGIT_SCALE)] as const,
      );
      const top = [[chosen, 40 * LOGIT_SCALE] as const, ...logits];
      const [keptCount, lastKeptLogit, massQ32] = [128, LOGIT_Q16_MIN, MASS_Q32_ONE];
      return { chosen, chosenLogit: 40 * LOGIT_SCALE, keptCount, lastKeptLogit, massQ32, top };
    }),
  );

describe.each([
  ['that lies', lying],
  ['that computes nothing', lazy],
])('a scorer %s', (_, engine) => {
  test('is in quarantine after a few answers, for a reason in the log that anybody can count', async () => {
    const network = await start({ engines: { p1: engine() } });
    const liar = signerOf('p1').address;
    for (let round = 0; round < 8 && network.gateway.registry.excluded().length === 0; round++) await ask(network, 3);
    expect(network.gateway.registry.excluded().map(({ provider, reason }) => [provider, reason])).toEqual([
      [liar, `${QUARANTINE}${LYING_SCORER}`],
    ]);
    const entries = await entriesOf(network);
    const trials = trialsIn(entries);
    expect(trials.filter(({ provider, outcome }) => (outcome === 'wrong') !== (provider === liar))).toEqual([]);
    const recounted = trials
      .filter(({ provider }) => provider === liar)
      .reduce((record, { outcome }) => recordTrial(record, outcome === 'wrong'), SCORER_AT_START);
    expect(network.gateway.scorers.of(liar)).toEqual(recounted);
    await network.restart();
    expect(network.gateway.scorers.of(liar)).toEqual(recounted);
    const passedOver = entries.flatMap((entry) => (entry.type === 'skip' ? [entry] : []));
    expect(passedOver.map(({ provider, reason, evidenceHash }) => [provider, reason, evidenceHash])).toEqual([
      [liar, `${QUARANTINE}${LYING_SCORER}`, trials.filter(({ provider }) => provider === liar).at(-1)!.evidenceHash],
    ]);
  });
});

test('honest scorers answer every trial rightly, are paid for it, and nobody notices', async () => {
  const network = await start();
  const [first] = await ask(network, 20);
  const trials = trialsIn(await entriesOf(network));
  expect(trials.length).toBeGreaterThan(15);
  expect(trials.filter(({ outcome }) => outcome !== 'right')).toEqual([]);
  expect(network.gateway.registry.excluded()).toEqual([]);
  const { statement } = parseAttestation(
    (JSON.parse(first!.saved) as { assay: { attestation: string } }).assay.attestation,
  )!;
  expect(statement.scores).toEqual([]);
});

test('whom an epoch tries is bound before it and can be drawn again after it, and not while it runs', async () => {
  const network = await start({ members: 6, limits: { scorerTrialPpm: 400_000 } });
  const answers = await ask(network, 16);
  const running = await entriesOf(network);
  expect(running.filter(({ type }) => type === 'audit')).toEqual([]);
  network.addMember('p9');
  const [epoch] = running.flatMap((entry) => (entry.type === 'epoch' ? [entry] : []));
  await network.gateway.epochs.begin(epoch!.epoch);
  const entries = await entriesOf(network);
  const [secret] = entries.flatMap((entry) =>
    entry.type === 'audit' && entry.epoch === epoch!.epoch ? [entry.secret] : [],
  );
  expect(auditCommitment(secret!)).toBe(epoch!.auditCommitment);
  let due = 0;
  for (const { saved } of answers) {
    const { assay } = JSON.parse(saved) as { assay: { attestation: string; receipt: { snapshot: never } } };
    const { statement } = parseAttestation(assay.attestation)!;
    const { draw, bodyHash, requestId, request, waves } = statement;
    const audit = new AuditDraw(secret!, { drawIndex: draw.index, choice: 0, bodyHash });
    const seated = new Set(waves[0]!.members.map(({ provider }) => provider));
    const first = audit.order(assay.receipt.snapshot, request.modelDigest).find((address) => !seated.has(address));
    const tried = trialsIn(entries).filter((entry) => entry.requestId === requestId);
    expect(tried.map(({ provider }) => provider)).toEqual(audit.isDue(epoch!.auditPpm!) ? [first] : []);
    due += tried.length;
  }
  expect(due).toBeGreaterThan(0);
  expect(due).toBeLessThan(16);
});

interface ScoreBody {
  readonly ticket: Record<string, number | string>;
  readonly outputIds: readonly number[];
}

test('an order to score does not tell whom it is about, nor whether it is a witness, a split, a dispute or a trial', async () => {
  const orders: string[] = [];
  const wrap =
    (fetch: Fetch): Fetch =>
    async (url, init) => {
      if (new URL(url).pathname === '/v1/scores') orders.push(String(init?.body));
      return fetch(url, init);
    };
  const run = async (verification: string, engines: ToyOptions['engines'], ppm: number) => {
    const network = await start({ members: 6, wrap, limits: { scorerTrialPpm: ppm }, ...(engines ? { engines } : {}) });
    const from = orders.length;
    for (let at = 0; at < 6 && orders.length === from; at++) {
      await network.ask(`question ${at}`, { ...ASKED, seed: at, verification }).catch(() => undefined);
      await network.gateway.settled();
    }
    return { taken: orders.slice(from), network };
  };
  const liars = { p0: LIAR, p1: LIAR, p2: LIAR };
  const runs = [
    await run('witnessed; n=3', undefined, 0),
    await run('quorum; n=3', liars, 0),
    await run('quorum; n=3', undefined, 1_000_000),
  ];
  const shapes = new Set<string>();
  for (const { taken, network } of runs) {
    expect(taken.length).toBeGreaterThan(1);
    for (const text of taken) {
      const body = JSON.parse(text) as ScoreBody;
      const { ticket } = body;
      shapes.add(JSON.stringify([Object.keys(body), Object.keys(ticket), ticket.kind, ticket.padHash]));
      // How long an order lasts would tell; that it is issued when it is sent has a test of its own.
      shapes.add(`lasts ${Number(ticket.expiresAtMs) - Number(ticket.issuedAtMs)}`);
      shapes.add(`kept ${Number(ticket.retainUntilMs) - Number(ticket.issuedAtMs)}`);
      for (const { address } of network.members)
        if (address !== ticket.provider) expect(text).not.toContain(address.slice(2));
      for (const name of network.names) expect(text).not.toContain(`operator-${name}`);
    }
  }
  expect(shapes.size).toBe(3);
});
