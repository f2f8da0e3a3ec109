/** A slice of `npm run crash`, with a seed of its own: the built programs are killed a few times, and nothing is lost. */
import { beforeAll, expect, test } from 'vitest';
import { ensureBuilt } from '../contract/program.ts';
import { crashGateway } from './gateway-crash.ts';
import { crashProvider } from './provider-crash.ts';

beforeAll(ensureBuilt);

/** Enough for a few answers and a recovery; the committed record in test/bench/results has many more. */
const GATEWAY_POINTS = 4;
const PROVIDER_POINTS = 3;
/** On a busy machine a start alone takes seconds. */
const TIMEOUT_MS = 300_000;

test('a gateway that is killed again and again loses nothing and contradicts nothing', {
  timeout: TIMEOUT_MS,
}, async () => {
  const result = await crashGateway({ points: GATEWAY_POINTS, seed: 'slice', perFolder: GATEWAY_POINTS });
  expect(result.problems).toEqual([]);
  expect(result.points).toBe(GATEWAY_POINTS);
  expect(result.logEntries).toBeGreaterThan(2);
});

test('a provider that is killed again and again never signs two different things', {
  timeout: TIMEOUT_MS,
}, async () => {
  const result = await crashProvider({ points: PROVIDER_POINTS, seed: 'slice', perFolder: PROVIDER_POINTS });
  expect(result.problems).toEqual([]);
  expect(result.points).toBe(PROVIDER_POINTS);
});
