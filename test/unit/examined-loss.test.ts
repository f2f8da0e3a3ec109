/** What a provider that waits for its first examination loses by cheating: never more than the game itself takes (spec-money.md §11.12). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { worthOf } from '../../gateway/audit/cheat-loss.ts';
import { DEFAULT_DETECTION } from '../../gateway/audit/detection.ts';
import type { Incentive } from '../../gateway/audit/equilibrium.ts';
import { examinedLossNano } from '../../gateway/audit/examined-loss.ts';
import { ANSWERS_MAX } from '../../gateway/examine/occasion.ts';
import { C, ppm, standing, whole } from './audit-rate-fixture.ts';

/** A fifth of thirty operators, of which one audits another: what the economy's simulation takes. */
const COLLUSION_PPM = 172_414;
const INT8 = DEFAULT_DETECTION.cheats.find(({ cheat, fractionPpm }) => cheat === 'int8' && fractionPpm === 10_000)!;

/** In prices of a cheated answer. */
interface Game {
  /** Of the answers from now on, in order. */
  readonly cheats: readonly boolean[];
  /** Honest answers before, and what each honest one costs. */
  readonly waiting: number;
  readonly honestPrice: number;
  readonly slash: number;
  readonly audited: number;
  readonly convicts: number;
  readonly drawn: number;
}

/** Every outcome of audits and draws, one after the other, with its probability. @returns loss for each cheated answer */
function playOut({ cheats, waiting, honestPrice, slash, audited, convicts, drawn }: Game): number {
  const known = new Map<string, readonly [loss: number, cheated: number]>();
  const from = (at: number, bad: number, good: number, pay: number): readonly [number, number] => {
    const key = `${at}/${bad}/${good}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const found = (): readonly [number, number] => {
      if (at === cheats.length) return [(1 - missed(bad, good, Math.min(drawn, bad + good))) * (slash + pay), 0];
      if (cheats[at]) {
        const [next, over] = [pay + 1, at + 1];
        const [unseen, more] = from(over, bad + 1, good, next);
        const [held, others] = from(over, bad, good, next);
        const passes = audited * (1 - convicts);
        const loss = audited * convicts * (slash + next) + passes * held + (1 - audited) * unseen;
        return [loss, 1 + passes * others + (1 - audited) * more];
      }
      const next = pay + honestPrice;
      const [seen, some] = from(at + 1, bad, good, next);
      const [unseen, more] = from(at + 1, bad, good + 1, next);
      return [audited * seen + (1 - audited) * unseen, audited * some + (1 - audited) * more];
    };
    const value = found();
    known.set(key, value);
    return value;
  };
  const missed = (bad: number, good: number, left: number): number => {
    if (left === 0 || bad === 0) return 1;
    const share = bad / (bad + good);
    const caught = share * (1 - convicts) * missed(bad - 1, good, left - 1);
    return caught + (share === 1 ? 0 : (1 - share) * missed(bad, good - 1, left - 1));
  };
  const [loss, cheated] = from(0, 0, waiting, waiting * honestPrice);
  return loss / cheated;
}

const gameArb = fc.record({
  cheats: fc.array(fc.boolean(), { maxLength: 6 }),
  first: fc.nat(2),
  waiting: fc.nat(5),
  honestPpm: ppm,
  slash: fc.integer({ min: 0, max: 40 }),
  ratePpm: ppm,
  collusionPpm: ppm,
  auditsMilli: fc.oneof(fc.integer({ min: 1_000, max: 3_000 }), fc.integer({ min: 1_000, max: 200_000 })),
  drawn: fc.integer({ min: 1, max: 6 }),
});

/** What is known of a provider before it has been examined: so many answers that cost so much. */
const ahead = (waiting: number, change: Partial<Incentive> = {}): Incentive =>
  standing(100n, { waiting, retainedNano: BigInt(waiting) * C, lagNano: 8n * C, ...change });

describe('the loss until the first examination', () => {
  test('is at most what the whole game takes on average, whichever answers it cheats on', () => {
    fc.assert(
      fc.property(
        gameArb,
        ({ cheats, first, waiting, honestPpm, slash, ratePpm, collusionPpm, auditsMilli, drawn }) => {
          // Where nothing is known yet, answers are taken to cost what this one does.
          const honestPrice = waiting === 0 ? 1 : honestPpm / 1e6;
          const pattern = [
            ...cheats.map((cheat, at) => cheat || at === first),
            ...(cheats.length > first ? [] : [true]),
          ];
          const stakeNano = 5n * BigInt(slash) * C;
          const retainedNano = BigInt(waiting * honestPpm);
          const incentive = { ...standing(0n, { collusionPpm, retainedNano }), stakeNano, freeNano: stakeNano };
          const cheat = whole({ fault: 'wrong_output', auditsMilli, savedPpm: 0 });
          const lossNano = examinedLossNano(incentive, cheat, ratePpm, waiting, drawn);
          const convicts = ((1 - collusionPpm / 1e6) * 1_000) / auditsMilli;
          const audited = ratePpm / 1e6;
          const exact = playOut({ cheats: pattern, waiting, honestPrice, slash, audited, convicts, drawn });
          expect(Number(lossNano) / Number(C)).toBeLessThanOrEqual(exact + 1e-6);
        },
      ),
      { numRuns: 400 },
    );
  });

  test('is that of one cheated answer, to a hundredth, where one look convicts, and no more than an examination of many brings', () => {
    const cheat = whole({ fault: 'wrong_output', savedPpm: 0, auditsMilli: 64_000 });
    const exact = (20 + 1) / 64;
    expect(Number(examinedLossNano(ahead(0), cheat, 250_000, 0)) / 1e6).toBeLessThanOrEqual(exact);
    expect(Number(examinedLossNano(ahead(0), cheat, 250_000, 0)) / 1e6).toBeGreaterThan(exact * 0.98);
    expect(Number(examinedLossNano(ahead(0), cheat, 1_000_000, 0)) / 1e6).toBeCloseTo(exact, 5);
    // Nothing is audited, everything is cheated on: 64 of very many, each with 1/64, less what one conviction counts once.
    const many = examinedLossNano(ahead(100), cheat, 0, 100);
    expect(Number(many) / 1e6).toBeCloseTo(0.5, 5);
    // Answers that cost a tenth have a tenth to lose for each that is drawn.
    const cheap = examinedLossNano(ahead(100, { retainedNano: 10n * C }), cheat, 0, 100);
    expect(Number(cheap) / 1e6).toBeCloseTo(0.05, 5);
  });

  test('never falls where the rate rises, so that the least rate that deters can be looked for', () => {
    const at = fc.record({
      waiting: fc.nat(200),
      meanNano: fc.bigInt({ min: 0n, max: 2n * C }),
      stake: fc.bigInt({ min: 0n, max: 2_000n }),
      collusionPpm: ppm,
      auditsMilli: fc.integer({ min: 1_000, max: 1_000_000 }),
      low: ppm,
      high: ppm,
    });
    fc.assert(
      fc.property(at, ({ waiting, meanNano, stake, collusionPpm, auditsMilli, low, high }) => {
        const incentive = standing(stake, { collusionPpm, retainedNano: BigInt(waiting) * meanNano });
        const of = (rate: number) =>
          examinedLossNano(incentive, whole({ fault: 'wrong_output', auditsMilli }), rate, waiting);
        expect(of(Math.min(low, high)) <= of(Math.max(low, high))).toBe(true);
      }),
    );
  });

  test('of int8 is below what plain lives lose, of 400 answers with 64 drawn and of three', () => {
    let state = 20_261_127;
    const unit = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const convicts = ((1 - COLLUSION_PPM / 1e6) * 4) / 256;
    /** One life: what it loses, and how many answers it has cheated on by then. */
    const live = (answers: number, audited: number, cheats: (at: number) => boolean): readonly [number, number] => {
      const left: boolean[] = [];
      let cheated = 0;
      for (let at = 0; at < answers; at++) {
        const isCheat = cheats(at);
        if (isCheat) cheated++;
        if (unit() >= audited) left.push(isCheat);
        else if (isCheat && unit() < convicts) return [20 + at + 1, cheated];
      }
      for (let drawn = 0; drawn < ANSWERS_MAX && left.length > 0; drawn++) {
        const [isCheat] = left.splice(Math.floor(unit() * left.length), 1);
        if (isCheat && unit() < convicts) return [20 + answers, cheated];
      }
      return [0, cheated];
    };
    const figure = Number(examinedLossNano(ahead(0, { collusionPpm: COLLUSION_PPM }), INT8, 250_000, 0)) / 1e6;
    const ways: readonly (readonly [number, (at: number) => boolean])[] = [
      [400, () => true],
      [400, (at) => at < 40],
      [400, (at) => at % 10 === 0],
      [3, () => true],
    ];
    for (const [answers, cheats] of ways) {
      const lives = Array.from({ length: answers === 3 ? 40_000 : 2_000 }, () => live(answers, 0.25, cheats));
      const [lost, cheated] = lives.reduce(([a, b], [x, y]) => [a + x, b + y], [0, 0] as const);
      expect(figure).toBeLessThan(lost / cheated - 0.3);
    }
    // On three answers, each of which is looked at, as much as on one: nothing.
    expect(figure).toBeGreaterThan(-0.04);
    expect(figure).toBeLessThan(0);
  });
});

describe('what a quote says of a stake of 100 answers', () => {
  const worth = (incentive: Incentive, ratePpm: number) => worthOf(incentive, DEFAULT_DETECTION, ratePpm);

  test('of a new provider: every cheat loses from the first answer on, or from the fourth where a fifth of thirty operators collude; without the examination int8 and more would pay', () => {
    expect(worth(ahead(0), 250_000)).toMatchObject({ undeterred: [] });
    expect(worth(ahead(0), 250_000).lossNano > 0n).toBe(true);
    const among = (waiting: number) => worth(ahead(waiting, { collusionPpm: COLLUSION_PPM }), 250_000);
    expect(among(0).undeterred).toEqual(['int8']);
    expect(among(2).lossNano <= 0n).toBe(true);
    for (const waiting of [3, 10, 63, 64, 100, 1_000]) expect(among(waiting).undeterred).toEqual([]);
    const { waiting: _, ...examined } = ahead(0);
    expect(worth(examined, 250_000).undeterred).toContain('int8');
  });

  test('of one with the pay of 400 answers: every cheat loses, whether its first examination is ahead or behind it', () => {
    const { waiting: _, ...examined } = ahead(400, { collusionPpm: COLLUSION_PPM });
    // What the equilibrium asks for with a long record.
    expect(worth(examined, 69_000)).toMatchObject({ undeterred: [] });
    expect(worth(ahead(400, { collusionPpm: COLLUSION_PPM }), 69_000)).toMatchObject({ undeterred: [] });
    // Ahead of it less would do.
    expect(worth(examined, 50_000).undeterred).toEqual(['int8']);
    expect(worth(ahead(400, { collusionPpm: COLLUSION_PPM }), 50_000).undeterred).toEqual([]);
  });

  test('counts an examination for nothing where no pay goes with the conviction, and refuses counts that are none', () => {
    const table = { ...DEFAULT_DETECTION, cheats: [{ ...INT8, fault: 'lying_scorer' as const }] };
    const { waiting: _, ...examined } = ahead(400);
    expect(worthOf(ahead(400), table, 50_000)).toEqual(worthOf(examined, table, 50_000));
    expect(() => worth(ahead(-1), 50_000)).toThrow(RangeError);
    expect(() => worth(ahead(0.5), 50_000)).toThrow(RangeError);
  });
});
