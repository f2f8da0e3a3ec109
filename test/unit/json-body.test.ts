/** From bytes to a body: whatever comes is read as JSON.parse reads it or refused cleanly, and a seed keeps all its digits. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseChatBody } from '#protocol/chat-body';
import { ProtocolError } from '#protocol/errors';
import { utf8 } from '#protocol/hash';
import { parseJsonBody } from '#protocol/json-body';
import { safeParse, zNano, zText, zU64 } from '#protocol/schema';

test('any bytes at all are a JSON object or a clean refusal', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue());
  const input = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    object.map((value) => utf8(JSON.stringify(value))),
    fc.tuple(object, fc.nat(40)).map(([value, end]) => utf8(JSON.stringify(value)).slice(0, end)),
  );
  const property = fc.property(input, (bytes) => {
    try {
      const { fields } = parseJsonBody(bytes);
      expect(fields).toEqual(JSON.parse(new TextDecoder().decode(bytes)));
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
      expect(['invalid_json', 'invalid_request']).toContain((error as ProtocolError).code);
    }
  });
  fc.assert(property, { seed: 51, numRuns: 1000 });
});

test('every int64 seed arrives exactly, wherever it stands; what is beyond is refused', () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const inside = fc.property(int64, fc.boolean(), (seed, first) => {
    const text = first ? `{"seed":${seed},"a":1}` : `{"a":[{"seed":7}],"seed": ${seed} }`;
    expect(parseJsonBody(utf8(text)).seed).toBe(BigInt.asUintN(64, seed));
  });
  fc.assert(inside, { seed: 52, numRuns: 500 });
  const beyond = fc.oneof(
    fc.bigInt({ min: 2n ** 63n, max: 2n ** 70n }),
    fc.bigInt({ max: -(2n ** 63n) - 1n, min: -(2n ** 70n) }),
  );
  const outside = fc.property(beyond, (seed) => {
    expect(() => parseJsonBody(utf8(`{"seed":${seed}}`))).toThrow('seed must be an integer');
  });
  fc.assert(outside, { seed: 53, numRuns: 200 });
});

test('decimal schemas take canonical numbers in range, refuse everything else, and never throw', () => {
  const text = fc.oneof(
    fc.string(),
    fc.bigInt({ min: -5n, max: 2n ** 66n }).map(String),
    fc.bigInt({ min: 0n, max: 99n }).map((value) => `0${value}`),
    fc.constantFrom('', ' 1', '1 ', '+1', '1e3', '0x1', '１', '-0', '9223372036854775807', '9223372036854775808'),
  );
  const property = fc.property(text, (value) => {
    const canonical = /^(0|[1-9][0-9]*)$/.test(value);
    for (const [schema, bits] of [
      [zU64, 64n],
      [zNano, 63n],
    ] as const) {
      expect(schema.safeParse(value).success).toBe(canonical && BigInt(value) < 1n << bits);
    }
  });
  fc.assert(property, { seed: 54, numRuns: 1000 });
});

test('a value whose length compares with nothing is refused wherever a text or a list is wanted', () => {
  const value: unknown = JSON.parse('{"length":{"toString":1}}');
  const bounded = z.array(z.number()).min(1).max(4);
  // What the guard is for: without it this very value comes out as an exception.
  expect(() => bounded.safeParse(value)).toThrow(TypeError);
  for (const schema of [bounded, zText(8), z.string().length(2)]) expect(safeParse(schema, value).success).toBe(false);
  expect(safeParse(zText(8), 'ok')).toEqual({ success: true, data: 'ok' });
  expect(() => parseChatBody({ model: 'm', messages: value })).toThrow(ProtocolError);
});
