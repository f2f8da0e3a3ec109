/** An auditor that has only bytes and RFC 6962: tiles read back, every pair of published checkpoints joined, a fork seen. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GatewayHome } from '../fixtures/folder-gateway.ts';

const QUESTIONS = 6;

interface Published {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

let home: GatewayHome;
const published: Published[] = [];

beforeAll(async () => {
  home = await GatewayHome.open();
  await home.start();
  published.push(opened(await home.checkpoint()));
  for (let i = 0; i < QUESTIONS; i++) {
    await home.ask(`Question ${i}`);
    published.push(opened(await home.checkpoint()));
  }
});

afterAll(() => home.close());

function opened(note: string): Published {
  const [origin, size, root] = note.split('\n') as [string, string, string];
  return { origin, size: Number(size), root: Buffer.from(root, 'base64') };
}

const hash = (...parts: Uint8Array[]) => parts.reduce((h, part) => h.update(part), createHash('sha256')).digest();
const inner = (left: Buffer, right: Buffer) => hash(Buffer.of(1), left, right);

/** RFC 6962 §2.1. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return inner(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** RFC 9162 §2.1.4.2, as its text goes. */
function isConsistent(first: Published, second: Published, given: readonly Buffer[]): boolean {
  if (first.size === second.size) return given.length === 0 && first.root.equals(second.root);
  const isPower = (first.size & (first.size - 1)) === 0;
  const path = isPower ? [first.root, ...given] : [...given];
  let [fn, sn] = [first.size - 1, second.size - 1];
  while (fn & 1) [fn, sn] = [fn >> 1, sn >> 1];
  const start = path.shift();
  if (start === undefined) return false;
  let [fr, sr] = [start, start];
  for (const c of path) {
    if (sn === 0) return false;
    if (fn & 1 || fn === sn) {
      fr = inner(c, fr);
      sr = inner(c, sr);
      while (!(fn & 1) && fn !== 0) [fn, sn] = [fn >> 1, sn >> 1];
    } else sr = inner(sr, c);
    [fn, sn] = [fn >> 1, sn >> 1];
  }
  return sn === 0 && fr.equals(first.root) && sr.equals(second.root);
}

/** RFC 9162 §2.1.3.2. */
function isIncluded(leaf: Buffer, index: number, { size, root }: Published, path: readonly Buffer[]): boolean {
  let [fn, sn, r] = [index, size - 1, leaf];
  for (const p of path) {
    if (sn === 0) return false;
    if (fn & 1 || fn === sn) {
      r = inner(p, r);
      while (!(fn & 1) && fn !== 0) [fn, sn] = [fn >> 1, sn >> 1];
    } else r = inner(r, p);
    [fn, sn] = [fn >> 1, sn >> 1];
  }
  return sn === 0 && r.equals(root);
}

async function proof(route: string): Promise<Buffer[]> {
  const { text } = await home.call(route);
  return (JSON.parse(text) as { proof: string[] }).proof.map((hex) => Buffer.from(hex.slice(2), 'hex'));
}

/** Leaf hashes out of the entry bundle, not out of what the log says they are. */
async function leavesOf(size: number): Promise<Buffer[]> {
  const bundle = await home.bytes(`/v1/log/tile/entries/000.p/${size}`);
  const leaves: Buffer[] = [];
  for (let at = 0; at < bundle.length; ) {
    const length = bundle.readUInt16BE(at);
    leaves.push(hash(Buffer.of(0), bundle.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  return leaves;
}

test('the entries of the newest tile give the root of every checkpoint that was published before', async () => {
  const leaves = await leavesOf(published.at(-1)!.size);
  expect(leaves).toHaveLength(published.at(-1)!.size);
  for (const { size, root } of published) expect(rootOf(leaves.slice(0, size))).toEqual(root);
  expect(new Set(published.map(({ size }) => size)).size).toBeGreaterThan(3);
});

test('any two published checkpoints are shown to be consistent, and every entry to be in each that covers it', async () => {
  const leaves = await leavesOf(published.at(-1)!.size);
  for (const [i, first] of published.entries()) {
    for (const second of published.slice(i + 1)) {
      const given = await proof(`/v1/log/consistency?from=${first.size}&size=${second.size}`);
      expect(isConsistent(first, second, given)).toBe(true);
    }
    for (const [index, leaf] of leaves.slice(0, first.size).entries()) {
      const path = await proof(`/v1/log/inclusion?index=${index}&size=${first.size}`);
      expect(isIncluded(leaf, index, first, path)).toBe(true);
    }
  }
});

test('a fork is seen: with one entry changed no proof of the log joins its checkpoints to the forked one', async () => {
  const last = published.at(-1)!;
  const leaves = await leavesOf(last.size);
  const forked = leaves.map((leaf, index) => (index === 1 ? hash(leaf) : leaf));
  const fork: Published = { ...last, root: rootOf(forked) };
  for (const first of published.slice(0, -1)) {
    const given = await proof(`/v1/log/consistency?from=${first.size}&size=${last.size}`);
    expect(isConsistent(first, last, given)).toBe(true);
    expect(isConsistent(first, fork, given)).toBe(false);
  }
  // Two roots under one name and size are the proof by themselves.
  expect(fork.root.equals(last.root)).toBe(false);
});

test('proofs that were cut, lengthened or moved to another size do not hold', async () => {
  const [first, last] = [published[1]!, published.at(-1)!];
  const given = await proof(`/v1/log/consistency?from=${first.size}&size=${last.size}`);
  expect(isConsistent(first, last, given.slice(0, -1))).toBe(false);
  expect(isConsistent(first, last, [...given, given[0]!])).toBe(false);
  expect(isConsistent({ ...first, size: first.size - 1 }, last, given)).toBe(false);
});

test('a size beyond the log has no proof', async () => {
  const { size } = published.at(-1)!;
  expect((await home.call(`/v1/log/consistency?from=1&size=${size + 10}`)).status).toBe(404);
  expect((await home.call(`/v1/log/inclusion?index=${size + 10}&size=${size + 11}`)).status).toBe(404);
});
