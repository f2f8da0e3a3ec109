/** Inputs that are almost right: valid samples with something of their structure, their text or their bytes changed. */
import type { FastRng } from './fast-rng.ts';

/** In every sample and in much of what is put into one: it must come out nowhere. */
export const CANARY = 'canary7c1e5';

const LONG = `${CANARY} `.repeat(400);
/** Values that are put in the place of others, as JSON text: what `JSON.stringify` would never write is among them. */
const VALUES: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '1.5',
  '1e999',
  '-1e999',
  '9007199254740993',
  '18446744073709551616',
  '1e-320',
  `1${'0'.repeat(400)}`,
  '""',
  '"0"',
  '"0x"',
  `"${CANARY}"`,
  `"0x${'ab'.repeat(32)}"`,
  `"0x${'AB'.repeat(32)}"`,
  `"0x${'ff'.repeat(65)}"`,
  JSON.stringify(LONG),
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\u0000\\u001b[2J"',
  '"__proto__"',
  '[]',
  '{}',
  '[[]]',
  '{"__proto__":{"polluted":true}}',
  '{"length":{"toString":1}}',
  '{"length":1,"toString":null,"valueOf":[]}',
  `{"${CANARY}":"${CANARY}"}`,
  `[${'0,'.repeat(300)}0]`,
  `${'['.repeat(2_000)}${']'.repeat(2_000)}`,
  `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`,
];
const KEYS = ['__proto__', 'constructor', 'toString', '', CANARY, 'length', '\ud800', 'error'] as const;
/** Stands for JSON text inside of a value until it is written. */
const RAW = '@@raw@@';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A place in a value: its container and the key there. */
interface Place {
  readonly holder: Json[] | { [key: string]: Json };
  readonly key: string | number;
}

/** One sample, parsed once. */
export interface Sample {
  readonly text: string;
  readonly json: Json | undefined;
}

export function sampleOf(text: string): Sample {
  try {
    return { text, json: JSON.parse(text) as Json };
  } catch {
    return { text, json: undefined };
  }
}

const encoder = new TextEncoder();

/** The next input: one sample changed in one to four ways, sometimes as it is, sometimes noise alone. */
export function mutated(samples: readonly Sample[], rng: FastRng): Uint8Array {
  const sample = rng.pick(samples);
  if (rng.chance(0.02)) return encoder.encode(sample.text);
  if (rng.chance(0.03)) return noise(rng);
  let text = sample.text;
  if (sample.json !== undefined && rng.chance(0.75)) {
    text = changedJson(sample.json, rng);
    if (rng.chance(0.7)) return encoder.encode(text);
  }
  for (let times = 1 + rng.below(3); times > 0; times--) text = changedText(text, rng.pick(samples).text, rng);
  const bytes = encoder.encode(text);
  return rng.chance(0.4) ? changedBytes(bytes, rng) : bytes;
}

function noise(rng: FastRng): Uint8Array {
  return Uint8Array.from({ length: rng.below(200) }, () => rng.below(256));
}

function changedJson(json: Json, rng: FastRng): string {
  const root = [structuredClone(json)];
  const values: string[] = [];
  for (let times = 1 + rng.below(3); times > 0; times--) changeOne(root, rng, values);
  let text = JSON.stringify(root[0]) ?? 'null';
  for (const [i, value] of values.entries()) text = text.replace(`"${RAW}${i}"`, () => value);
  return rng.chance(0.1) ? repeatedMember(text, rng) : text;
}

/** Changes one value, anywhere in what `root` holds. */
function changeOne(root: Json[], rng: FastRng, values: string[]): void {
  const { holder, key } = somewhere(root, rng);
  const at = holder as Record<string | number, Json>;
  switch (rng.below(8)) {
    case 0:
    case 1:
    case 2:
      at[key] = `${RAW}${values.push(rng.pick(VALUES)) - 1}`;
      return;
    case 3:
      if (Array.isArray(holder)) holder.splice(Number(key), holder === root ? 0 : 1);
      else delete holder[key];
      return;
    case 4:
      if (!Array.isArray(holder)) Object.defineProperty(holder, rng.pick(KEYS), member(at[key]!));
      else if (holder !== root) holder.push(...Array.from({ length: rng.below(20) }, () => structuredClone(at[key]!)));
      return;
    case 5:
      at[key] = structuredClone(valueAt(somewhere(root, rng)));
      return;
    case 6:
      at[key] = nudged(at[key]!, rng);
      return;
    default:
      at[key] = rng.chance(0.5) ? [at[key]!] : { [rng.pick(KEYS)]: at[key]! };
  }
}

function member(value: Json): PropertyDescriptor {
  return { value: structuredClone(value), enumerable: true, configurable: true, writable: true };
}

function valueAt({ holder, key }: Place): Json {
  return (holder as Record<string | number, Json>)[key] ?? null;
}

/** A random walk down from the top: deep places are as likely as shallow ones. */
function somewhere(root: Json[], rng: FastRng): Place {
  let place: Place = { holder: root, key: 0 };
  for (;;) {
    const value = valueAt(place);
    if (typeof value !== 'object' || value === null || rng.chance(0.15)) return place;
    const keys = Object.keys(value);
    if (keys.length === 0) return place;
    const key = rng.pick(keys);
    place = { holder: value, key: Array.isArray(value) ? Number(key) : key };
  }
}

/** The same kind of value, a little off. */
function nudged(value: Json, rng: FastRng): Json {
  if (typeof value === 'number') return value + rng.pick([-1, 1, 0.5, 2 ** 32, -(2 ** 31)]);
  if (typeof value === 'boolean') return !value;
  if (typeof value !== 'string') return value;
  if (/^[0-9]+$/.test(value)) return String(BigInt(value) + BigInt(rng.pick([-1, 1, 255])));
  if (value === '') return CANARY;
  const at = rng.below(value.length);
  return value.slice(0, at) + rng.pick(['0', 'f', 'G', '', ' ', '\u00e9', '\ud83d']) + value.slice(at + 1);
}

/** `{"a":1` becomes `{"a":CANARY,"a":1`: the last one counts for JSON.parse, for others the first. */
function repeatedMember(text: string, rng: FastRng): string {
  const members = [...text.matchAll(/"[^"\\]{1,40}":/g)];
  if (members.length === 0) return text;
  const { index, 0: key } = rng.pick(members);
  return `${text.slice(0, index)}${key}"${CANARY}",${text.slice(index)}`;
}

const BITS = [
  '\r\n',
  '\r',
  '\n\n',
  '\0',
  '\ufeff',
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  '\\u',
  ',',
  ':',
  'data: ',
  'event: ',
  CANARY,
  '.',
  '\u2028',
];

function changedText(text: string, other: string, rng: FastRng): string {
  const at = rng.below(text.length + 1);
  const length = rng.below(Math.min(64, text.length - at + 1));
  switch (rng.below(7)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(at + length);
    case 2:
      return text.slice(0, at) + rng.pick(BITS) + text.slice(at + (rng.chance(0.5) ? 1 : 0));
    case 3:
      return text.slice(0, at) + other.slice(rng.below(other.length + 1));
    case 4:
      return text.slice(0, at + length) + text.slice(at);
    case 5:
      return rng.chance(0.5) ? text.replaceAll('\n', '\r\n') : text.replaceAll('\n', '\r');
    default:
      return text.slice(0, at) + text.slice(at, at + length).toUpperCase() + text.slice(at + length);
  }
}

function changedBytes(bytes: Uint8Array, rng: FastRng): Uint8Array {
  const out = bytes.slice();
  for (let times = 1 + rng.below(3); times > 0 && out.length > 0; times--) {
    const at = rng.below(out.length);
    // A flipped bit, or the lead of a sequence that never ends.
    out[at] = rng.chance(0.6) ? out[at]! ^ (1 << rng.below(8)) : rng.pick([0xc3, 0xe2, 0xf0, 0xff, 0x80, 0xed]);
  }
  return rng.chance(0.2) ? out.slice(0, rng.below(out.length + 1)) : out;
}
