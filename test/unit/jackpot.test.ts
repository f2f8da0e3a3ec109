/** What finding a planted error pays: enough for who checks, and never more than errors are worth (spec-money.md §11.13). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JACKPOT_SCORES_MAX, jackpotNano, scoreNano, trialShape } from '#protocol/jackpot';
import { jackpotTransfer } from '../../gateway/ledger/jackpot.ts';

const AUDIT = { ppm: 50_000, regeneratePpm: 0, withinMs: 1 };
const COST = 1_000_000n;
const paid = (mode: string, n: number, trialPpm: number, audit = mode === 'audited' ? AUDIT : null) =>
  jackpotNano(COST, trialPpm, { mode, n }, audit);

describe('a prize', () => {
  test('is what the dilemma asks for, worked by hand for each kind of answer', () => {
    // Audits 0.05 and trials 0.01 of a choice, half of the trials planted: 1.25 · 0.06 / 0.005 = 15 scores.
    expect(paid('audited', 1, 10_000)).toBe(15n * COST);
    // Of a quorum nobody is asked for scores but trials: 1.25 · (6/4) / (3/4) = 2.5 scores, however rare they are.
    expect(paid('quorum', 3, 10_000)).toBe((5n * COST) / 2n);
    expect(paid('quorum', 3, 1)).toBe((5n * COST) / 2n);
    // Two witnesses and a trial of every choice, half of them planted: 1.25 · 3 / 0.5 = 7.5 scores.
    expect(paid('witnessed', 3, 1_000_000)).toBe((15n * COST) / 2n);
    // And of seven choices in ten, 1.25 · 2.7 / 0.35 = 9.642857… scores, rounded up.
    expect(paid('witnessed', 3, 700_000)).toBe(9_642_858n);
    // The same after one answer in a hundred would be 502.5 scores: prizes alone do not make that pay.
    expect(paid('witnessed', 3, 10_000)).toBe(JACKPOT_SCORES_MAX * COST);
    expect(paid('audited', 1, 0)).toBe(0n);
  });

  test('pays, on average over all orders of its kind, a quarter more than all of them cost, unless it is cut', () => {
    fc.assert(
      fc.property(
        fc.record({
          cost: fc.bigInt(0n, 10n ** 15n),
          trialPpm: fc.integer({ min: 1, max: 1_000_000 }),
          policy: fc.constantFrom(
            { mode: 'audited', n: 1 },
            { mode: 'witnessed', n: 3 },
            { mode: 'witnessed', n: 15 },
            { mode: 'quorum', n: 3 },
          ),
          ppm: fc.integer({ min: 0, max: 1_000_000 }),
          regeneratePpm: fc.integer({ min: 0, max: 1_000_000 }),
        }),
        ({ cost, trialPpm, policy, ppm, regeneratePpm }) => {
          const audit = policy.mode === 'audited' ? { ppm, regeneratePpm, withinMs: 1 } : null;
          const prize = jackpotNano(cost, trialPpm, policy, audit);
          expect(prize).toBeLessThanOrEqual(cost * JACKPOT_SCORES_MAX);
          // Shapes counted one by one, where the code has sums: each as likely as the other.
          const shapes = policy.mode === 'quorum' ? 4 : 2;
          const all = Array.from({ length: shapes }, (_, at) => trialShape(policy.mode, () => at)).flat();
          const tried = trialPpm / 1e6 / shapes;
          const errors = tried * all.filter((order) => order === 'edited').length;
          const others =
            policy.mode === 'witnessed'
              ? policy.n - 1
              : audit === null
                ? 0
                : (audit.ppm / 1e6) * (1 - audit.regeneratePpm / 1e6);
          const orders = others + tried * all.length;
          const isCut = prize === cost * JACKPOT_SCORES_MAX;
          // An audit in a million and less is rounded away.
          if (!isCut)
            expect(Number(prize) * errors).toBeGreaterThanOrEqual(1.25 * Number(cost) * (orders - 1e-6) * (1 - 1e-9));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('is refused for shares and costs that there are not', () => {
    for (const ppm of [-1, 1.5, 1_000_001]) expect(() => paid('quorum', 3, ppm)).toThrow(RangeError);
    expect(() => jackpotNano(-1n, 1, { mode: 'quorum', n: 3 }, null)).toThrow(RangeError);
  });

  test('is counted by the price of one prefill over prompt and answer, rounded down as it is paid', () => {
    expect(scoreNano(100_000_000n, { prompt: 7, output: 5 })).toBe(1200n);
    expect(scoreNano(999_999n, { prompt: 1, output: 0 })).toBe(0n);
  });

  test('leaves the reserve for the earnings of who found it, once a choice', () => {
    const transfer = jackpotTransfer({ requestId: 'req', choice: 2, provider: '0xab', amountNano: 7n });
    expect(transfer.id).toBe('jackpot:req/2');
    expect(transfer.postings).toEqual([
      { account: 'earnings:0xab', amountNano: 7n },
      { account: 'reserve', amountNano: -7n },
    ]);
  });
});
