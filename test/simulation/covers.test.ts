/** Whether a provider can tell from what it sees that it is alone: sizes, order and times of every message (SPEC.md §5.7). */
import { beforeAll, describe, expect, test } from 'vitest';
import { Covers } from '../../gateway/committee/covers.ts';
import { type JobView, ProviderViews } from '../fixtures/provider-view.ts';
import { areaUnderCurve, logistic, type Sample, stumps } from '../fixtures/tell-apart.ts';

/** Jobs of each kind to train on, and as many to try on: the error of an area is 0.29 · √(2 / 700) = 0.0155, so 0.55 is three of them away. */
const JOBS = 700;
/** Committees that are had before anybody is covered: 3,600 traces, which stand for 3,000 members of each size. */
const BEFORE = { three: 1000, fifteen: 200 };
/** Only time in this process, of thousands of committees. */
const PATIENCE_MS = 300_000;

/** Everything that is known of a job, as numbers. */
function sampleOf(view: JobView): Sample {
  const since = [view.orderedAtMs, ...view.permittedAtMs];
  const own = view.sealedAtMs.map((at, i) => at - since[i]!);
  const holds = view.permittedAtMs.map((at, i) => at - view.sealedAtMs[i]!);
  const rounds = own.map((ms, i) => ms + holds[i]!);
  const ratios = holds.map((ms, i) => Math.log((ms + 1) / (own[i]! + 1)));
  const logs = holds.map((ms) => Math.log(ms + 1));
  return [
    view.orderBytes,
    ...view.permissionBytes,
    ...view.slots,
    view.calls.length,
    view.calls.filter((call) => call !== 'reveal').length,
    ...own,
    ...holds,
    ...rounds,
    ...ratios,
    ...logs,
    Math.min(...holds),
    Math.max(...holds),
    logs[0]! - logs[1]!,
    logs[1]! - logs[2]!,
    rounds[1]! / rounds[0]!,
    rounds[2]! / rounds[1]!,
  ];
}

/** Places of what is no time. */
const PERMISSION_SIZES = [1, 2, 3];
const SLOTS = [4, 5, 6];
const CALLS = [7, 8];

/** Committees of three and of fifteen seats, as often as a provider sits in each. */
async function committees(views: ProviderViews, ofThree: number, ofFifteen: number): Promise<JobView[]> {
  const seen: JobView[] = [];
  const parts = 12;
  for (let part = 0; part < parts; part++) {
    seen.push(
      ...(await views.ask(15, Math.round(ofFifteen / parts))),
      ...(await views.ask(3, Math.round(ofThree / parts))),
    );
  }
  return seen;
}

/** Lone members under covers of committees that were had before, or under none. */
async function loneMembers(isCovered: boolean): Promise<Sample[]> {
  const covers = new Covers();
  if (isCovered) {
    const before = new ProviderViews({ seed: 'before', cover: { covers, maxMs: 60_000 } });
    await committees(before, BEFORE.three, BEFORE.fifteen);
  }
  const cover = { covers, maxMs: isCovered ? 60_000 : 0 };
  const views = new ProviderViews({ seed: `alone ${isCovered}`, cover });
  return (await views.ask(1, 2 * JOBS)).map(sampleOf);
}

const CLASSIFIERS = [
  ['logistic regression', logistic],
  ['boosted stumps', stumps],
] as const;

function heldOut(many: readonly Sample[], alone: readonly Sample[], train: (typeof CLASSIFIERS)[number][1]) {
  const score = train(many.slice(0, JOBS), alone.slice(0, JOBS));
  return areaUnderCurve(score, many.slice(JOBS), alone.slice(JOBS));
}

describe('a provider that sits alone', () => {
  let many: Sample[];
  let covered: Sample[];
  let bare: Sample[];
  beforeAll(async () => {
    // One job of each request: members of one committee have waited for the same. Mixed as the traces are.
    const fifteen = Math.round((2 * JOBS * 15 * BEFORE.fifteen) / (15 * BEFORE.fifteen + 3 * BEFORE.three));
    const seen = await committees(new ProviderViews({ seed: 'many' }), 2 * JOBS - fifteen, fifteen);
    many = seen.map(sampleOf);
    covered = await loneMembers(true);
    bare = await loneMembers(false);
  }, PATIENCE_MS);

  test('is not told from one of many by logistic regression on times, sizes, slots and their squares', () => {
    const { error, low, high } = heldOut(many, covered, logistic);
    expect(low).toBeLessThanOrEqual(0.5);
    expect(high).toBeGreaterThanOrEqual(0.5);
    // Were it 0.55, this many jobs would have shown it.
    expect(3 * error).toBeLessThan(0.05);
  });

  test('is told by boosted stumps little better than by chance: thresholds see what is left of a committee that was drawn round by round', () => {
    const { area } = heldOut(many, covered, stumps);
    expect(area).toBeLessThan(0.58);
    expect(area).toBeLessThan(heldOut(many, bare, stumps).area - 0.25);
  });

  test.each(CLASSIFIERS)('is told at once where covers are switched off, by %s', (_, train) => {
    expect(heldOut(many, bare, train).low).toBeGreaterThan(0.8);
  });

  test('gets orders and permissions of the same sizes, in the same order, in slots that say nothing', () => {
    // Decimal numbers and a slot of one digit or two make the only differences there are.
    const range = (samples: readonly Sample[], at: number) => {
      const values = samples.map((sample) => sample[at]!);
      return [Math.min(...values), Math.max(...values)];
    };
    for (const at of PERMISSION_SIZES) expect(range(covered, at)).toEqual(range(many, at));
    for (const at of CALLS) expect(range(covered, at)).toEqual(range(many, at));
    for (const at of SLOTS)
      expect([range(covered, at), range(many, at)]).toEqual([
        [0, 15],
        [0, 15],
      ]);
  });
});
