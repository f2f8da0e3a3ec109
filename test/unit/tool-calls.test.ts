import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AnswerPiece,
  readToolCalls,
  TOOL_CALL_LENGTH_MAX,
  TOOL_CALLS_MAX,
  ToolCallReader,
  toolFormatOf,
} from '#protocol/tool-calls';

const NAMES = ['weather', 'time'];
const read = (text: string) => readToolCalls(text, NAMES);
const tagged = (json: string) => `<tool_call>${json}</tool_call>`;
const CALL = tagged('{"name": "weather", "arguments": {"city": "Oslo"}}');
const WEATHER = { name: 'weather', arguments: '{"city":"Oslo"}' };

/** Adjoining texts are one text, however they were cut. */
function joined(pieces: readonly AnswerPiece[]): (string | object)[] {
  const list: (string | object)[] = [];
  for (const piece of pieces) {
    const last = list.at(-1);
    if (piece.kind === 'call') list.push(piece.call);
    else if (typeof last === 'string') list[list.length - 1] = last + piece.text;
    else list.push(piece.text);
  }
  return list;
}

function readInPieces(pieces: readonly string[]): (string | object)[] {
  const reader = new ToolCallReader(NAMES);
  return joined([...pieces.flatMap((piece) => reader.push(piece)), ...reader.finish()]);
}

describe('tool calls in an answer', () => {
  it('are read with the text around them, without the white space beside them', () => {
    expect(read(CALL)).toEqual({ text: '', calls: [WEATHER] });
    expect(read(`Let me look.\n\n${CALL}\n${CALL}\n`)).toEqual({ text: 'Let me look.', calls: [WEATHER, WEATHER] });
    expect(read(`${CALL}\n And then?`)).toEqual({ text: 'And then?', calls: [WEATHER] });
  });

  it('keep numbers as they were written, and may hold tags in no string', () => {
    const call = tagged('\n{"arguments": {"n": 12345678901234567890, "x": 1.50}, "name": "time"}\n');
    expect(read(call).calls).toEqual([{ name: 'time', arguments: '{"n":12345678901234567890,"x":1.50}' }]);
    const nested = tagged('{"name":"time","arguments":{"s":"</tool_call>"}}');
    expect(read(nested)).toEqual({ text: nested, calls: [] });
  });

  it.each([
    ['a tool that was not offered', '{"name":"rm","arguments":{}}'],
    ['no arguments', '{"name":"time"}'],
    ['arguments that are no object', '{"name":"time","arguments":[]}'],
    ['arguments in a string', '{"name":"time","arguments":"{}"}'],
    ['ill-formed JSON', '{"name":"time","arguments":{}'],
    ['a list', '[{"name":"time","arguments":{}}]'],
    ['a member twice', '{"name":"time","name":"weather","arguments":{}}'],
    ['nesting beyond the limit', `{"name":"time","arguments":{"a":${'['.repeat(65)}${']'.repeat(65)}}}`],
    ['too much text', `{"name":"time","arguments":{"a":"${'x'.repeat(TOOL_CALL_LENGTH_MAX)}"}}`],
  ])('are left as text, tags included, with %s', (_, json) => {
    const text = `before ${tagged(json)} after`;
    expect(read(text)).toEqual({ text, calls: [] });
  });

  it('are looked for again behind a tag that opened none', () => {
    const text = `<tool_call>oh ${CALL}`;
    // The first tag closes with the call's own: that is no JSON, so the first tag is text and the second is looked at.
    expect(read(text)).toEqual({ text: '<tool_call>oh', calls: [WEATHER] });
    expect(read('<tool_call>{"name"')).toEqual({ text: '<tool_call>{"name"', calls: [] });
  });

  it('end at the most that one answer may have', () => {
    const { calls, text } = read(CALL.repeat(TOOL_CALLS_MAX + 1));
    expect(calls).toHaveLength(TOOL_CALLS_MAX);
    expect(text).toBe(CALL);
  });

  it('are the same however the text is cut', () => {
    const bits = fc.constantFrom(CALL, '<tool_call>', '</tool_call>', '<', '<tool', ' ', '\n', 'a', '{}', tagged('{}'));
    const text = fc.array(bits, { maxLength: 12 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, fc.array(fc.nat(20), { maxLength: 30 }), (whole, cuts) => {
        const pieces: string[] = [];
        let at = 0;
        for (const length of cuts) {
          pieces.push(whole.slice(at, at + length));
          at += length;
        }
        pieces.push(whole.slice(at));
        expect(readInPieces(pieces)).toEqual(readInPieces([whole]));
      }),
      { numRuns: 500 },
    );
  });

  it('cut at the limit of their length, are the same letter by letter', () => {
    for (const over of [-1, 0, 1]) {
      const frame = '{"name":"time","arguments":{"a":""}}'.length;
      const call = tagged(`{"name":"time","arguments":{"a":"${'x'.repeat(TOOL_CALL_LENGTH_MAX - frame + over)}"}}`);
      const whole = readInPieces([call]);
      expect(readInPieces([call.slice(0, 100), ...call.slice(100, -40), ...call.slice(-40).split('')])).toEqual(whole);
      expect(typeof whole[0]).toBe(over > 0 ? 'string' : 'object');
    }
  });

  it('lose nothing that the model wrote but white space and the calls themselves', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => {
        expect(read(text).text).toBe(text);
      }),
    );
  });
});

describe('the format of a chat template', () => {
  const hermes = '{% for tool in tools %}{{ tool }}{% endfor %} call as <tool_call>{"name"…}</tool_call>';

  it('is known by its tags, where these leave a trace in the text', () => {
    expect(toolFormatOf(hermes, () => false)).toBe('tagged_json');
    expect(toolFormatOf(hermes, (text) => text === '</tool_call>')).toBeNull();
    expect(toolFormatOf('{{ messages }}', () => false)).toBeNull();
    expect(toolFormatOf('{{ tools }} [TOOL_CALLS]', () => false)).toBeNull();
  });
});
