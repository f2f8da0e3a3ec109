/** Log-probabilities: computed, sealed, compared and spelled out (SPEC.md §12.5). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LogprobSpeller, type SpelledLogprobs } from '#protocol/logprob-text';
import {
  logprobOf,
  logprobSalt,
  logprobsAgree,
  logprobsProblem,
  shownLogprobsHash,
  type TokenLogprobs,
  zTokenLogprobs,
} from '#protocol/logprobs';
import { generateJobHash } from '#protocol/request';
import { logprobsOf } from '../../provider/engine/logprobs.ts';
import { minnowText } from '../http/openai-fixture.ts';

const logits = fc.array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 60 });

/** The definition, without any of the shortcuts. */
function softmaxLogs(values: readonly number[]): number[] {
  const total = values.reduce((sum, value) => sum + Math.exp(value), 0);
  return values.map((value) => Math.log(Math.exp(value) / total));
}

describe('computing', () => {
  test('values are the logarithms of the softmax, best first, and break no rule', () => {
    fc.assert(
      fc.property(logits, fc.nat(), fc.integer({ min: 0, max: 20 }), (values, pick, count) => {
        const chosen = pick % values.length;
        const exact = softmaxLogs([...Float32Array.from(values)]);
        const [own, top] = logprobsOf(Float32Array.from(values), chosen, count);
        expect(Math.abs(logprobOf(own) - exact[chosen]!)).toBeLessThan(1e-4);
        expect(top).toHaveLength(Math.min(count, values.length));
        for (const [id, logprob] of top) expect(Math.abs(logprobOf(logprob) - exact[id]!)).toBeLessThan(1e-4);
        const least = Math.min(...top.map(([id]) => exact[id]!));
        const left = exact.filter((_, id) => !top.some(([other]) => other === id));
        if (count > 0) for (const other of left) expect(other).toBeLessThanOrEqual(least + 1e-9);
        const item: TokenLogprobs = [own, top];
        expect(zTokenLogprobs.safeParse(item).success).toBe(true);
        expect(logprobsProblem(item, { chosen, top: count, vocabSize: values.length })).toBeNull();
      }),
    );
  });

  test('not-a-number and infinite logits have the smallest value there is', () => {
    const [own, top] = logprobsOf(Float32Array.from([Number.NaN, 0, Number.NEGATIVE_INFINITY]), 0, 3);
    expect(own).toBe(-(2 ** 31));
    expect(top[0]).toEqual([1, 0]);
  });
});

test.each([
  ['wrong_top_count', [-1, [[5, -1]]]],
  [
    'wrong_token',
    [
      -70000,
      [
        [5, -70000],
        [5, -70000],
      ],
    ],
  ],
  [
    'wrong_token',
    [
      -70000,
      [
        [5, -70000],
        [9, -70000],
      ],
    ],
  ],
  [
    'wrong_order',
    [
      -90000,
      [
        [5, -90000],
        [4, -80000],
      ],
    ],
  ],
  [
    'wrong_order',
    [
      -90000,
      [
        [5, -90000],
        [4, -90000],
      ],
    ],
  ],
  [
    'wrong_chosen',
    [
      -80000,
      [
        [5, -90000],
        [6, -90000],
      ],
    ],
  ],
  [
    'wrong_chosen',
    [
      -80000,
      [
        [3, -90000],
        [6, -90000],
      ],
    ],
  ],
  [
    'wrong_mass',
    [
      -20000,
      [
        [5, -20000],
        [6, -20000],
      ],
    ],
  ],
] as [string, TokenLogprobs][])('%s is found', (problem, item) => {
  expect(logprobsProblem(item, { chosen: 5, top: 2, vocabSize: 9 })).toBe(problem);
});

test('two machines agree within the tolerance and not beyond it', () => {
  const item: TokenLogprobs = [
    -65536,
    [
      [5, -65536],
      [6, -131072],
    ],
  ];
  const moved = (by: number): TokenLogprobs => [
    -65536 + by,
    [
      [5, -65536 + by],
      [7, -131072],
    ],
  ];
  expect(logprobsAgree(item, moved(600), 0.01)).toBe(true);
  expect(logprobsAgree(item, moved(700), 0.01)).toBe(false);
  expect(logprobsAgree(item, [-65536, [[5, -65536]]], 0.01)).toBe(false);
  // An alternative that the other does not list may only just have missed its list.
  expect(
    logprobsAgree(
      item,
      [
        -65536,
        [
          [5, -65536],
          [7, -120000],
        ],
      ],
      0.01,
    ),
  ).toBe(false);
});

test('the salt binds every number, and the ticket the number of alternatives', () => {
  const inner = `0x${'ab'.repeat(32)}` as const;
  const salt = logprobSalt(inner, [[-5, [[1, -5]]]]);
  const others: TokenLogprobs[][] = [[[-6, [[1, -5]]]], [[-5, [[2, -5]]]], [[-5, [[1, -6]]]], [[-5, []]], []];
  for (const other of others) expect(logprobSalt(inner, other)).not.toBe(salt);
  expect(logprobSalt(`0x${'ac'.repeat(32)}`, [[-5, [[1, -5]]]])).not.toBe(salt);
  expect(
    new Set([generateJobHash([0, 4]), generateJobHash([4], 0), generateJobHash([4], 4), generateJobHash([4])]).size,
  ).toBe(4);
});

test('the hash of what is shown depends on choices, not on their order', () => {
  const [a, b] = [
    { index: 0, logprobs: { content: [] } },
    { index: 1, logprobs: { content: [1] } },
  ];
  expect(shownLogprobsHash([a, b])).toBe(shownLogprobsHash([b, a]));
  expect(shownLogprobsHash([a])).not.toBe(shownLogprobsHash([a, b]));
});

describe('spelling', () => {
  const text = minnowText();
  const spelled = (ids: readonly number[], stop: readonly string[], pieces: number) => {
    const answer = text.createDetokenizer(stop);
    const speller = new LogprobSpeller(text);
    const entries: SpelledLogprobs[] = [];
    let content = '';
    let stopped = false;
    for (let at = 0; at < ids.length && !stopped; at += pieces) {
      const part = ids.slice(at, at + pieces);
      for (const id of part) {
        if (stopped) break;
        const pushed = answer.push(id);
        content += pushed.delta;
        stopped = pushed.stopped;
      }
      speller.push(
        part,
        part.map((id) => [
          -1,
          [
            [id, -1],
            [7, -2],
          ],
        ]),
      );
      entries.push(...speller.take(content.length));
    }
    content += answer.finish();
    return { content, entries: [...entries, ...speller.finish(content.length, stopped)], stopped };
  };

  test('tokens join to the answer, their bytes too, whatever the cuts and stop strings', () => {
    const words = fc.string({
      unit: fc.constantFrom('a', ' the', 'é', '😀', '👩‍👧', '日', ' ', '\n', 'Paris'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(
        words,
        fc.array(fc.constantFrom('the', 'éa', '日 ', '😀P', 'is'), { maxLength: 2 }),
        fc.integer({ min: 1, max: 5 }),
        (written, stop, pieces) => {
          const whole = [...text.encode(written), text.eosIds.at(-1)!];
          const { stoppedAt } = text.finalText(whole, stop);
          const ids = stoppedAt === null ? whole : whole.slice(0, stoppedAt + 1);
          const { content, entries } = spelled(ids, stop, pieces);
          expect(entries.map((entry) => entry.token).join('')).toBe(content);
          const bytes = entries.flatMap((entry) => entry.bytes ?? []);
          expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))).toBe(content);
          expect(entries).toEqual(spelled(ids, stop, 1000).entries);
        },
      ),
    );
  });

  test('a character that never ends is one replacement in its last token', () => {
    const ids = text.encode('😀').slice(0, -1);
    const { content, entries } = spelled([...ids, text.eosIds.at(-1)!], [], 1);
    expect(content).toBe('\ufffd');
    expect(entries).toHaveLength(ids.length);
    expect(entries.map((entry) => entry.token).join('')).toBe('\ufffd');
    expect(entries.flatMap((entry) => entry.bytes ?? [])).toEqual([...new TextEncoder().encode('😀')].slice(0, -1));
  });

  test('the chosen token reads the same among its alternatives, and a special one has a name and no bytes', () => {
    const speller = new LogprobSpeller(text);
    const [id] = text.encode('Paris');
    const eos = text.eosIds.at(-1)!;
    speller.push(
      [id!],
      [
        [
          -1,
          [
            [id!, -1],
            [eos, -65536],
          ],
        ],
      ],
    );
    const [entry] = speller.finish(100, false);
    expect(entry!.top_logprobs[0]).toEqual({ token: entry!.token, logprob: -1 / 65536, bytes: entry!.bytes });
    expect(entry!.top_logprobs[1]).toEqual({ token: text.tokenName(eos), logprob: -1, bytes: null });
    expect(text.tokenName(eos)).toMatch(/^<\|.*\|>$/);
  });
});
