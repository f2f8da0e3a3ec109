/** What servers of this kind get wrong, one by one: that this one does not, and that the rules would tell. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { API_KEY, type Served, serveScripted } from '../http/openai-fixture.ts';
import { NO_SCHEMAS, officialSchemas } from './official-schemas.ts';
import { problemsOf, type SeenResponse } from './response-rules.ts';

const schemas = officialSchemas();
if (schemas === null) console.warn(NO_SCHEMAS);

let served: Served;
beforeAll(async () => {
  served = await serveScripted();
});
afterAll(() => served.close());

interface Chunk {
  choices?: { index?: number; delta: Record<string, unknown>; finish_reason?: string | null }[];
  usage?: unknown;
}

async function post(fields: object): Promise<SeenResponse> {
  const path = '/v1/chat/completions';
  const response = await fetch(`${served.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify({ model: 'minnow-5m', messages: [{ role: 'user', content: 'Hi' }], ...fields }),
  });
  const { status, headers } = response;
  return { method: 'POST', path, status, headers, text: await response.text() };
}

const stream = (fields: object = {}) => post({ stream: true, stream_options: { include_usage: true }, ...fields });

/** The same stream with its chunks as a worse server would have sent them. */
function spoiled(seen: SeenResponse, change: (chunks: Chunk[]) => (Chunk | string)[]): SeenResponse {
  const chunks = seen.text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: {'))
    .map((frame) => JSON.parse(frame.slice('data: '.length)) as Chunk);
  const frames = [...change(chunks), '[DONE]'].map((chunk) =>
    typeof chunk === 'string' ? chunk : JSON.stringify(chunk),
  );
  return { ...seen, text: frames.map((frame) => `data: ${frame}\n\n`).join('') };
}

const problems = (seen: SeenResponse): string => problemsOf(schemas!, seen).join('; ');
const needs = test.skipIf(schemas === null);

needs('a plain answer and a stream of this server break no rule', async () => {
  expect(problems(await post({}))).toBe('');
  expect(problems(await stream())).toBe('');
  expect(problems(await post({ stream: true }))).toBe('');
  expect(problems(await post({ temperature: 9 }))).toBe('');
});

needs.each([
  ['absent', undefined],
  ['empty', ''],
])('finish_reason is present and null until the end, never %s', async (_, reason) => {
  const seen = await stream();
  const bad = spoiled(seen, (chunks) => {
    const [first, ...rest] = chunks;
    return [
      {
        ...first,
        choices: first!.choices!.map(({ finish_reason: _gone, ...choice }) => ({
          ...choice,
          ...(reason === undefined ? {} : { finish_reason: reason }),
        })),
      },
      ...rest,
    ];
  });
  expect(problems(seen)).toBe('');
  expect(problems(bad)).toContain('finish_reason');
});

needs('a stream ends with a finish reason and not without one', async () => {
  const seen = await stream();
  const bad = spoiled(seen, (chunks) => chunks.filter((chunk) => chunk.choices![0]?.finish_reason !== 'stop'));
  expect(problems(bad)).toContain('a choice has no finish');
});

needs('the usage chunk has choices, and they are empty', async () => {
  const seen = await stream();
  const without = spoiled(seen, (chunks) =>
    chunks.map(({ choices, ...rest }) => (choices?.length ? { ...rest, choices } : rest)),
  );
  expect(problems(without)).toContain("must have required property 'choices'");
  const merged = spoiled(seen, (chunks) => {
    const usage = chunks.pop()!.usage;
    return chunks.map((chunk, at) => (at === chunks.length - 1 ? { ...chunk, usage } : chunk));
  });
  expect(problems(merged)).toContain('usage is not in one last chunk');
});

needs('a choice finishes once, so that no client counts its metadata twice', async () => {
  const seen = await stream();
  const bad = spoiled(seen, (chunks) => [...chunks.slice(0, -1), chunks.at(-2)!, chunks.at(-1)!]);
  expect(problems(bad)).toContain('a choice goes on after its finish');
});

needs('stream_options are accepted, with a stream and without', async () => {
  expect((await stream()).status).toBe(200);
  expect((await post({ stream_options: { include_usage: true } })).status).toBe(200);
  expect((await post({ stream: false, stream_options: null })).status).toBe(200);
});

needs('every choice of every chunk has its index', async () => {
  const seen = await stream();
  const bad = spoiled(seen, (chunks) =>
    chunks.map((chunk) => ({ ...chunk, choices: chunk.choices!.map(({ index: _gone, ...choice }) => choice) })),
  );
  expect(problems(bad)).toContain('a choice without index');
});

needs('a tool call in a delta would need its index', async () => {
  const bad = spoiled(await stream(), (chunks) =>
    chunks.map((chunk, at) =>
      at === 1 ? { ...chunk, choices: [{ ...chunk.choices![0]!, delta: { tool_calls: [{ id: 'a' }] } }] } : chunk,
    ),
  );
  expect(problems(bad)).toContain("must have required property 'index'");
});

needs('a stream ends with [DONE], and with nothing after it', async () => {
  const seen = await stream();
  expect(seen.text.endsWith('data: [DONE]\n\n')).toBe(true);
  const bad = spoiled(seen, (chunks) => [...chunks.slice(0, -1), '[DONE]', chunks.at(-1)!]);
  expect(problems(bad)).toContain('something follows [DONE]');
});

needs('the role stands in the first delta and nowhere else', async () => {
  const seen = await stream();
  const repeated = spoiled(seen, (chunks) =>
    chunks.map((chunk) => ({
      ...chunk,
      choices: chunk.choices!.map((choice) => ({ ...choice, delta: { ...choice.delta, role: 'assistant' } })),
    })),
  );
  expect(problems(repeated)).toContain('the role is not in the first delta alone');
  expect(problems(spoiled(seen, (chunks) => chunks.slice(1)))).toContain('the role is not in the first delta alone');
});

needs('a failing stream ends with an error object of four keys and without [DONE]', async () => {
  served.script.failAfter = { tokens: 1, error: new Error('inside') };
  const seen = await stream();
  delete served.script.failAfter;
  expect(problems(seen)).toBe('');
  expect(seen.text).not.toContain('[DONE]');
  const bare = { ...seen, text: seen.text.replace('"param":null,', '') };
  expect(problems(bare)).toContain("must have required property 'param'");
});

needs('an error says its type, its id and whether to try again', async () => {
  const seen = await post({ temperature: 9 });
  const bad = { ...seen, headers: new Headers({ 'content-type': 'text/plain' }) };
  for (const rule of ['an error of type', 'without x-should-retry', 'without x-request-id']) {
    expect(problems(bad)).toContain(rule);
  }
});
