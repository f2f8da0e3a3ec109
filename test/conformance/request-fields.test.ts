/** Every field of OpenAI's chat request has a decided treatment: honoured, ignored for a reason, or refused by its name. */
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

const tool = { type: 'function', function: { name: 'f' } };
const TREATMENTS: Readonly<Record<string, Treatment>> = {
  model: honoured(['minnow-5m'], ['', 7]),
  messages: honoured(
    [
      [
        { role: 'developer', content: [{ type: 'text', text: 'x' }] },
        { role: 'user', content: 'x' },
      ],
    ],
    [[], 'x'],
  ),
  temperature: honoured([0, 2], [-1, 2.5, 'hot']),
  top_p: honoured([0, 1], [1.5]),
  frequency_penalty: honoured([-2, 2], [3]),
  presence_penalty: honoured([-2, 2], [-3]),
  logit_bias: honoured([{}, { '5': -100 }], [{ x: 1 }, { '5': 101 }]),
  stop: honoured(['x', ['x', 'y'], []], ['', ['a', 'b', 'c', 'd', 'e']]),
  seed: honoured([0, -1], [0.5]),
  max_completion_tokens: honoured([1], [0, 1.5]),
  max_tokens: honoured([1], [0]),
  n: honoured([1, 2], [0, 129]),
  logprobs: honoured([true, false], [1]),
  top_logprobs: honoured([0], [21, 2]),
  stream: honoured([true, false], ['yes']),
  stream_options: honoured([{ include_usage: true }, { include_obfuscation: false }, {}], ['x']),
  user: ignored('who the end user is decides nothing here', ['u']),
  metadata: ignored('labels of stored completions; none are stored', [{ a: 'b' }, {}]),
  safety_identifier: ignored('as user', ['u']),
  prompt_cache_key: ignored('a hint for speed', ['k']),
  prompt_cache_options: ignored('a hint for speed', [{}]),
  prompt_cache_retention: ignored('a hint for speed', ['24h']),
  tools: refused([[]], [[tool]]),
  tool_choice: refused(['none', 'auto'], ['required', tool]),
  parallel_tool_calls: ignored('says nothing without tools', [true, false]),
  functions: refused([[]], [[{ name: 'f' }]]),
  function_call: refused(['none', 'auto'], [{ name: 'f' }]),
  response_format: refused(
    [{ type: 'text' }],
    [{ type: 'json_object' }, { type: 'json_schema', json_schema: { name: 'x' } }],
  ),
  modalities: refused([['text']], [['text', 'audio']]),
  audio: refused([], [{ voice: 'alloy', format: 'wav' }]),
  prediction: refused([], [{ type: 'content', content: 'x' }]),
  web_search_options: refused([], [{}]),
  moderation: refused([], [{ model: 'm' }]),
  reasoning_effort: refused(['none'], ['high']),
  verbosity: refused(['medium'], ['low']),
  service_tier: refused(['auto', 'default'], ['priority']),
  store: refused([false], [true]),
};

async function ask(fields: object) {
  const response = await fetch(`${served.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify({ model: 'minnow-5m', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 3, ...fields }),
  });
  return { status: response.status, text: await response.text() };
}

test.skipIf(schemas === null)('no field of the official request is without a treatment, and none is made up', () => {
  expect(Object.keys(TREATMENTS).sort()).toEqual(
    [...schemas!.propertiesOf('CreateChatCompletionRequest').keys()].sort(),
  );
});

test('what is ignored is ignored for a reason', () => {
  for (const { how, why } of Object.values(TREATMENTS)) expect(why === undefined).toBe(how !== 'ignored');
});

describe.each(Object.entries(TREATMENTS))('%s', (field, { takes, refuses }) => {
  const rest = field === 'max_completion_tokens' ? { max_tokens: null } : {};

  test('takes the values that it should', async () => {
    for (const value of takes) {
      const { status, text } = await ask({ ...rest, [field]: value });
      expect([status, status === 200 ? '' : text]).toEqual([200, '']);
    }
  });

  test('refuses others with a 400 that names it', async () => {
    for (const value of refuses) {
      const { status, text } = await ask({ ...rest, [field]: value });
      expect(status).toBe(400);
      expect((JSON.parse(text) as { error: { param: string } }).error.param).toMatch(new RegExp(`^${field}\\b`));
    }
  });

  test('null is as good as absent where the official schema has null', async () => {
    if (field === 'model' || field === 'messages') return;
    expect((await ask({ [field]: null })).status).toBe(200);
  });
});

test('unknown fields are ignored', async () => {
  expect((await ask({ some_future_field: { x: [1] }, __proto__x: 1 })).status).toBe(200);
});
