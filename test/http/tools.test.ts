/** Tool calls over real sockets: told by the template, sealed and compared as tokens, read back, verified offline. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRequest } from '#protocol/asked';
import { contentOfCompletion, type ResponseContent } from '#protocol/content';
import { verifyResponse } from '#protocol/verify';
import { checkAnswerText } from '#protocol/verify-answer';
import { calibrationOfClasses } from '../fixtures/calibrations.ts';
import { API_KEY } from '../fixtures/network.ts';
import { type HttpNetwork, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';
import { scriptedEngine, toolText } from '../fixtures/scripted-engine.ts';

const SAYS = `I will look.
<tool_call>
{"name": "weather", "arguments": {"city": "Oslo", "days": 3}}
</tool_call>
<tool_call>{"name": "time", "arguments": {}}</tool_call>`;
const text = toolText();
const digest = `0x${'7a'.repeat(32)}` as const;
const scripted: Minnows = {
  model: {
    id: 'caller',
    digest,
    created: 0,
    ownedBy: 'test',
    contextMax: text.contextMax,
    text,
    calibrations: [calibrationOfClasses(digest, ['scripted-1/cpu/fp32/kv-none/script'])],
    price: { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n },
  },
  honest: scriptedEngine(text, SAYS),
  small: scriptedEngine(text, SAYS.replace('Oslo', 'Rome')),
  close: async () => {},
};

let network: HttpNetwork;
let client: OpenAI;
beforeAll(async () => {
  network = await startHttpNetwork(scripted, { cheats: ['smaller_model', null, null, null, null] });
  client = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: API_KEY, maxRetries: 0 });
});
afterAll(() => network.stop());

const tool = (name: string) => ({ type: 'function' as const, function: { name, parameters: { type: 'object' } } });
const asked = {
  model: 'caller',
  temperature: 0,
  max_tokens: 400,
  messages: [{ role: 'user' as const, content: 'What is the weather in Oslo?' }],
  tools: [tool('weather'), tool('time')],
};
const CALLS = [
  { name: 'weather', arguments: '{"city":"Oslo","days":3}' },
  { name: 'time', arguments: '{}' },
];
const callsOf = (calls: readonly { type: string }[] = []) =>
  (calls as OpenAI.ChatCompletionMessageFunctionToolCall[]).map((call) => call.function);

describe('an answer that calls tools', () => {
  test('comes back as text and calls, the cheat among its members outvoted', async () => {
    const { choices } = await client.chat.completions.create({
      ...asked,
      verification: { mode: 'quorum', n: 5 },
    } as never);
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: 'I will look.' } });
    expect(callsOf(choices[0]!.message.tool_calls)).toEqual(CALLS);
    const ids = choices[0]!.message.tool_calls!.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
  });

  test('is the same in a stream, put together by the SDK', async () => {
    const stream = client.chat.completions.stream(asked);
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: 'I will look.' } });
    expect(callsOf(final.choices[0]!.message.tool_calls)).toEqual(CALLS);
  });

  test('is text where the client offered no tools, or wants none called', async () => {
    const { tools: _, ...without } = asked;
    for (const body of [without, { ...asked, tool_choice: 'none' as const }]) {
      const { choices } = await client.chat.completions.create(body);
      expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: SAYS } });
      expect(choices[0]!.message.tool_calls).toBeUndefined();
    }
    const one = await client.chat.completions.create({ ...asked, tools: [tool('time')] });
    expect(callsOf(one.choices[0]!.message.tool_calls)).toEqual([CALLS[1]]);
    expect(one.choices[0]!.message.content).toContain('weather');
  });

  test('goes on when the client gives the results back', async () => {
    const first = await client.chat.completions.create(asked);
    const results = first.choices[0]!.message.tool_calls!.map(({ id }) => ({
      role: 'tool' as const,
      tool_call_id: id,
      content: 'sunny',
    }));
    const messages = [...asked.messages, first.choices[0]!.message, ...results];
    const second = await client.chat.completions.create({ ...asked, messages });
    expect(second.usage!.prompt_tokens).toBeGreaterThan(first.usage!.prompt_tokens + 10);
  });
});

describe('the offline verifier', () => {
  const itemsOf = (response: string, body: string | null) => {
    const request = body === null ? null : readRequest(body, text, null);
    const { items } = verifyResponse({ response, asked: request, text, modelDigest: digest });
    return new Map(items.map(({ name, status }) => [name, status]));
  };

  test('reads the calls out of the sealed tokens itself, plain and streamed', async () => {
    const { saved, requestText } = await network.ask(asked);
    const withBody = itemsOf(saved, requestText);
    expect([...withBody].filter(([, status]) => status === 'failed')).toEqual([]);
    expect(withBody.get('answer-text')).toBe('proved');
    expect(withBody.get('prompt')).toBe('proved');
    expect(itemsOf(saved, null).get('answer-text')).toBe('proved');
    const body = JSON.stringify({ ...asked, stream: true });
    const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
    const streamed = await fetch(`${network.url}/v1/chat/completions`, { method: 'POST', headers, body });
    const events = itemsOf(await streamed.text(), body);
    expect([...events].filter(([, status]) => status === 'failed')).toEqual([]);
  });

  test.each([
    ['another argument', (saved: string) => saved.replace('\\"Oslo\\"', '\\"Rome\\"'), 'content-hash'],
    ['another tool', (saved: string) => saved.replace('"name":"time"', '"name":"weather"'), 'content-hash'],
    ['another id', (saved: string) => saved.replace(/"id":"call_./, '"id":"call_x'), 'content-hash'],
    [
      'a call left out',
      (saved: string) =>
        saved.replace(
          /,\{"id":"call_[0-9a-f]+","type":"function","function":\{"name":"time","arguments":"\{\}"\}\}/,
          '',
        ),
      'content-hash',
    ],
    [
      'another finish reason',
      (saved: string) => saved.replace('"finish_reason":"tool_calls"', '"finish_reason":"stop"'),
      'usage',
    ],
  ])('fails an answer with %s', async (_, change, item) => {
    const { saved, requestText } = await network.ask(asked);
    const changed = change(saved);
    expect(changed).not.toBe(saved);
    expect(itemsOf(changed, requestText).get(item as never)).toBe('failed');
  });

  test('fails calls that a gateway has signed although the tokens do not spell them', async () => {
    const { saved, statement } = await network.ask(asked);
    const content = contentOfCompletion(JSON.parse(saved))!;
    const [choice] = content.choices;
    const shown = (change: object) => ({ ...content, choices: [{ ...choice!, ...change }] });
    const names = ['weather', 'time'];
    const statusOf = (answer: ResponseContent, known: string[] | null) =>
      checkAnswerText(
        statement,
        0,
        answer,
        text,
        known && { toolNames: known, prompts: [{ ids: null, echo: '' }], choices: 1 },
      ).status;
    expect(statusOf(content, names)).toBe('proved');
    const swapped = choice!.tool_calls!.map((call) => ({ ...call, function: { ...call.function, arguments: '{}' } }));
    expect(statusOf(shown({ tool_calls: swapped }), names)).toBe('failed');
    expect(statusOf(shown({ tool_calls: [] }), names)).toBe('failed');
    expect(statusOf(shown({ tool_calls: choice!.tool_calls!.slice(1) }), null)).toBe('failed');
    // Shown as text, calls are hidden from a client that offered tools; one that did not is shown just that.
    expect(statusOf(shown({ tool_calls: [], content: SAYS }), names)).toBe('failed');
    expect(statusOf(shown({ tool_calls: [], content: SAYS }), [])).toBe('proved');
  });

  test('fails a prompt that told of other tools than the client sent', async () => {
    const { saved, requestText } = await network.ask(asked);
    const other = requestText.replace('"name":"time"', '"name":"date"');
    expect(itemsOf(saved, other).get('prompt')).toBe('failed');
    expect(itemsOf(saved, other).get('answer-text')).toBe('failed');
  });
});

describe('what is not served is refused by its place', () => {
  test.each([
    ['tools[0].function.strict', { tools: [{ type: 'function', function: { name: 'f', strict: true } }] }],
    ['tools[0].type', { tools: [{ type: 'custom', custom: { name: 'f' } }] }],
    ['tools[0].function.name', { tools: [tool('a b')] }],
    ['tools', { tools: [tool('f'), tool('f')] }],
    ['tools', { tools: 'all' }],
    ['tools', { tools: Array.from({ length: 129 }, (_, at) => tool(`f${at}`)) }],
    ['tools', { tools: [{ type: 'function', function: { name: 'f', description: 'x'.repeat(2 ** 18) } }] }],
    ['tool_choice', { tools: [tool('f')], tool_choice: 'required' }],
    ['tool_choice', { tools: [tool('f')], tool_choice: { type: 'function', function: { name: 'f' } } }],
    ['tool_choice', { tool_choice: 'required' }],
    ['tool_choice', { tools: [tool('f')], tool_choice: 'sometimes' }],
    ['logprobs', { tools: [tool('f')], logprobs: true }],
    ['parallel_tool_calls', { tools: [tool('f')], parallel_tool_calls: false }],
    ['messages[0].tool_calls[0].function.arguments', { messages: [called('[1]')] }],
    ['messages[0].tool_calls[0].function.arguments', { messages: [called('{')] }],
    [
      'messages[0].tool_calls[0].function',
      { messages: [{ role: 'assistant', tool_calls: [{ id: 'a', type: 'function' }] }] },
    ],
  ])('%s', async (param, change) => {
    const body = JSON.stringify({ ...asked, tools: undefined, ...change });
    const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
    const response = await fetch(`${network.url}/v1/chat/completions`, { method: 'POST', headers, body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param } });
  });

  function called(text: string) {
    return { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: text } }] };
  }
});
