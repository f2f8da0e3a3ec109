/** Messages that a model's template cannot show are refused, not dropped. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseChatBody } from '#protocol/chat-body';
import { createTextModel } from '#protocol/text';
import { CHAT_LIMITS_DEFAULT } from '../../gateway/openai/limits.ts';
import { promptOfMessages } from '../../gateway/openai/prompt.ts';

const FOLDER = new URL('../../provider/models/minnow/dist/minnow-5m/', import.meta.url);
const readJson = (name: string): unknown => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
const textModel = (chatTemplate?: string) =>
  createTextModel({
    config: readJson('config.json'),
    tokenizer: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  });

const { messages } = parseChatBody({
  model: 'm',
  messages: [
    { role: 'user', content: 'What is the sum?' },
    { role: 'tool', tool_call_id: 'c1', content: ' forty-two ' },
  ],
});
const SHOWN = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}";
const REFUSING =
  "{% if messages[1].role == 'tool' %}{{ raise_exception('no tools: ' + messages[1].content) }}{% endif %}";

test('a template that shows every role serves tool messages', () => {
  const text = textModel();
  const ids = promptOfMessages(text, messages, [], CHAT_LIMITS_DEFAULT);
  expect(text.renderChat([{ role: 'tool', content: 'forty-two' }])).toContain('forty-two');
  expect(ids.length).toBeGreaterThan(4);
});

test('a template that skips tool messages is no reason to drop them', () => {
  expect(() => promptOfMessages(textModel(SHOWN), messages, [], CHAT_LIMITS_DEFAULT)).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter', param: 'messages[1].role' }) as Error,
  );
});

test('a template that refuses a role is a 400 that does not quote the message', () => {
  const run = () => promptOfMessages(textModel(REFUSING), messages, [], CHAT_LIMITS_DEFAULT);
  expect(run).toThrow(expect.objectContaining({ code: 'invalid_request', param: 'messages' }) as Error);
  expect(run).not.toThrow(/forty-two/);
});
