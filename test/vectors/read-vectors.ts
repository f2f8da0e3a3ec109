/** The one shape of a vector file, `{rule: [{name, spec, expect, input, output}]}`, and how an entry is run. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Hex } from '#protocol/hash';

/** `success`, or why an input must be refused; an expectation that is not listed here makes the file unreadable. */
const EXPECTATIONS = [
  'success',
  'out_of_range',
  'not_canonical',
  'invalid_proof',
  'invalid_signature',
  'malformed',
  'not_proven',
] as const;
export type Expectation = (typeof EXPECTATIONS)[number];

const zEntry = z.strictObject({
  name: z.string().min(1),
  spec: z.string().regex(/^C?[0-9]+(\.[0-9]+)?$/),
  expect: z.enum(EXPECTATIONS),
  input: z.unknown(),
  output: z.unknown(),
});
export type VectorEntry = z.output<typeof zEntry>;
const zFile = z.record(z.string(), z.array(zEntry).min(1));

/** Any bytes as lower-case hex: vectors also hold hashes of wrong length. */
export const zHex = z.string().regex(/^0x([0-9a-f]{2})*$/) as unknown as z.ZodType<Hex, Hex>;

/** One function of the protocol as the vectors call it. */
export interface Rule {
  readonly run: (input: unknown) => unknown;
  /** How the function refuses, by the expectations that it may have. */
  readonly refusals: Partial<Readonly<Record<Expectation, 'throws' | false | null>>>;
}

/** A rule whose input has a schema: an unknown member in a vector is fatal. */
export function rule<S extends z.ZodType>(
  input: S,
  run: (input: z.output<S>) => unknown,
  refusals: Rule['refusals'] = {},
): Rule {
  return { run: (value) => run(input.parse(value)), refusals };
}

/** @throws on an unknown key, an unknown expectation, or a rule without entries */
export function readVectors(text: string): Readonly<Record<string, readonly VectorEntry[]>> {
  const file = zFile.parse(JSON.parse(text));
  for (const [name, entries] of Object.entries(file)) {
    for (const entry of entries) {
      const hasOutput = entry.output !== null && entry.output !== undefined;
      if (hasOutput !== (entry.expect === 'success')) throw new Error(`${name}: ${entry.name}: output or refusal`);
    }
  }
  return file;
}

/** Runs one entry against its rule, byte for byte. */
export function runEntry({ expect: expected, input, output }: VectorEntry, { run, refusals }: Rule): void {
  if (expected === 'success') {
    expect(run(input)).toEqual(output);
    return;
  }
  const refusal = refusals[expected];
  if (refusal === undefined) throw new Error(`the rule does not refuse with ${expected}`);
  if (refusal === 'throws') expect(() => run(input)).toThrow();
  else expect(run(input)).toBe(refusal);
}

/** Tests a whole file; rules and entries must be the same set on both sides. */
export function runVectors(fileName: string, rules: Readonly<Record<string, Rule>>): void {
  const file = readVectors(readFileSync(new URL(fileName, import.meta.url), 'utf8'));
  it(`${fileName} names exactly the rules that are run`, () => {
    expect(Object.keys(file).sort()).toEqual(Object.keys(rules).sort());
  });
  for (const [name, entries] of Object.entries(file)) {
    describe(`${name} of ${fileName}`, () => {
      it.each(entries.map((entry) => [`§${entry.spec} ${entry.name}: ${entry.expect}`, entry] as const))(
        '%s',
        (_, entry) => runEntry(entry, rules[name]!),
      );
    });
  }
}
