/** RFC 8785 against the vectors of its text, and the hashes of bodies and answers. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodyHash, CANONICAL_DEPTH_MAX, canonicalJson, NotCanonicalError } from '#protocol/canonical';
import { contentHash, contentOfChunks, contentOfCompletion } from '#protocol/content';

test('the sample of RFC 8785 §3.2.2 has its canonical form', () => {
  const input = String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;
  expect(canonicalJson(JSON.parse(input))).toBe(
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
});

test('the key order of RFC 8785 §3.2.3 is by UTF-16 code units', () => {
  const input = String.raw`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
    "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`;
  const values = [...canonicalJson(JSON.parse(input)).matchAll(/:"([^"]*)"/g)].map((match) => match[1]);
  expect(values).toEqual([
    'Carriage Return',
    'One',
    'Control',
    'Latin Small Letter O With Diaeresis',
    'Euro Sign',
    'Emoji: Grinning Face',
    'Hebrew Letter Dalet With Dagesh',
  ]);
});

/** IEEE 754 bits and expected text, RFC 8785 appendix B. */
test.each([
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
])('the double %s is written %s', (bits, text) => {
  expect(canonicalJson(Buffer.from(bits, 'hex').readDoubleBE())).toBe(text);
});

test('what has no canonical form is refused with a reason, never approximated', () => {
  const reason = (value: unknown) => {
    try {
      canonicalJson(value);
    } catch (error) {
      if (error instanceof NotCanonicalError) return error.reason;
    }
    return 'none';
  };
  expect(reason(Number.NaN)).toBe('number');
  expect(reason(Number.POSITIVE_INFINITY)).toBe('number');
  expect(reason(['\ud800'])).toBe('surrogate');
  expect(reason({ '\udc00x': 1 })).toBe('surrogate');
  expect(reason(1n)).toBe('type');
  expect(reason([undefined])).toBe('type');
  expect(reason(new Map([['a', 1]]))).toBe('type');
  expect(reason(JSON.parse(`${'['.repeat(CANONICAL_DEPTH_MAX)}1${']'.repeat(CANONICAL_DEPTH_MAX)}`))).toBe('none');
  expect(reason(JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`))).toBe('depth');
});

test('the form says the same as the value and does not depend on the order of members', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      let text: string;
      try {
        text = canonicalJson(value);
      } catch (error) {
        expect(error).toBeInstanceOf(NotCanonicalError);
        return;
      }
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(canonicalJson({ b: 1, a: { d: 2, c: undefined } })).toBe('{"a":{"d":2},"b":1}');
  expect(canonicalJson(JSON.parse('{"__proto__":{"x":1}}'))).toBe('{"__proto__":{"x":1}}');
});

test('a body hash is the tagged SHA-256 of the canonical text', () => {
  const expected = createHash('sha256').update('assay/body/1\0{"a":1,"b":"é"}', 'utf8').digest('hex');
  expect(bodyHash(JSON.parse('{ "b": "\\u00e9", "a": 1.0 }'))).toBe(`0x${expected}`);
});

const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const completion = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'minnow-5m',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Héllo', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage,
  assay: { id: 'x' },
};
const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'minnow-5m' };
const choice = (delta: object, finish_reason: string | null = null) => ({
  ...head,
  choices: [{ index: 0, delta, finish_reason }],
});
const chunks = [
  choice({ role: 'assistant', content: '' }),
  choice({ content: 'Hé' }),
  choice({ content: 'llo' }),
  { ...choice({}, 'stop'), assay: { usage } },
];

test('the content hash is the SHA-256 of the five covered fields alone', () => {
  const text = `{"choices":[{"content":"Héllo","finish_reason":"stop","index":0,"role":"assistant"}],"model":"minnow-5m","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5}}`;
  const expected = `0x${createHash('sha256').update(text, 'utf8').digest('hex')}`;
  expect(contentHash(contentOfCompletion(completion)!)).toBe(expected);
  expect(contentHash(contentOfChunks(chunks)!)).toBe(expected);
});

test('fields that an SDK adds or drops do not change the content hash', () => {
  const plain = contentHash(contentOfCompletion(completion)!);
  const sdk = structuredClone(completion) as Record<string, unknown> & typeof completion;
  Object.assign(sdk.choices[0]!.message, { parsed: null, tool_calls: [], annotations: [] });
  Object.assign(sdk, { _request_id: 'req', usage: { ...usage, prompt_tokens_details: { cached_tokens: 0 } } });
  delete (sdk as Record<string, unknown>).object;
  expect(contentHash(contentOfCompletion(sdk)!)).toBe(plain);
});

test('a changed character, finish reason, model or count changes the content hash', () => {
  const plain = contentHash(contentOfCompletion(completion)!);
  const changes: ((body: typeof completion) => void)[] = [
    (body) => {
      body.choices[0]!.message.content = 'Hello';
    },
    (body) => {
      body.choices[0]!.finish_reason = 'length';
    },
    (body) => {
      body.model = 'minnow-1m';
    },
    (body) => {
      body.usage.completion_tokens = 1;
    },
  ];
  for (const change of changes) {
    const body = structuredClone(completion);
    change(body);
    expect(contentHash(contentOfCompletion(body)!)).not.toBe(plain);
  }
});

test('text smuggled into a field that the hash does not cover is no content', () => {
  const refused = structuredClone(completion);
  Object.assign(refused.choices[0]!.message, { refusal: 'I will not say.' });
  expect(contentOfCompletion(refused)).toBeNull();
  expect(contentOfChunks([...chunks.slice(0, 2), choice({ refusal: 'No.' }), ...chunks.slice(2)])).toBeNull();
});

test('calls in a stream count as they are put together, and pieces that do not fit together are no content', () => {
  const withCalls = (...deltas: object[]) =>
    contentOfChunks([
      ...chunks.slice(0, 2),
      ...deltas.map((delta) => choice({ tool_calls: [delta] })),
      ...chunks.slice(2),
    ]);
  const begun = { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } };
  const more = { index: 0, function: { arguments: '{}' } };
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
  expect(withCalls(begun, more)!.choices[0]!.tool_calls).toEqual([call]);
  expect(contentHash(withCalls(begun, more)!)).not.toBe(contentHash(contentOfChunks(chunks)!));
  expect(withCalls(more)).toBeNull();
  expect(withCalls({ ...begun, index: 1 })).toBeNull();
  expect(withCalls(begun, { ...more, id: 'b' })).toBeNull();
  expect(withCalls(begun, { ...more, function: { name: 'g' } })).toBeNull();
});

test('beside calls an empty text, null and no text are the same', () => {
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } } as const;
  const hashes = ['', null, undefined].map((content) =>
    contentHash({
      model: 'm',
      choices: [{ index: 0, role: 'assistant', content, tool_calls: [call], finish_reason: 'tool_calls' }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }),
  );
  expect(new Set(hashes).size).toBe(1);
});

test('an unfinished, resumed or uncounted stream is no content', () => {
  expect(contentOfChunks(chunks.slice(0, 3))).toBeNull();
  expect(contentOfChunks([...chunks, choice({ content: '!' })])).toBeNull();
  expect(contentOfChunks([...chunks, choice({ content: '!' }, 'stop')])).toBeNull();
  expect(contentOfChunks([...chunks.slice(0, 3), choice({}, 'stop')])).toBeNull();
  expect(contentOfChunks([...chunks, { ...head, model: 'other', choices: [], usage }])).toBeNull();
  expect(contentOfChunks([])).toBeNull();
  expect(contentOfCompletion({ ...completion, choices: [...completion.choices, ...completion.choices] })).toBeNull();
});
