/** A conviction that falls on appeal, while what it led to is looked at or when it has been: nobody is paid twice, and nobody gets off by it (SPEC.md §8.3). */
import { expect, test, vi } from 'vitest';
import { signAnswer } from '#protocol/dispute-answer';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { type Hash, utf8 } from '#protocol/hash';
import type { EvidenceItem } from '#protocol/messages';
import { signCall } from '#protocol/provider-call';
import type { Engine } from '../../provider/engine/engine.ts';
import { forgeChosen, withParts } from '../fixtures/cheats-engine.ts';
import type { Handler } from '../fixtures/cheats-wire.ts';
import { stakeOf } from '../fixtures/network.ts';
import { AUDITED, expectWhole, of, rowsOf, type Stage, stage, statusOf } from '../fixtures/reexamine-stage.ts';
import { clock, signerOf, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, gaugeOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

// Most of it is asking until the draw has seated whom a test wants: a busy machine takes a minute.
vi.setConfig({ testTimeout: 180_000 });
const open = toyNetworks();
const STAKE_NANO = 1_000_000_000_000n;
const ACCUSED = signerOf('p0');
/** Sixteen tokens of another model convict by themselves; the last of them alone does not, while its evidence can be seen. */
type Ways = 'honest' | 'lies' | 'slips';

/** One that does as it is told, and shows its evidence only when it is told to. */
function changeable() {
  const [honest, liar] = [toyMachine(), toyMachine({ salt: 'liar' })];
  const slipping = slips(honest);
  const state = { way: 'honest' as Ways, shows: true };
  const engine = withParts(honest, {
    generate: (request) => ({ honest, lies: liar, slips: slipping })[state.way].generate(request),
  });
  const host = (name: string, handle: Handler): Handler => {
    const refused = () => Response.json({ error: { code: 'job_unknown', message: 'no' } }, { status: 404 });
    return async (request) =>
      name === 'p0' && !state.shows && request.url.endsWith('/evidence') ? refused() : handle(request);
  };
  return { state, engine, host };
}

/** Writes what the model would, but for the last token: the least likely of those that it names. */
function slips(honest: Engine): Engine {
  return withParts(honest, {
    async *generate(request) {
      let position = 0;
      for await (const token of honest.generate(request)) {
        const at = position++;
        if (token.finish === null) yield token;
        else {
          const id = token.evidence.top.at(-1)![0];
          yield { ...token, id, evidence: forgeChosen(token.evidence, id, request, at) };
        }
      }
    },
  });
}

interface World extends Stage {
  readonly state: { way: Ways; shows: boolean };
  /** Convicts it of a slip that it does not explain. @returns request and dispute */
  convictOfSlip(): Promise<{ requestId: string; disputeId: Hash }>;
}

async function start(options: ToyOptions = {}): Promise<World> {
  const { state, engine, host } = changeable();
  const world = await stage(open, {
    engines: { p0: engine },
    limits: { appealMs: 3_600_000 },
    ...options,
    host: (name, handle) => host(name, options.host?.(name, handle) ?? handle),
  });
  return {
    ...world,
    state,
    async convictOfSlip() {
      Object.assign(state, { way: 'slips', shows: false });
      const [{ requestId } = { requestId: '' }] = await world.answers([ACCUSED.address], 1, AUDITED);
      const found = async () => (await rowsOf(world.network)).disputes.find((one) => one.requestId === requestId);
      await expect.poll(found, { timeout: 60_000 }).toMatchObject({ ruling: 'upheld', state: 'ruled' });
      return { requestId, disputeId: (await found())!.disputeId as Hash };
    },
  };
}

let nonces = 0;

/** The accused shows what it had kept back. @returns the ruling after that */
async function explain({ network, state }: World, disputeId: Hash): Promise<string> {
  state.shows = true;
  const signed = async (method: string, path: string, body = '') => {
    const by = { domain: LOCAL_DOMAIN, signer: ACCUSED, gateway: signerOf('gateway').address, nowMs: clock.nowMs() };
    const rng = { bytes: (length: number) => new Uint8Array(length).fill(++nonces) };
    const headers = signCall({ method, path, body: utf8(body) }, { ...by, rng });
    const reply = await network.call(path, { method, headers, ...(body === '' ? {} : { body }) });
    expect(reply.status).toBe(200);
    return (await reply.json()) as { ruling: string; job_id: Hash; answer: { positions: number[] } };
  };
  const path = `/v1/provider/disputes/${disputeId}`;
  const { job_id: jobId, answer } = await signed('GET', path);
  const opened = await network.host('p0', `/v1/jobs/${jobId}/evidence`, { positions: answer.positions });
  const { items } = (await opened.json()) as { items: EvidenceItem[] };
  const body = JSON.stringify(signAnswer(LOCAL_DOMAIN, ACCUSED, disputeId, items, clock.nowMs()));
  await signed('POST', `${path}/answer`, body);
  return (await signed('GET', path)).ruling;
}

/** Every time to appeal is over. */
async function timePasses({ gateway, store }: ToyNetwork): Promise<void> {
  await store.withTx(({ db, tables }) =>
    db
      .update(tables.disputes)
      .set({ appealUntilMs: 1 })
      .then(() => undefined),
  );
  await gateway.tick();
  await gateway.settled();
}

async function toldOf(network: ToyNetwork, requestId: string): Promise<string[]> {
  const { events } = await rowsOf(network);
  const own = events.filter(
    ({ bodyJson }) => (JSON.parse(bodyJson) as { request_id: string }).request_id === requestId,
  );
  return own.map(({ type }) => type);
}

async function refundOf(network: ToyNetwork, requestId: string): Promise<'all' | 'none' | 'some'> {
  const { chargedNano, refundedNano } = (await rowsOf(network)).requests.find((one) => one.requestId === requestId)!;
  return refundedNano === 0n ? 'none' : refundedNano === chargedNano ? 'all' : 'some';
}

test('whoever is convicted of a slip, has its lies found by that, and then explains the slip, is convicted of the first lie', async () => {
  const world = await start();
  const { network, state, answers } = world;
  const honest = await answers([ACCUSED.address], 1);
  state.way = 'lies';
  const lies = (await answers([ACCUSED.address], 2)).map(({ requestId }) => requestId);
  const slip = await world.convictOfSlip();
  await network.gateway.settled();
  expect(await statusOf(network, slip.requestId)).toBe('overturned');
  expect(await explain(world, slip.disputeId)).toBe('abandoned');
  expect(await statusOf(network, slip.requestId)).toBe('standing');
  for (const lie of lies) expect(await statusOf(network, lie)).toBe('overturned');
  const frozen = (await rowsOf(network)).disputes.filter(({ frozenNano }) => frozenNano > 0n);
  // The slip's until it is settled, and that of the one lie which convicts now.
  expect(frozen.filter(({ disputeId }) => disputeId !== slip.disputeId)).toHaveLength(1);
  await expectWhole(network);

  await timePasses(network);
  const { disputes } = await rowsOf(network);
  expect(disputes.every(({ state: at }) => at === 'settled')).toBe(true);
  expect([await refundOf(network, slip.requestId), await refundOf(network, honest[0]!.requestId)]).toEqual([
    'none',
    'none',
  ]);
  for (const lie of lies) expect(await refundOf(network, lie)).toBe('all');
  // A fifth for the lie that convicts; the other client out of what is free.
  const other = lies.find((lie) => !frozen.some(({ requestId }) => requestId === lie))!;
  const { requests } = await rowsOf(network);
  const paidNano = requests.find(({ requestId }) => requestId === other)!.refundedNano;
  expect(await stakeOf(network.store, ACCUSED.address)).toBe((STAKE_NANO * 8n) / 10n - paidNano);
  expect(await toldOf(network, slip.requestId)).toEqual([
    ...['dispute.opened', 'dispute.ruled', 'answer.overturned'],
    ...['dispute.ruled', 'answer.reinstated', 'dispute.settled'],
  ]);
  for (const lie of lies) {
    expect((await toldOf(network, lie)).sort()).toEqual(
      ['answer.overturned', 'dispute.opened', 'dispute.ruled', 'dispute.settled', 'refund'].sort(),
    );
  }
  const last = of(await entriesOf(network), 'reinstated');
  expect(last.map(({ requestId }) => requestId)).toEqual([slip.requestId]);
  await expectWhole(network);
});

test('what nobody has looked at when the conviction falls is left alone, until another conviction', async () => {
  let isDeaf = false;
  const deaf = (_: string, handle: Handler): Handler => {
    return async (request) => (isDeaf && request.url.endsWith('/v1/scores') ? Response.error() : handle(request));
  };
  const onMove: ToyOptions['onMove'] = ({ kind }) => {
    isDeaf ||= kind === 'ruled';
  };
  const world = await start({ host: deaf, onMove });
  const { network, state, answers } = world;
  state.way = 'lies';
  const [lie] = await answers([ACCUSED.address], 1);
  const slip = await world.convictOfSlip();
  await network.gateway.settled();
  expect((await rowsOf(network)).reexamined).toMatchObject([{ requestId: lie!.requestId, logIndex: null }]);
  expect(await gaugeOf(network, 'assay_reexaminations_waiting')).toBe(1);
  expect(await explain(world, slip.disputeId)).toBe('abandoned');
  isDeaf = false;
  expect((await rowsOf(network)).reexamined).toEqual([]);
  expect(await gaugeOf(network, 'assay_reexaminations_waiting')).toBe(0);
  await timePasses(network);
  expect(await statusOf(network, lie!.requestId)).toBe('standing');
  expect(await stakeOf(network.store, ACCUSED.address)).toBe(STAKE_NANO);
  expect(await refundOf(network, slip.requestId)).toBe('none');
  await expectWhole(network);
});

test('what is being looked at when the conviction falls is looked at once more, because of the one that takes its place', async () => {
  const held: (() => void)[] = [];
  let holds = '';
  const slow = (_: string, handle: Handler): Handler => {
    return async (request) => {
      if (holds === '' || !request.url.endsWith('/v1/scores')) return handle(request);
      const { promptIds } = (await request.clone().json()) as { promptIds: number[] };
      if (String.fromCharCode(...promptIds).includes(holds)) await new Promise<void>((go) => held.push(go));
      return handle(request);
    };
  };
  const world = await start({ host: slow });
  const { network, state, answers } = world;
  state.way = 'lies';
  const [first] = await answers([ACCUSED.address], 1);
  const [second] = await answers([ACCUSED.address], 1, { messages: [{ role: 'user', content: 'slowly' }] });
  holds = 'slowly';
  const slip = await world.convictOfSlip();
  const argued = async () => (await rowsOf(network)).reexamined.map(({ requestId, outcome }) => [requestId, outcome]);
  await expect.poll(argued, { timeout: 60_000 }).toContainEqual([first!.requestId, 'overturned']);
  await expect.poll(() => held.length, { timeout: 60_000 }).toBeGreaterThan(0);
  expect(await explain(world, slip.disputeId)).toBe('abandoned');
  holds = '';
  for (const go of held) go();
  await network.gateway.settled();
  const { reexamined, disputes } = await rowsOf(network);
  const heir = disputes.find(({ requestId }) => requestId === first!.requestId)!;
  expect(reexamined.find(({ requestId }) => requestId === second!.requestId)).toMatchObject({
    disputeId: heir.disputeId,
    outcome: 'overturned',
  });
  await timePasses(network);
  for (const one of [first!, second!]) expect(await refundOf(network, one.requestId)).toBe('all');
  await expectWhole(network);
});
