/** One answer, saved in any of its ways: the same content comes out, whatever was put around it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSavedResponse } from '#protocol/verify-saved';

const someAnswer = fc
  .record({ text: fc.string({ unit: 'binary', maxLength: 60 }), id: fc.string({ maxLength: 12 }) })
  .map(({ text, id }) => ({
    id,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  }));
const header = fc
  .tuple(fc.stringMatching(/^[a-z-]{1,12}$/), fc.stringMatching(/^[ -~]{0,20}$/))
  .map(([name, value]) => [name, value.trim()] as const);

test('headers in front of a body change nothing of it, in either kind of line end, and are read', () => {
  const property = fc.property(
    someAnswer,
    fc.array(header, { maxLength: 5 }),
    fc.constantFrom('\n', '\r\n'),
    fc.boolean(),
    (answer, headers, end, twice) => {
      const body = JSON.stringify(answer);
      const plain = parseSavedResponse(body);
      const block = ['HTTP/1.1 200 OK', ...headers.map(([name, value]) => `${name}: ${value}`), '', ''].join(end);
      const saved = parseSavedResponse(`${twice ? `HTTP/1.1 100 Continue${end}${end}` : ''}${block}${body}`);
      expect(saved?.content).toEqual(plain?.content);
      expect(saved?.id).toBe(answer.id);
      for (const [name, value] of new Map(headers)) expect(saved?.headers.get(name)).toBe(value);
    },
  );
  fc.assert(property, { seed: 81, numRuns: 300 });
});

test('a stream of an answer in any pieces says what the answer says', () => {
  const pieces = fc.array(fc.string({ unit: 'grapheme', maxLength: 8 }), { minLength: 1, maxLength: 6 });
  const property = fc.property(pieces, fc.constantFrom('\n', '\r\n'), (texts, end) => {
    const chunk = (delta: object, finish: string | null) => ({
      id: 'x',
      model: 'm',
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    const chunks = [
      chunk({ role: 'assistant', content: '' }, null),
      ...texts.map((content) => chunk({ content }, null)),
      chunk({}, 'stop'),
      { id: 'x', model: 'm', choices: [], usage },
    ];
    const stream = [
      ...chunks.map((event) => `data: ${JSON.stringify(event)}${end}${end}`),
      `data: [DONE]${end}${end}`,
    ].join('');
    const message = { role: 'assistant', content: texts.join('') };
    const whole = { id: 'x', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }], usage };
    expect(parseSavedResponse(stream)?.content).toEqual(parseSavedResponse(JSON.stringify(whole))?.content);
  });
  fc.assert(property, { seed: 82, numRuns: 300 });
});

test('no text at all makes it throw', () => {
  const property = fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
    parseSavedResponse(text);
    parseSavedResponse(`HTTP/1.1 200 OK\n${text}`);
    parseSavedResponse(`data: ${text}\n\n`);
  });
  fc.assert(property, { seed: 83, numRuns: 500 });
});
