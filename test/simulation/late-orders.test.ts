/** What a witness is ordered after the release: the whole answer in one chunk, with a whole job's time for it (spec-judge.md §7.9). */
import { afterEach, expect, test } from 'vitest';
import { generateJobHash } from '#protocol/request';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import { jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import type { Handler } from '../fixtures/cheats-wire.ts';
import { booksOf, LIMITS } from '../fixtures/network.ts';
import { type LateWorld, rulings, STUCK_MS, startWorld as startLateWorld, stuck, stuckOnce } from './late-world.ts';
import { toyMachine } from './toy-machine.ts';
import type { VirtualClock } from './virtual-clock.ts';

let world: LateWorld | null = null;
afterEach(async () => {
  expect(await booksOf(world!.store)).toEqual([]);
  await world!.close();
});
async function startWorld(...parts: Parameters<typeof startLateWorld>): Promise<LateWorld> {
  world = await startLateWorld(...parts);
  return world;
}

const cheap = () => toyMachine({ salt: 'cheap' });
const honest = () => toyMachine();
const late = (clock: VirtualClock) => stuckOnce(honest(), clock);

/** Two colluders are served until the witness is heard; whether it was, shows in what becomes of their answer. */
async function isOverturned(of: LateWorld, fields: object = {}): Promise<boolean> {
  const { body } = await of.ask(fields);
  await of.clock.run(of.gateway.settled());
  await of.clock.run(of.gateway.tick());
  const { status } = (await of.get(`/v1/attestations/${body.assay.id}`)) as { status: string };
  return status === 'overturned';
}

test('a witness is heard though its seal takes longer than any round may', async () => {
  expect(STUCK_MS).toBeGreaterThan(LIMITS.roundTimeoutMs);
  // Stuck again in the order after the release.
  const slow = (clock: VirtualClock) => stuck(honest(), clock, (call) => (call < 2 ? STUCK_MS : 0));
  expect(await isOverturned(await startWorld({ 'liar-a': cheap, 'liar-b': cheap, slow }))).toBe(true);
});

test('and though its opening does', async () => {
  const holdsReveals = (name: string, handle: Handler, clock: VirtualClock): Handler =>
    name !== 'late'
      ? handle
      : async (request) => {
          if (request.url.endsWith('/reveal')) await clock.sleep(STUCK_MS);
          return handle(request);
        };
  const drawn = { 'liar-a': cheap, 'liar-b': cheap, late };
  expect(await isOverturned(await startWorld(drawn, {}, honest(), holdsReveals))).toBe(true);
});

test('of a streamed answer too it is ordered all of it in one chunk', async () => {
  const { store, ...rest } = await startWorld({ a: honest, b: honest, late });
  // More than one chunk for the others.
  const maxTokens = 24;
  const { body } = await rest.ask({ stream: true, max_tokens: maxTokens, logit_bias: { 0: -100 } });
  await rest.clock.run(rest.gateway.settled());
  const jobs = await store.read((handle) => jobsOfRequest(handle, body.assay.id));
  const [first, second] = jobs
    .filter(({ provider }) => provider === rest.addressOf('late'))
    .map(({ ticketJson }) => ticketJson);
  expect(first).toContain(generateJobHash(LIMITS.streamChunks));
  expect(second).toContain(generateJobHash([maxTokens]));
  const heard = jobs.filter(({ provider }) => provider === rest.addressOf('late')).at(-1)!;
  expect(heard).toMatchObject({ outputTokens: maxTokens, standing: 'witness' });
});

test('one that seals all of its tokens and does not say that they end has broken the order', async () => {
  // Every chunk of its second stream is called another than the last one.
  let orders = 0;
  const endless = (clock: VirtualClock) => {
    const engine = stuckOnce(honest(), clock);
    return {
      ...engine,
      generate: (request: Parameters<typeof engine.generate>[0]) =>
        orders++ === 0 ? engine.generate(request) : engine.generate({ ...request, maxTokens: request.maxTokens + 1 }),
    };
  };
  const of = await startWorld({ a: honest, b: honest, endless });
  await of.ask({ logit_bias: { 0: -100 } });
  await of.clock.run(of.gateway.settled());
  await of.clock.run(of.gateway.tick());
  expect(await rulings(of.store)).toEqual({ [of.addressOf('endless')]: 'upheld' });
  const [dispute] = await of.store.read((handle) => listDisputes(handle, { limit: 1 }));
  expect(dispute!.bundleJson).toContain('shape:not_ended');
});
