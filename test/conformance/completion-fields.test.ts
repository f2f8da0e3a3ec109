/** Every field of OpenAI's request for text completions has a decided treatment, as every field of a chat request has. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_KEY, type Served, serveScripted } from '../http/openai-fixture.ts';
import { honoured, ignored, refused, type Treatment } from './field-treatment.ts';
import { NO_SCHEMAS, officialSchemas } from './official-schemas.ts';

const schemas = officialSchemas();
if (schemas === null) console.warn(NO_SCHEMAS);

let served: Served;
beforeAll(async () => {
  served = await serveScripted();
});
afterAll(() => served.close());

const TREATMENTS: Readonly<Record<string, Treatment>> = {
  model: honoured(['minnow-5m'], ['', 7]),
  prompt: honoured(
    ['', 'x', ['x'], ['x', 'y'], [5, 6], [[5, 6]], [[5], [6, 7]], null],
    [
      7,
      {},
      [],
      [''.padEnd(3), 5],
      [[]],
      [[5], 'x'],
      [-1],
      [0.5],
      [99_999_999],
      [[5], [99_999_999]],
      Array(17).fill('x'),
    ],
  ),
  echo: honoured([true, false], ['yes', 1]),
  logprobs: honoured([0, 5], [-1, 6, 0.5, true]),
  max_tokens: honoured([1], [-1, 1.5, '1']),
  n: honoured([1, 2], [0, 9, 129]),
  temperature: honoured([0, 2], [-1, 2.5, 'hot']),
  top_p: honoured([0, 1], [1.5]),
  frequency_penalty: honoured([-2, 2], [3]),
  presence_penalty: honoured([-2, 2], [-3]),
  logit_bias: honoured([{}, { '5': -100 }], [{ x: 1 }, { '5': 101 }]),
  stop: honoured(['x', ['x', 'y']], ['', ['a', 'b', 'c', 'd', 'e']]),
  seed: honoured([0, -1], [0.5]),
  stream: honoured([true, false], ['yes']),
  stream_options: honoured([{ include_usage: true }, { include_obfuscation: false }, {}], ['x']),
  user: ignored('who the end user is decides nothing here', ['u']),
  suffix: refused([''], ['x']),
  best_of: refused([1], [0, 2, 20]),
};

async function ask(fields: object) {
  const response = await fetch(`${served.url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify({ model: 'minnow-5m', prompt: 'Hi', max_tokens: 3, ...fields }),
  });
  return { status: response.status, text: await response.text() };
}

test.skipIf(schemas === null)('no field of the official request is without a treatment, and none is made up', () => {
  expect(Object.keys(TREATMENTS).sort()).toEqual([...schemas!.propertiesOf('CreateCompletionRequest').keys()].sort());
});

test.skipIf(schemas === null)('what is taken is what the official schema allows', () => {
  for (const [field, { takes }] of Object.entries(TREATMENTS)) {
    for (const value of takes) {
      const body = { model: 'minnow-5m', prompt: 'Hi', [field]: value };
      expect(schemas!.problemOf('CreateCompletionRequest', body)).toBeNull();
    }
  }
});

test('what is ignored is ignored for a reason', () => {
  for (const { how, why } of Object.values(TREATMENTS)) expect(why === undefined).toBe(how !== 'ignored');
});

describe.each(Object.entries(TREATMENTS))('%s', (field, { takes, refuses }) => {
  test('takes the values that it should, and answers in the official form', async () => {
    for (const value of takes) {
      const { status, text } = await ask({ [field]: value });
      expect([status, status === 200 ? '' : text]).toEqual([200, '']);
    }
  });

  test('refuses others with a 400 that names it', async () => {
    for (const value of refuses) {
      const { status, text } = await ask({ [field]: value });
      expect([status, value]).toEqual([400, value]);
      expect((JSON.parse(text) as { error: { param: string } }).error.param).toMatch(new RegExp(`^${field}\\b`));
    }
  });

  test('null is as good as absent where the official schema has null', async () => {
    if (field === 'model') return;
    expect((await ask({ [field]: null })).status).toBe(200);
  });
});

test('what is asked for together and cannot be given together is refused by name', async () => {
  const { status, text } = await ask({ echo: true, logprobs: 0 });
  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({ error: { code: 'unsupported_parameter', param: 'logprobs' } });
});

test('unknown fields are ignored', async () => {
  expect((await ask({ some_future_field: { x: [1] }, messages_: 1 })).status).toBe(200);
});
