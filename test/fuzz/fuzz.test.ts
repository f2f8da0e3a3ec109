/** A slice of the fuzzer; `npm run fuzz -- --inputs 1000000` runs more. */
import { expect, test } from 'vitest';
import { FastRng } from './fast-rng.ts';
import { fuzz } from './fuzz.ts';
import { CANARY, mutated, sampleOf } from './mutate.ts';
import { cleanError, judgeResponse, refuseCanary } from './target.ts';

/** About 10 s on one core. */
const INPUTS = 12_000;

test('no input makes a parser fail otherwise than cleanly, hang, or show what it was given', async () => {
  const { broken, counts } = await fuzz({ inputs: INPUTS, seed: 'slice' });
  expect(broken.map(({ base64: _input, ...rest }) => rest)).toEqual([]);
  // A target that takes nothing, or everything, is not reached behind its first check.
  for (const [name, { accepted, rejected }] of Object.entries(counts)) {
    expect(accepted, `${name} accepted`).toBeGreaterThan(0);
    expect(rejected, `${name} rejected`).toBeGreaterThan(0);
  }
}, 180_000);

test('one seed makes the same inputs twice, and changes most samples', () => {
  const samples = [sampleOf('{"a":[1,2,{"b":"c"}]}'), sampleOf('plain text')];
  const inputs = (seed: string) => {
    const rng = new FastRng(seed);
    return Array.from({ length: 200 }, () => Buffer.from(mutated(samples, rng)).toString('base64'));
  };
  expect(inputs('a')).toEqual(inputs('a'));
  expect(inputs('a')).not.toEqual(inputs('b'));
  expect(new Set(inputs('a')).size).toBeGreaterThan(150);
});

test('what is not clean is called broken', async () => {
  expect(() => cleanError(new TypeError('x is undefined'))).toThrow('threw TypeError');
  expect(() => refuseCanary(`you sent ${CANARY}`, 'an error')).toThrow('content of the input in an error');
  const failed = Response.json({ error: { code: 'internal_error' } }, { status: 500 });
  await expect(judgeResponse(failed)).rejects.toThrow('status 500 internal_error');
  await expect(judgeResponse(Response.json({}, { status: 400 }))).rejects.toThrow('without a code');
});
