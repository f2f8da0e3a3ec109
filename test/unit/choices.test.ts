/** Choices: their seeds, their statements, their verdict, and how they run side by side (SPEC.md §4.4, §10.1). */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  claimsHash,
  claimsOf,
  compactAttestation,
  parseAttestation,
  type StatementWire,
  sealOf,
  wavesOf,
  zStatement,
} from '#protocol/attestation';
import { choicesOf, hashOfRequest, weakestVerdict } from '#protocol/choices';
import { CHOICES_MAX } from '#protocol/content';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { ProtocolError } from '#protocol/errors';
import { sha256, utf8 } from '#protocol/hash';
import { choiceSeed } from '#protocol/request';
import { nativeSigner } from '#protocol/signer-native';
import { VERDICTS } from '#protocol/verdict';
import { ofChoices, type VerifyItem } from '#protocol/verify-item';
import type { AttemptResult } from '../../gateway/round/attempt.ts';
import { plansOf, runChoices } from '../../gateway/round/choices.ts';
import { linkAbort } from '../../gateway/round/deadline.ts';
import type { AttemptPlan } from '../../gateway/round/plan.ts';
import type { ReleasedPart } from '../../gateway/round/release.ts';

fc.configureGlobal({ seed: 11 });

const SIGNER = nativeSigner(sha256(utf8('gateway')));
/** A statement of one choice, made by the independent script. */
const ONE = (
  JSON.parse(readFileSync(new URL('../vectors/attestation.json', import.meta.url), 'utf8')) as {
    statementHash: { input: StatementWire }[];
  }
).statementHash[0]!.input;
const { waves, scores, served, outputIds, verdict, agreement, faults } = ONE;
const RECORD = { skipped: [], waves, scores, served, outputIds, verdict, agreement, faults };
const THREE: StatementWire = { ...ONE, firstVerdict: verdict, choices: [RECORD, RECORD] };

describe('seeds', () => {
  const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

  test('choice 0 keeps the seed, and no two choices of a request share one', () => {
    fc.assert(
      fc.property(uint64, (seed) => {
        const seeds = Array.from({ length: CHOICES_MAX }, (_, choice) => choiceSeed(seed, choice));
        expect(seeds[0]).toBe(seed);
        expect(new Set(seeds).size).toBe(CHOICES_MAX);
        for (const derived of seeds) expect(derived >= 0n && derived < 1n << 64n).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('a choice of one seed is not the same choice of another', () => {
    const choice = fc.integer({ min: 0, max: CHOICES_MAX - 1 });
    fc.assert(
      fc.property(uint64, uint64, choice, (a, b, at) => {
        fc.pre(a !== b);
        expect(choiceSeed(a, at)).not.toBe(choiceSeed(b, at));
      }),
    );
  });

  test('the plans of a request about one prompt differ in the seed alone', () => {
    const first = { requestId: 'r', seed: 7n, maxTokens: 3, promptIds: [5] as readonly number[] } as AttemptPlan;
    const plans = plansOf(first, [[5]], 3);
    expect(plans.map(({ seed }) => seed)).toEqual([7n, choiceSeed(7n, 1), choiceSeed(7n, 2)]);
    expect(plans.map((plan) => ({ ...plan, seed: 0n }))).toEqual(Array(3).fill({ ...first, seed: 0n }));
  });

  test('of several prompts each has its choices in a row, and no two choices one seed', () => {
    const first = { requestId: 'r', seed: 7n, maxTokens: 3 } as AttemptPlan;
    const plans = plansOf(first, [[5], [6, 7], [8]], 6);
    expect(plans.map(({ promptIds }) => promptIds)).toEqual([[5], [5], [6, 7], [6, 7], [8], [8]]);
    expect(new Set(plans.map(({ seed }) => seed)).size).toBe(6);
    expect(plans.at(-1)!.seed).toBe(choiceSeed(7n, 5));
  });
});

describe('a statement of several choices', () => {
  test('is read as one statement for each, with the seed and request hash that follow', () => {
    const statement = zStatement.parse({ ...THREE, verdict: 'inconclusive' });
    const choices = choicesOf(statement);
    expect(choices.map((choice) => choice.request.seed)).toEqual(
      [0, 1, 2].map((choice) => choiceSeed(BigInt(ONE.request.seed), choice).toString()),
    );
    expect(choices[0]!.requestHash).toBe(ONE.requestHash);
    for (const choice of choices) {
      expect(choice.verdict).toBe(verdict);
      expect(choice).not.toHaveProperty('choices');
      expect(choice).not.toHaveProperty('firstVerdict');
    }
    for (const choice of choices.slice(1)) expect(choice.requestHash).toBe(hashOfRequest(choice.request));
    expect(new Set(choices.map((choice) => choice.requestHash)).size).toBe(3);
  });

  test('of one choice is itself', () => {
    const statement = zStatement.parse(ONE);
    expect(choicesOf(statement)).toEqual([statement]);
  });

  test('is sealed with the claims of all choices in their order', () => {
    const claims = claimsOf(zStatement.parse(ONE).waves);
    expect(claims.length).toBeGreaterThan(0);
    expect(claimsOf(wavesOf(zStatement.parse(THREE)))).toEqual([...claims, ...claims, ...claims]);
    const all = claimsHash(LOCAL_DOMAIN, [...claims, ...claims, ...claims]);
    expect(sealOf(LOCAL_DOMAIN, THREE).claimsHash).toBe(all);
    expect(sealOf(LOCAL_DOMAIN, THREE).claimsHash).not.toBe(sealOf(LOCAL_DOMAIN, ONE).claimsHash);
  });

  test.each([
    ['choices without firstVerdict', { ...ONE, choices: [RECORD] }],
    ['firstVerdict without choices', { ...ONE, firstVerdict: verdict }],
    ['no choice in the list', { ...ONE, firstVerdict: verdict, choices: [] }],
    ['more than 128 choices', { ...ONE, firstVerdict: verdict, choices: Array(128).fill(RECORD) as (typeof RECORD)[] }],
    ['a choice with a seed of its own', { ...THREE, choices: [{ ...RECORD, seed: '1' }] } as unknown as StatementWire],
    ['a choice in a choice', { ...THREE, choices: [{ ...RECORD, choices: [RECORD] }] } as unknown as StatementWire],
    ['a choice without waves', { ...THREE, choices: [{ ...RECORD, waves: [] }] }],
  ])('is refused with %s', (_, statement) => {
    expect(parseAttestation(signed(THREE))).not.toBeNull();
    expect(parseAttestation(signed(statement))).toBeNull();
  });
});

/** Signed as far as it can be: what no schema takes has no claims to be hashed. */
function signed(statement: StatementWire): string {
  const [, , signature] = compactAttestation(LOCAL_DOMAIN, SIGNER, THREE).split('.') as [string, string, string];
  const sorted = JSON.parse(JSON.stringify(statement), (_, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  ) as unknown;
  return `v1.${Buffer.from(JSON.stringify(sorted)).toString('base64url')}.${signature}`;
}

test('an answer has the weakest verdict that any choice has, in whatever order they come', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...VERDICTS), { minLength: 1, maxLength: 8 }), (verdicts) => {
      const weakest = weakestVerdict(verdicts);
      expect(verdicts).toContain(weakest);
      expect(weakestVerdict([...verdicts].reverse())).toBe(weakest);
      for (const one of verdicts) expect(VERDICTS.indexOf(one)).toBeLessThanOrEqual(VERDICTS.indexOf(weakest));
    }),
  );
  expect(() => weakestVerdict([])).toThrow(RangeError);
});

test('an item on all choices is as good as the worst of them, and never better', () => {
  const item = (status: VerifyItem['status']): VerifyItem => ({ name: 'agreement', status, detail: status });
  const of = (...all: (VerifyItem | null)[]) => ofChoices(all);
  expect(of(item('proved'), item('proved'))?.status).toBe('proved');
  expect(of(item('proved'), item('pending'))?.status).toBe('pending');
  expect(of(item('pending'), item('not checked'))?.status).toBe('not checked');
  expect(of(item('proved'), item('not checked'), item('failed'))).toEqual({
    name: 'agreement',
    status: 'failed',
    detail: 'choice 2: failed',
  });
  expect(of(null, item('failed'))).toMatchObject({ status: 'failed', detail: 'choice 1: failed' });
  expect(of(null, null)).toBeNull();
  expect(of(item('proved'))).toEqual(item('proved'));
});

describe('choices that run side by side', () => {
  const RESULT = (name: string) => ({ name }) as unknown as AttemptResult;

  /** A run that releases its ids one by one, waits for `gate` before each, and says when it has stopped. */
  function run(name: string, ids: readonly number[], step: (at: number) => Promise<void>, stopped: string[] = []) {
    return {
      async *run(): AsyncGenerator<ReleasedPart, AttemptResult> {
        try {
          for (const [at, id] of ids.entries()) {
            await step(at);
            yield { ids: [id], logprobs: null };
          }
          await step(ids.length);
          return RESULT(name);
        } finally {
          stopped.push(name);
        }
      },
    };
  }
  const free = () => Promise.resolve();
  const untilAborted = (signal: AbortSignal) =>
    new Promise<void>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
    );

  test('release their tokens in order within each, and give every result by index', async () => {
    const running = runChoices([run('a', [1, 2, 3], free), run('b', [], free), run('c', [7, 8], free)], linkAbort([]));
    const seen: number[][] = [[], [], []];
    let step = await running.next();
    while (!step.done) {
      seen[step.value.choice]!.push(...step.value.ids);
      step = await running.next();
    }
    expect(seen).toEqual([[1, 2, 3], [], [7, 8]]);
    expect(step.value).toEqual([RESULT('a'), RESULT('b'), RESULT('c')]);
  });

  test('do not keep one another waiting', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => i);
    const order: number[] = [];
    for await (const { choice } of runChoices([run('a', ids, free), run('b', ids, free)], linkAbort([]))) {
      order.push(choice);
    }
    expect(order.slice(0, 10)).toContain(1);
    expect(order.slice(0, 10)).toContain(0);
  });

  test('end together when one fails, with what failed first and none of them still running', async () => {
    const life = linkAbort([]);
    const stopped: string[] = [];
    const failing = run('a', [1, 2], (at) => (at === 1 ? Promise.reject(problem) : free()), stopped);
    const problem = new ProtocolError('inconclusive', 'no');
    const waiting = run('b', [5], () => untilAborted(life.signal), stopped);
    const read = async () => {
      for await (const _ of runChoices([failing, waiting], life));
    };
    await expect(read()).rejects.toBe(problem);
    expect(stopped.sort()).toEqual(['a', 'b']);
    expect(life.signal.aborted).toBe(true);
  });

  test('end together when the reader leaves', async () => {
    const life = linkAbort([]);
    const stopped: string[] = [];
    const waiting = run('b', [5], () => untilAborted(life.signal), stopped);
    for await (const _ of runChoices([run('a', [1, 2], free, stopped), waiting], life)) break;
    expect(stopped.sort()).toEqual(['a', 'b']);
    expect(life.signal.aborted).toBe(true);
  });

  test('that all came to their end leave the request alone', async () => {
    const life = linkAbort([]);
    for await (const _ of runChoices([run('a', [1], free), run('b', [2], free)], life));
    expect(life.signal.aborted).toBe(false);
  });
});
