/** Auditors that do not look lose where prizes are whole, and are found; accomplices that pass one another are not. */
import { describe, expect, test } from 'vitest';
import { C_NANO } from './answer-prices.ts';
import { recordedAnswers } from './answers.ts';
import { companyOf, lazyAuditor } from './auditors.ts';
import { contest } from './contests.ts';
import { contendersOf, GRID, gridOf } from './grid.ts';
import { gridSvg } from './grid-svg.ts';
import { always, copying, honest } from './strategies.ts';
import { TRIED_WORLD } from './tried-world.ts';
import type { World } from './world.ts';

const { honest: pool, cheats } = recordedAnswers();
const world: World = {
  stakeNano: 100n * C_NANO,
  rate: { kind: 'fixed', ppm: 150_000 },
  ...TRIED_WORLD,
  payDelay: 400,
  honest: pool,
  horizon: 2_000,
  probes: 500,
};

describe('an auditor that says that all is fine', () => {
  test('is in quarantine after some two planted errors, and has lost before by prizes that it missed, where they are whole', () => {
    const row = lazyAuditor(1, 50_000, 400, 1);
    // Of orders 0.045 audits and 0.01 trials, half of these with an error: 1 in 11; 1.25 · 11 scores for it.
    expect(row.planted).toBeCloseTo(1 / 11, 4);
    expect(row.prize).toBeCloseTo(13.75, 2);
    expect(row.isPrizeCut).toBe(false);
    expect(row.quarantined).toBe(1);
    expect(row.orders).toBeGreaterThan(15);
    expect(row.orders).toBeLessThan(40);
    expect(row.before + row.half).toBeLessThan(0);
    expect(row.total).toBeLessThan(row.before);
  });

  test('breaks: wins until then where audits are so frequent that the prize is cut, and loses only by what it would have had later', () => {
    const row = lazyAuditor(1, 250_000, 400, 2);
    expect(row).toMatchObject({ isPrizeCut: true, prize: 20, quarantined: 1 });
    expect(row.before - row.half).toBeGreaterThan(0);
    expect(row.total).toBeLessThan(0);
  });

  test('is found also where it looks at every other order', () => {
    expect(lazyAuditor(0.5, 50_000, 200, 3).quarantined).toBe(1);
    expect(lazyAuditor(0, 50_000, 50, 4)).toMatchObject({ quarantined: 0, before: 0, total: 0, orders: 5_000 });
  });
});

describe('auditors that pass one another', () => {
  test('save the scores of honest answers, and nothing finds them; who cheats on that is found by the others', () => {
    const honestly = companyOf(world, honest(pool), 6, 10, 5);
    expect(honestly.found).toBe(0);
    // 2,000 answers, 15% audited, 5 of 29 by accomplices, 0.4 of an answer's price a score: 20.7.
    expect(honestly.profit).toBeGreaterThan(12);
    expect(honestly.profit).toBeLessThan(30);
    expect(honestly.scores).toBe(honestly.profit);
    const cheating = companyOf(world, always(cheats.get('smaller_model')!), 6, 20, 6);
    expect(cheating.found).toBe(1);
    expect(cheating.profit + cheating.half).toBeLessThan(0);
  });

  test('in pairs win less by it than six', () => {
    const [two, six] = [2, 6].map((accomplices) => companyOf(world, honest(pool), accomplices, 10, 7));
    expect(two!.profit).toBeLessThan(six!.profit);
  });
});

describe('copying', () => {
  const replayed = cheats.get('replay')!;

  test('above temperature 0 is found and loses; at temperature 0 alone it is the right answer, and is not', () => {
    const blind = contest(world, copying(pool, replayed, { seen: 0.2, greedy: 0.5, looks: false }), 150, 8);
    expect(blind.profit + blind.half).toBeLessThan(0);
    const looking = contest(world, copying(pool, replayed, { seen: 0.2, greedy: 0.5, looks: true }), 5, 9);
    expect(looking.endings).toMatchObject({ served: 5 });
    // A tenth of 2,000 answers, nine tenths saved on each.
    expect(looking.profit).toBeGreaterThan(140);
    expect(looking.profit).toBeLessThan(220);
  });

  test('answers as greedy requests come: half of its pool is honest', () => {
    const { pool: mixed } = copying(pool, replayed, { seen: 1, greedy: 0.5, looks: false });
    for (const [length, answers] of mixed.entries()) {
      const right = answers.filter((answer) => pool[length]!.includes(answer)).length;
      expect(right / answers.length).toBeCloseTo(0.5, 9);
    }
  });
});

describe('the grid', () => {
  test('has a cell for every stake, rate and share, its best among those that can be found, and shows each', () => {
    const contenders = contendersOf(recordedAnswers()).filter(({ name }) => /^always (smaller_model|int8)$/.test(name));
    expect(contenders).toHaveLength(2);
    const cells = gridOf({ ...world, horizon: 60 }, contenders, 4, 10);
    expect(cells).toHaveLength(GRID.stakes.length * GRID.ratesPpm.length * GRID.collusions.length);
    const svg = gridSvg(cells, 'a < b');
    expect(svg.match(/ ± /g)).toHaveLength(cells.length);
    expect(svg).toContain('a &lt; b');
  });

  test('leaves out who is honest, who is told what is audited and who copies what is right', () => {
    const names = contendersOf(recordedAnswers()).map(({ name }) => name);
    expect(names).toContain('copying');
    expect(names).toContain('mixed');
    for (const left of ['honest', 'copying at temperature 0 alone']) expect(names).not.toContain(left);
    expect(names.some((name) => name.includes('unwatched'))).toBe(false);
  });
});
