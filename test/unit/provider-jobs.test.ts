/** The queue in front of the engine, and how many chunks a schedule makes (SPEC.md §6). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkCountMax } from '../../provider/jobs/job-service.ts';
import { type Place, Slots } from '../../provider/jobs/slots.ts';

/** Which of the places have reached the engine. */
async function readyOf(places: readonly Place[]): Promise<boolean[]> {
  return Promise.all(
    places.map((place) => Promise.race([place.ready.then(() => true), Promise.resolve(false).then((no) => no)])),
  );
}

describe('the queue', () => {
  it('runs so many, lets so many wait and refuses the rest', async () => {
    const slots = new Slots({ runningMax: 2, waitingMax: 1 });
    const places = [slots.enter()!, slots.enter()!, slots.enter()!];
    expect(slots.enter()).toBeNull();
    expect(await readyOf(places)).toEqual([true, true, false]);
    places[0]!.release();
    expect(await readyOf(places)).toEqual([true, true, true]);
    expect([slots.running, slots.waiting]).toEqual([2, 0]);
  });

  it('frees a place once, however often it is released', () => {
    const slots = new Slots({ runningMax: 1, waitingMax: 1 });
    const first = slots.enter()!;
    const second = slots.enter()!;
    first.release();
    first.release();
    expect([slots.running, slots.waiting]).toEqual([1, 0]);
    second.release();
    expect(slots.running).toBe(0);
  });

  it('never starts who left while waiting', async () => {
    const slots = new Slots({ runningMax: 1, waitingMax: 2 });
    const [first, second, third] = [slots.enter()!, slots.enter()!, slots.enter()!];
    second.release();
    first.release();
    expect(await readyOf([second, third])).toEqual([false, true]);
    expect([slots.running, slots.waiting]).toEqual([1, 0]);
  });

  it('keeps its bounds in any order of comings and goings', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { maxLength: 60 }), (moves) => {
        const slots = new Slots({ runningMax: 3, waitingMax: 2 });
        const places: Place[] = [];
        for (const move of moves) {
          if (move < 5) {
            const place = slots.enter();
            if (place === null) expect([slots.running, slots.waiting]).toEqual([3, 2]);
            else places.push(place);
          } else places.splice(move % Math.max(1, places.length), 1)[0]?.release();
          expect(slots.running + slots.waiting).toBe(places.length);
          expect(slots.running).toBe(Math.min(3, places.length));
        }
      }),
    );
  });
});

describe('the most chunks of a job', () => {
  it('are what cutting the longest answer by the schedule gives', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 80 }), (chunkSizes, maxTokens) => {
        let count = 0;
        for (let left = maxTokens; left > 0; count++) left -= chunkSizes[Math.min(count, chunkSizes.length - 1)]!;
        expect(chunkCountMax(chunkSizes, maxTokens)).toBe(count);
      }),
    );
  });
});
