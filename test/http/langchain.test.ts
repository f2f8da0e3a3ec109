/** LangChain's OpenAI chat model, unchanged but for its address. */
import { ChatOpenAI } from '@langchain/openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { API_KEY, type Served, serveScripted } from './openai-fixture.ts';

let served: Served;
let model: ChatOpenAI;
beforeAll(async () => {
  served = await serveScripted();
  model = new ChatOpenAI({
    model: 'minnow-5m',
    apiKey: API_KEY,
    maxRetries: 0,
    configuration: { baseURL: `${served.url}/v1` },
  });
});
afterAll(() => served.close());

const TEXT = 'The capital of France is Paris.';

test('a plain answer has its text, finish reason and usage', async () => {
  const answer = await model.invoke('What is the capital of France?');
  expect(answer.text).toBe(TEXT);
  expect(answer.response_metadata).toMatchObject({ finish_reason: 'stop', model_name: 'minnow-5m' });
  expect(answer.usage_metadata!.output_tokens).toBe(served.requests.at(-1)!.model.text.encode(TEXT).length + 1);
});

test('a stream with its default options joins to the same text, and its usage is counted once', async () => {
  const plain = await model.invoke('What is the capital of France?');
  const pieces = [];
  for await (const piece of await model.stream('What is the capital of France?')) pieces.push(piece);
  const whole = pieces.reduce((all, piece) => all.concat(piece));
  expect(pieces.length).toBeGreaterThan(4);
  expect(whole.text).toBe(TEXT);
  expect(whole.response_metadata.finish_reason).toBe('stop');
  expect(whole.usage_metadata).toMatchObject({
    input_tokens: plain.usage_metadata!.input_tokens,
    output_tokens: plain.usage_metadata!.output_tokens,
    total_tokens: plain.usage_metadata!.total_tokens,
  });
});

test('system and developer messages, and log-probabilities, pass through', async () => {
  const asking = new ChatOpenAI({
    model: 'minnow-5m',
    apiKey: API_KEY,
    maxRetries: 0,
    logprobs: true,
    topLogprobs: 2,
    configuration: { baseURL: `${served.url}/v1` },
  });
  const answer = await asking.invoke([
    { role: 'system', content: 'Be brief.' },
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
  ]);
  const { content } = answer.response_metadata.logprobs as { content: { token: string; top_logprobs: object[] }[] };
  expect(content.map(({ token }) => token).join('')).toBe(TEXT);
  expect(content[0]!.top_logprobs).toHaveLength(2);
});
