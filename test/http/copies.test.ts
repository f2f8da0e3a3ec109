/** Rounds under a seed of their own: who sends what an accomplice had written is found, who draws for itself is not (spec-judge.md §7.15). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ScoredEntry } from '#protocol/log';
import { BETS } from '#protocol/wealth';
import { COPY_PROBABILITY_MAX, copyFactor } from '../../gateway/judge/copying.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { keptOf } from '../fixtures/kept-evidence.ts';
import { signerOf, type ToyNetwork } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const COPIED = BETS.findIndex(({ test: name }) => name === 'copied');
const ONE = 2 ** 30;
const AUDITS = { ratePpm: 1, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
const ASKED = { temperature: 1, max_tokens: 40, logit_bias: { 0: -100 }, verification: 'audited' };

type Written = Awaited<ReturnType<typeof generated>>;
async function generated(engine: Engine, request: Parameters<Engine['generate']>[0]) {
  const tokens = [];
  for await (const token of engine.generate(request)) tokens.push(token);
  return tokens;
}

/** Machines that share what any of them has written: the first answers, the others send its answer, whatever the seed. */
function cartel(): () => Engine {
  const shared = new Map<string, Written>();
  return () => {
    const honest = toyMachine();
    return {
      info: honest.info,
      text: honest.text,
      async *generate(request) {
        const key = request.promptIds.join();
        const known = shared.get(key) ?? (await generated(honest, request));
        shared.set(key, known);
        yield* known;
      },
      score: (request) => honest.score(request),
      close: () => honest.close(),
    };
  };
}

interface Ran {
  readonly network: ToyNetwork;
  readonly scored: ScoredEntry[];
  /** Bodies of orders to generate. */
  readonly orders: Record<string, unknown>[];
}

async function run(engines: Readonly<Record<string, Engine>>, most: number, temperature = 1): Promise<Ran> {
  const orders: Record<string, unknown>[] = [];
  const wrap =
    (fetch: Fetch): Fetch =>
    async (url, init) => {
      if (new URL(url).pathname === '/v1/jobs') orders.push(JSON.parse(String(init?.body)) as Record<string, unknown>);
      return fetch(url, init);
    };
  const network = await open({ members: 5, engines, wrap, limits: { audits: AUDITS, scorerTrialPpm: 1_000_000 } });
  // Who copies is drawn ten times as often: most rounds are about an accomplice's answer.
  for (const name of Object.keys(engines)) {
    const rich = { account: `stake:${signerOf(name).address}`, amount_nano: `1${'0'.repeat(17)}`, reference: name };
    expect((await network.admin('POST', '/deposits', rich)).status).toBe(201);
  }
  network.gateway.epochs.renew();
  for (let at = 0; at < most && network.gateway.registry.excluded().length === 0; at++) {
    // What it would cut off at temperature 1 it cuts off nowhere at 0.
    const restricted = temperature === 0 ? { top_p: 0.9 } : {};
    await network.ask(`question ${at}`, { ...ASKED, ...restricted, temperature, seed: at });
    await network.gateway.settled();
  }
  const scored = (await entriesOf(network)).flatMap((entry) => (entry.type === 'scored' ? [entry] : []));
  return { network, scored, orders };
}

describe('a round under another seed', () => {
  test.each([
    ['with noise', 1],
    ['without noise, by asking for some', 0],
  ])(
    'puts who sends what its accomplice had written into quarantine, %s, and can be judged again',
    async (_, temperature) => {
      const member = cartel();
      const { network, scored } = await run({ p0: member(), p1: member(), p2: member() }, 150, temperature);
      const cheats = ['p0', 'p1', 'p2'].map((name) => signerOf(name).address as string);
      const excluded = network.gateway.registry.excluded();
      expect(excluded.map(({ reason }) => reason)).toEqual(['quarantine:accumulated-evidence']);
      expect(cheats).toContain(excluded[0]!.provider);
      const copies = scored.filter(({ factors }) => factors[COPIED]! > ONE);
      expect(copies.length).toBeGreaterThan(0);
      for (const { provider, factors } of copies) {
        expect(cheats).toContain(provider);
        expect(factors[COPIED]).toBe(128 * ONE);
      }
      expect(scored.filter((entry) => !cheats.includes(entry.provider) && entry.stage !== 'clear')).toEqual([]);
      await checkKept(network, scored);
    },
  );

  test.each([1, 0])(
    'lets honest machines be, costs them nothing, and is ordered like any other job (temperature %d)',
    async (temperature) => {
      const { network, scored, orders } = await run({}, 40, temperature);
      expect(network.gateway.registry.excluded()).toEqual([]);
      expect(scored.length).toBeGreaterThan(0);
      for (const { factors, stage } of scored) {
        expect(stage).toBe('clear');
        // What is at stake where nobody copies is 128 times a billionth at most.
        expect(factors[COPIED]! / ONE).toBeGreaterThan(1 - 129 * COPY_PROBABILITY_MAX);
        expect(factors[COPIED]! / ONE).toBeLessThanOrEqual(1);
      }
      const forms = orders.map(({ ticket, ...body }) => [Object.keys(body), Object.keys(ticket as object)]);
      expect(new Set(forms.map((form) => JSON.stringify(form))).size).toBe(1);
      // Evidence of temperature 0 says nothing of what a restriction would cut off: such a round has none.
      const noisy = orders.map(({ sampling }) => sampling as { temperature: number; topK: number; topP: number });
      const rounds = temperature === 1 ? [] : noisy.filter((sampling) => sampling.temperature !== 0);
      expect(rounds.length > 0).toBe(temperature === 0);
      for (const sampling of rounds) expect(sampling).toMatchObject({ temperature: 1, topK: 0, topP: 1 });
      // Another nonce and another seed: no hash of it is one of the first order.
      const hashes = orders.map(({ ticket }) => (ticket as { requestHash: string }).requestHash);
      expect(new Set(hashes).size).toBe(orders.length);
      expect(orders.length).toBeGreaterThan(40);
    },
  );
});

/** What is kept of a round gives its entry again; the peer's words must be the peer's, and of another order. */
async function checkKept(network: ToyNetwork, scored: readonly ScoredEntry[]): Promise<void> {
  for (const { kept, problem } of await keptOf(network, scored)) {
    expect(problem(kept)).toBeNull();
    if (kept.peer === undefined) continue;
    const changed = (peer: Partial<typeof kept.peer>) => problem({ ...kept, peer: { ...kept.peer!, ...peer } });
    expect(changed({ tokens: [...kept.peer.tokens.slice(1), 7] })).toBe('peer_unfit');
    expect(changed({ claim: kept.claim! })).toBe('peer_unfit');
    const { claim } = kept.peer;
    expect(changed({ claim: { ...claim, value: { ...claim.value, outputTokens: 1 } } })).toBe('peer_unfit');
    expect(problem({ ...kept, claim: null })).toBe('peer_unfit');
  }
}

test('the bet on copies never wins on average: summed by hand over what an honest provider writes', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-300, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom(2, 128),
      (probability, share, most) => {
        const chance = probability * share;
        const same = copyFactor({ probability, isSame: true }, most);
        const other = copyFactor({ probability, isSame: false }, most);
        expect(chance * same + (1 - chance) * other).toBeLessThanOrEqual(1 + 1e-12);
        expect(other).toBeGreaterThanOrEqual(0);
        if (probability <= COPY_PROBABILITY_MAX) expect(same).toBeGreaterThan(most * 0.99);
        else expect([same, other]).toEqual([1, 1]);
      },
    ),
  );
});
