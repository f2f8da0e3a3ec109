/** What is said of the simulation follows its newest records, which are those of clean commits. */
import { expect, test } from 'vitest';
import { newestRecord } from '../bench/newest.ts';
import type { Economy } from './economy.ts';
import { economySaid, type HonestEconomy } from './said.ts';

const { record: economy } = newestRecord<Economy & { readonly commit: string }>('economy');
const { record: honest } = newestRecord<HonestEconomy & { readonly commit: string }>('economy-honest');
const saidOf = (one: Economy, other: HonestEconomy) => economySaid(one, other).map(({ text }) => text);

test('the records were made at commits without changes', () => {
  for (const { commit } of [economy, honest]) expect(commit).toMatch(/^[0-9a-f]{7,40}$/);
});

test('no honest provider of a measured pair is convicted, by an account or by an answer, in a million audits', () => {
  const measured = honest.honest.filter(({ ranges }) => ranges === 'measured');
  expect(measured.reduce((sum, { audits }) => sum + audits, 0)).toBeGreaterThanOrEqual(1_000_000);
  expect(measured.filter(({ slashed, quarantined, convicting }) => slashed + quarantined + convicting > 0)).toEqual([]);
});

test('another figure is another text, each of its own', () => {
  const now = saidOf(economy, honest);
  const changes: readonly [Economy, HonestEconomy][] = [
    [{ ...economy, shapes: economy.shapes.map((row) => ({ ...row, newMultiple: row.newMultiple + 0.01 })) }, honest],
    [{ ...economy, within: economy.within.map((row) => ({ ...row, high: 0.5 })) }, honest],
    [{ ...economy, thresholds: economy.thresholds.map((row) => ({ ...row, side: 'below' as const })) }, honest],
    [{ ...economy, grid: economy.grid.map((cell) => ({ ...cell, gain: cell.half + 1 })) }, honest],
    [{ ...economy, lazyAuditors: economy.lazyAuditors.map((row) => ({ ...row, orders: row.orders + 1 })) }, honest],
    [economy, { ...honest, honest: honest.honest.map((row) => ({ ...row, slashed: 1 })) }],
    [economy, { ...honest, headroom: honest.headroom + 1 }],
  ];
  for (const [one, other] of changes) expect(saidOf(one, other)).not.toEqual(now);
});
