/** An audit that writes a whole answer sits alone, and has permissions as late as a committee's: by time too it is like a client's job (SPEC.md §5.7, §8.1). */
import { expect, test } from 'vitest';
import { saveCovers } from '../../gateway/committee/cover-store.ts';
import { Covers } from '../../gateway/committee/covers.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import { HandClock, untilHolds } from '../fixtures/hand-clock.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const AUDITS = { ratePpm: 1_000_000, regeneratePpm: 1_000_000, delayMs: 0, withinMs: 3_600_000 };
const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 16, verification: 'audited' };
/** Committees whose others were there a second after a member that is done at once; as many as are saved together. */
const SLOW_OTHERS = Array.from({ length: 256 }, (_, at) => ({ ownMs: [0], othersMs: [1000], promptTokens: 1 + at }));

/** From each order to its permission, in milliseconds: of an answer, then of the whole answer that audits it. */
async function heldBack(coverMaxMs: number): Promise<number[]> {
  const clock = new HandClock();
  const orderedMs = new Map<string, number>();
  const heldMs: number[] = [];
  const wrap =
    (fetch: Fetch): Fetch =>
    async (url, init) => {
      const { pathname } = new URL(url);
      if (pathname === '/v1/jobs') {
        const { ticket } = JSON.parse(String(init?.body)) as { ticket: { jobId: string } };
        orderedMs.set(ticket.jobId, clock.nowMs());
      }
      const [, jobId] = /^\/v1\/jobs\/(0x[0-9a-f]{64})\/reveal$/.exec(pathname) ?? [];
      if (jobId !== undefined) heldMs.push(clock.nowMs() - orderedMs.get(jobId)!);
      return fetch(url, init);
    };
  const network = await open({ members: 4, clock, wrap, limits: { audits: AUDITS, coverMaxMs } });
  const known = new Covers();
  known.record(`${TOY_MODEL.digest}/whole`, SLOW_OTHERS);
  await saveCovers(network.store, known, clock.nowMs());
  await network.restart();
  let isOver = false;
  const asked = network
    .ask('hello', ASKED)
    .then(() => network.gateway.settled())
    .finally(() => {
      isOver = true;
    });
  while (!isOver) {
    // Time passes only where somebody waits for it, so that what is under way takes none.
    await untilHolds(() => isOver || clock.waiting((ms) => ms < 5_000) > 0);
    clock.pass(50);
  }
  await asked;
  const audits = (await entriesOf(network)).flatMap((entry) => (entry.type === 'audited' ? [entry] : []));
  expect(audits.map(({ kind, outcome }) => [kind, outcome])).toEqual([['regenerate', 'held']]);
  expect(heldMs).toHaveLength(2);
  return heldMs;
}

/** What is drawn from a second may be corrected by a factor of two at most. */
const COVERED_MS = 400;

test('its permission is held back by a cover as that of the client’s answer is', async () => {
  for (const ms of await heldBack(2_000)) expect(ms).toBeGreaterThan(COVERED_MS);
});

test('nobody’s permission is held back where covers are off', async () => {
  for (const ms of await heldBack(0)) expect(ms).toBeLessThan(COVERED_MS);
});
