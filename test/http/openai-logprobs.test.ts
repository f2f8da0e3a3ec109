/** Log-probabilities in the shapes of OpenAI, plain and streamed. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shownLogprobsHash } from '#protocol/logprobs';
import { API_KEY, type Served, serveScripted } from './openai-fixture.ts';

let served: Served;
let client: OpenAI;
beforeAll(async () => {
  served = await serveScripted();
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
});
afterAll(() => served.close());

const ask = { model: 'minnow-5m', messages: [{ role: 'user' as const, content: 'Hi' }] };
const attested = (value: unknown) => (value as { assay: { logprobsHash: string } }).assay.logprobsHash;

test.each([
  [undefined, 0],
  [0, 0],
  [null, 0],
  [20, 20],
])('top_logprobs %s gives %i alternatives a token, and the tokens join to the answer', async (top, count) => {
  served.script.text = 'Ω 😀 is Paris.';
  const completion = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: top });
  const [choice] = completion.choices;
  const { content, refusal } = choice!.logprobs!;
  expect(refusal).toBeNull();
  expect(content!.map(({ token }) => token).join('')).toBe(choice!.message.content);
  expect(Buffer.from(content!.flatMap(({ bytes }) => bytes ?? [])).toString()).toBe(choice!.message.content);
  for (const { logprob, top_logprobs } of content!) {
    expect(logprob).toBeLessThan(0);
    expect(top_logprobs).toHaveLength(count);
  }
  expect(content).toHaveLength(completion.usage!.completion_tokens - 1);
  expect(attested(completion)).toBe(shownLogprobsHash([{ index: 0, logprobs: choice!.logprobs }]));
});

test.each([[[]], [['is']], [['😀']], [[' Par']], [['never']]])(
  'a stream has the entries of the plain answer (stop %s)',
  async (stop) => {
    served.script.text = 'Ω 😀 is Paris.';
    const wanted = { ...ask, logprobs: true, top_logprobs: 2, stop };
    const plain = await client.chat.completions.create(wanted);
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of await client.chat.completions.create({ ...wanted, stream: true })) chunks.push(chunk);
    const content = chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
    expect(content).toEqual(plain.choices[0]!.logprobs!.content);
    expect(content.map(({ token }) => token).join('')).toBe(plain.choices[0]!.message.content);
    expect(attested(chunks.at(-1))).toBe(attested(plain));
    // An entry comes with the last part of its text, never before: what a client shows word by word.
    let [shown, spelled] = ['', ''];
    for (const { choices } of chunks) {
      shown += choices[0]!.delta.content ?? '';
      const entries = choices[0]!.logprobs?.content ?? [];
      spelled += entries.map(({ token }) => token).join('');
      expect(shown.startsWith(spelled)).toBe(true);
    }
    expect(spelled).toBe(plain.choices[0]!.message.content);
  },
);

test('without logprobs there are none, and nothing of them is attested', async () => {
  const completion = await client.chat.completions.create({ ...ask, logprobs: false, top_logprobs: 0 });
  expect(completion.choices[0]!.logprobs).toBeNull();
  expect(attested(completion)).toBeUndefined();
  expect(served.requests.at(-1)!.logprobs).toBeNull();
});

test('an answer without a token has an empty list', async () => {
  served.script.ids = [served.requests.at(-1)!.model.text.eosIds.at(-1)!];
  const completion = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 3 });
  delete served.script.ids;
  expect(completion.choices[0]!.logprobs).toEqual({ content: [], refusal: null });
});
