/** Which choice answers which prompt, and what a statement may say about it (SPEC.md §4.4, §10.1). */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type StatementWire, zStatement } from '#protocol/attestation';
import { choicesOf, promptsOf } from '#protocol/choices';
import { toHex } from '#protocol/hash';
import { choicesPerPrompt, hasWholePrompts, promptOfChoice } from '#protocol/prompt-groups';

fc.configureGlobal({ seed: 23 });

/** A statement of one choice, made by the independent script. */
const ONE = (
  JSON.parse(readFileSync(new URL('../vectors/attestation.json', import.meta.url), 'utf8')) as {
    statementHash: { input: StatementWire }[];
  }
).statementHash[0]!.input;
const { waves, scores, served, outputIds, verdict, agreement, faults } = ONE;
const RECORD = { skipped: [], waves, scores, served, outputIds, verdict, agreement, faults };

const promptAt = (at: number) => ({ promptHash: toHex(new Uint8Array(32).fill(at + 1)), promptTokens: at + 1 });
/** Records of the choices after the first, as a gateway writes them. */
const recordsOf = (prompts: number, perPrompt: number) =>
  Array.from({ length: prompts * perPrompt - 1 }, (_, at) => {
    const prompt = Math.floor((at + 1) / perPrompt);
    return prompt === 0 ? {} : { prompt: promptAt(prompt) };
  });
const counts = fc.record({ prompts: fc.integer({ min: 1, max: 16 }), perPrompt: fc.integer({ min: 1, max: 8 }) });

test('every prompt has its choices in a row, each prompt equally many', () => {
  fc.assert(
    fc.property(counts, ({ prompts, perPrompt }) => {
      const choices = prompts * perPrompt;
      const each = Array.from({ length: choices }, (_, choice) => promptOfChoice(choice, { prompts, choices }));
      expect(each).toEqual(Array.from({ length: choices }, (_, choice) => Math.floor(choice / perPrompt)));
    }),
  );
});

test('the number of choices of a prompt is read back from a statement, one prompt or many', () => {
  fc.assert(
    fc.property(counts, ({ prompts, perPrompt }) => {
      const records = recordsOf(prompts, perPrompt);
      expect(choicesPerPrompt(records)).toBe(perPrompt);
      expect(hasWholePrompts(records)).toBe(true);
    }),
  );
});

test('prompts are not whole where one choice more or less has another', () => {
  fc.assert(
    fc.property(counts, fc.nat(), fc.boolean(), ({ prompts, perPrompt }, where, removes) => {
      fc.pre(prompts > 1 && perPrompt > 1);
      const records: { prompt?: ReturnType<typeof promptAt> }[] = recordsOf(prompts, perPrompt);
      const at = perPrompt - 1 + (where % (records.length - perPrompt + 1));
      if (removes) delete records[at]!.prompt;
      else records[at]!.prompt = promptAt(99);
      // The first choice of the second prompt, taken away, only makes the first prompt's row longer.
      fc.pre(!(removes && at === perPrompt - 1 && (records.length + 1) % (perPrompt + 1) === 0));
      expect(hasWholePrompts(records)).toBe(false);
    }),
  );
});

const several = (prompts: number, perPrompt: number): StatementWire => ({
  ...ONE,
  firstVerdict: verdict,
  choices: recordsOf(prompts, perPrompt).map((record) => ({ ...RECORD, ...record })),
});

test('a statement of several prompts is read as one statement for each choice, with its own prompt and hash', () => {
  const statement = zStatement.parse(several(3, 2));
  const choices = choicesOf(statement);
  expect(choices.map(({ request }) => request.promptTokens)).toEqual([3, 3, 2, 2, 3, 3]);
  expect(new Set(choices.map(({ request }) => request.promptHash)).size).toBe(3);
  expect(new Set(choices.map(({ requestHash }) => requestHash)).size).toBe(6);
  for (const choice of choices) expect(choice).not.toHaveProperty('prompt');
  expect(promptsOf(statement, choices).map(({ promptHash }) => promptHash)).toEqual([
    ONE.request.promptHash,
    promptAt(1).promptHash,
    promptAt(2).promptHash,
  ]);
});

test('two prompts that are the same are two prompts still', () => {
  const { promptHash, promptTokens } = ONE.request;
  const statement = zStatement.parse({
    ...ONE,
    firstVerdict: verdict,
    choices: [{ ...RECORD, prompt: { promptHash, promptTokens } }],
  });
  expect(promptsOf(statement, choicesOf(statement))).toHaveLength(2);
});

test('a statement whose prompts are not whole is refused', () => {
  const four = several(2, 2);
  const [a, b, c] = four.choices!;
  const { prompt: _, ...bare } = c!;
  for (const choices of [
    [a!, b!],
    [a!, b!, bare],
    [a!, b!, { ...c!, prompt: promptAt(7) }],
  ]) {
    expect(zStatement.safeParse({ ...four, choices }).success).toBe(false);
  }
  expect(zStatement.safeParse(four).success).toBe(true);
});
