import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ShortEvidence } from '#protocol/evidence';
import { safeParse } from '#protocol/schema';
import { packShortEvidence, unpackShortEvidence, zShortEvidence } from '#protocol/short-evidence';

const { packed, unpackable } = JSON.parse(
  readFileSync(new URL('../vectors/evidence.json', import.meta.url), 'utf8'),
) as {
  packed: { name: string; short: ShortEvidence[]; text: string }[];
  unpackable: { name: string; text: string }[];
};

/** Of all lengths: a uniform number would hardly ever take less than five groups. */
const uint32Arb = fc
  .tuple(fc.nat({ max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 32 }))
  .map(([number, bits]) => number % 2 ** bits);
const itemsArb = fc.array(fc.tuple(uint32Arb, uint32Arb), { maxLength: 40 });

describe('packed short evidence', () => {
  it.each(packed.map((vector) => [vector.name, vector] as const))('is the independent text: %s', (_, vector) => {
    expect(packShortEvidence(vector.short)).toBe(vector.text);
    expect(unpackShortEvidence(vector.text)).toEqual(vector.short);
  });

  it.each(unpackable.map(({ name, text }) => [name, text] as const))('is not read with %s', (_, text) => {
    expect(unpackShortEvidence(text)).toBeNull();
    expect(safeParse(zShortEvidence, text).success).toBe(false);
  });

  it('comes back as it was, whatever the numbers', () => {
    fc.assert(
      fc.property(itemsArb, (items) => {
        expect(unpackShortEvidence(packShortEvidence(items))).toEqual(items);
      }),
    );
  });

  it('has one text: whatever text is read is the text of what was read', () => {
    const byteArb = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255));
    const textArb = fc.array(byteArb, { maxLength: 24 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
    let read = 0;
    fc.assert(
      fc.property(fc.oneof(textArb, fc.base64String(), fc.string()), (text) => {
        const items = unpackShortEvidence(text);
        if (items === null) return;
        read++;
        expect(packShortEvidence(items)).toBe(text);
      }),
      { numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(100);
  });

  it('takes at most 8 characters a token, for vocabularies below 2^21 and gaps below 32 logits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2 ** 21 - 1), fc.nat(2 ** 21 - 1)), { minLength: 1, maxLength: 50 }),
        (items) => {
          expect(packShortEvidence(items).length).toBeLessThanOrEqual(8 * items.length);
        },
      ),
    );
  });

  it.each([null, 5, [[1, 2]], { length: 3 }, ''.padEnd(13_981_020, 'A')])(
    'is a text within its limit, not %o',
    (value) => {
      expect(safeParse(zShortEvidence, value).success).toBe(false);
    },
  );
});
