/** What wealth may do: every condition of a slash with the attack that it stops. */
import { describe, expect, test } from 'vitest';
import {
  ACCOUNT_RULES,
  BARE_ACCOUNT_RULES,
  type CountedResponse,
  confirmedFactors,
  type EvidenceAccount,
  feed,
  openAccount,
  standingOf,
} from '#protocol/evidence-account';
import { BETS, EPOCH_RESPONSES } from '#protocol/wealth';

const all = (factor: number) => BETS.map(() => factor);
/** Quarantine asks one of these, a slash never the detector: an honest provider is sure to see it some day (spec-judge.md §7.10). */
const [WEALTH_QUARANTINE, DETECTOR_QUARANTINE] = [1e3, 1e5];

let number = 0;
function response(changes: Partial<CountedResponse> = {}): CountedResponse {
  number++;
  return {
    responseId: `r${number}`,
    promptId: `p${number}`,
    client: `c${number % 40}`,
    own: number % 2 === 0,
    operator: `o${(number >> 1) % 4}`,
    factors: all(4),
    ...changes,
  };
}

function fed(count: number, changes: (i: number) => Partial<CountedResponse> = () => ({})): EvidenceAccount {
  const account = openAccount();
  for (let i = 0; i < count; i++) feed(account, response(changes(i)));
  return account;
}

test('a cheat that many clients, scorers and own prompts see is slashed', () => {
  expect(standingOf(fed(40))).toMatchObject({ stage: 'slash', lacks: [] });
});

test('an honest provider stays clear', () => {
  expect(standingOf(fed(2_000, () => ({ factors: all(0.99) })))).toMatchObject({ stage: 'clear' });
});

test('a single client cannot convict, however many near-ties it finds', () => {
  const standing = standingOf(
    fed(200, (i) => ({ client: 'one', own: i % 8 === 0, factors: all(i % 8 === 0 ? 1.5 : 4) })),
  );
  expect(standing.wealth).toBeGreaterThan(1e6);
  expect(standing).toMatchObject({ stage: 'quarantine', lacks: ['clients'] });
});

test('nine clients are not enough, ten are', () => {
  const with_ = (clients: number) => standingOf(fed(400, (i) => ({ client: `k${i % clients}`, own: i === 0 })));
  expect(with_(9).lacks).toContain('clients');
  expect(with_(10).lacks).toEqual(['own_prompts']);
});

test('one operator of scorers cannot convict, however many keys it has', () => {
  const standing = standingOf(
    fed(200, (i) => ({ factors: all(i % 2 === 0 ? 8 : 1), operator: i % 2 === 0 ? 'liar' : 'true', own: true })),
  );
  expect(standing.lacks).toEqual(['scorer_halves']);
  expect(standingOf(fed(200, () => ({ operator: 'liar', own: true }))).lacks).toEqual(['scorer_halves']);
});

test('prompts that a rival could have sent do not convict alone', () => {
  expect(standingOf(fed(200, () => ({ own: false }))).lacks).toEqual(['own_prompts']);
});

test('two responses do not convict, whatever they show', () => {
  const account = openAccount({ ...BARE_ACCOUNT_RULES, responsesMin: 3 });
  for (let i = 0; i < 2; i++) feed(account, response({ factors: all(1e4) }));
  expect(standingOf(account)).toMatchObject({ stage: 'quarantine', lacks: ['responses'] });
  feed(account, response({ factors: all(1e4) }));
  expect(standingOf(account).stage).toBe('slash');
});

test('a prompt counts once: its errors would be the same again', () => {
  const account = openAccount();
  expect(feed(account, response({ promptId: 'same' }))).toBe('counted');
  expect(feed(account, response({ promptId: 'same' }))).toBe('repeated_prompt');
  expect(account.all.responses).toBe(1);
});

test('a response counts once', () => {
  const account = openAccount();
  const one = response();
  feed(account, one);
  expect(feed(account, { ...one, promptId: 'other' })).toBe('known_response');
});

test('what the fleet does not reject is not slashed', () => {
  expect(standingOf(fed(40), Number.POSITIVE_INFINITY)).toMatchObject({ stage: 'quarantine', lacks: ['fleet'] });
});

test('easy requests that a provider buys of itself cost it time: wealth comes back as soon as it cheats', () => {
  const bought = fed(1_000, () => ({ factors: all(0.9), client: 'provider' }));
  expect(standingOf(bought).stage).toBe('clear');
  for (let i = 0; i < 60; i++) feed(bought, response());
  expect(standingOf(bought).stage).toBe('slash');
});

describe('the detector', () => {
  /** So many lost responses that the wealth of a late start has a share of 1 / (40 · 41) of what the detector has of the same gains. */
  const lost = 40 * EPOCH_RESPONSES;

  test('puts into quarantine by itself, at whatever moment anybody looks, and never slashes', () => {
    // Nothing but wealth can be lacking: one client may do, and no half and no prompt of the gateway has to confirm.
    const account = openAccount(BARE_ACCOUNT_RULES);
    for (let i = 0; i < lost; i++) feed(account, response({ factors: all(0.5) }));
    expect(standingOf(account)).toMatchObject({ stage: 'clear', lacks: ['wealth'] });
    let standing = standingOf(account);
    while (standing.detector < 2 * DETECTOR_QUARANTINE) {
      feed(account, response({ factors: all(1.5) }));
      standing = standingOf(account);
      expect(standing.wealth).toBeLessThan(WEALTH_QUARANTINE);
      expect(standing.lacks).toEqual(['wealth']);
      expect(standing.stage).toBe(standing.detector < DETECTOR_QUARANTINE ? 'clear' : 'quarantine');
    }
  });

  test('does not stand in for wealth where every other condition of a slash holds', () => {
    const slashed = fed(40);
    expect(standingOf(slashed)).toMatchObject({ stage: 'slash', lacks: [] });
    const late = { ...slashed, all: { ...slashed.all, active: BETS.map(() => 1) } };
    const standing = standingOf(late);
    expect(standing.detector).toBeGreaterThan(DETECTOR_QUARANTINE);
    expect(standing.wealth).toBeLessThan(WEALTH_QUARANTINE);
    expect(standing).toMatchObject({ stage: 'quarantine', lacks: ['wealth'] });
  });

  test('below its threshold it does nothing', () => {
    const slashed = fed(40);
    const low = BETS.map(() => DETECTOR_QUARANTINE / 2);
    const quiet = { ...slashed, all: { ...slashed.all, active: BETS.map(() => 1), detector: low } };
    expect(standingOf(quiet).stage).toBe('clear');
  });
});

describe('surprising scores', () => {
  const first = { operator: 'a', factors: all(50) };

  test('without another operator a surprising score raises nothing', () => {
    expect(confirmedFactors([first])).toEqual({ factors: all(1), unconfirmed: true });
    expect(confirmedFactors([first, { operator: 'a', factors: all(60) }])).toEqual({
      factors: all(1),
      unconfirmed: true,
    });
  });

  test('of two operators the smaller value enters: a lie of one convicts nobody', () => {
    expect(confirmedFactors([first, { operator: 'b', factors: all(0.9) }])).toEqual({
      factors: all(0.9),
      unconfirmed: false,
    });
  });

  test('a score that surprises nobody enters as it is', () => {
    expect(confirmedFactors([{ operator: 'a', factors: all(1.5) }]).factors).toEqual(all(1.5));
  });

  test('what lowers the wealth counts also where it is not confirmed', () => {
    const mixed = BETS.map((_, i) => (i === 0 ? 100 : 0.5));
    expect(confirmedFactors([{ operator: 'a', factors: mixed }]).factors).toEqual(
      BETS.map((_, i) => (i === 0 ? 1 : 0.5)),
    );
  });
});

test('the order in which operators appear decides the halves, not their names', () => {
  const account = openAccount(ACCOUNT_RULES);
  for (const operator of ['x', 'y', 'z']) feed(account, response({ operator }));
  expect(account.operators).toEqual(['x', 'y', 'z']);
  expect(account.halves.map((half) => half.responses)).toEqual([2, 1]);
});
