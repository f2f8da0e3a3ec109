/** The log read back by an independent reader: C2SP tiles and checkpoint, nothing of ours but the bytes (SPEC.md §9). */
import { createHash } from 'node:crypto';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseTilePath } from '../../gateway/http/log-tiles.ts';
import { type HttpNetwork, loadMinnows, type Minnows, startHttpNetwork } from '../fixtures/network-http.ts';

let minnows: Minnows;
let network: HttpNetwork;

beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
  for (let i = 0; i < 5; i++) {
    await network.ask({ temperature: 0, max_tokens: 2, messages: [{ role: 'user', content: `Hello ${i}` }] });
  }
});

afterAll(async () => {
  await network.stop();
  await minnows.close();
});

const sha256 = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** RFC 6962 §2.1, written for this test alone. */
function rootOf(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0]!;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return sha256(Buffer.of(1), rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

async function bytes(route: string): Promise<Buffer> {
  const response = await request(network.url)
    .get(route)
    .buffer(true)
    .parse((res, done) => {
      const pieces: Buffer[] = [];
      res.on('data', (piece: Buffer) => pieces.push(piece));
      res.on('end', () => done(null, Buffer.concat(pieces)));
    });
  expect(response.status).toBe(200);
  return response.body as Buffer;
}

test('entry bundles and hash tiles lead to the root that the checkpoint signs', async () => {
  const note = (await bytes('/v1/log/checkpoint')).toString('utf8');
  const [, size, root] = note.split('\n');
  const width = Number(size);
  expect(width).toBeGreaterThan(5);
  const tile = await bytes(`/v1/log/tile/0/000.p/${width}`);
  const hashes = Array.from({ length: width }, (_, i) => tile.subarray(32 * i, 32 * i + 32));
  expect(tile.length).toBe(32 * width);
  expect(rootOf(hashes).toString('base64')).toBe(root);
  const bundle = await bytes(`/v1/log/tile/entries/000.p/${width}`);
  const entries: Buffer[] = [];
  for (let at = 0; at < bundle.length; ) {
    const length = bundle.readUInt16BE(at);
    entries.push(bundle.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  expect(entries.map((entry) => sha256(Buffer.of(0), entry).toString('hex'))).toEqual(
    hashes.map((hash) => hash.toString('hex')),
  );
});

test('consistency of an earlier size is proved over HTTP, and entries hold no content', async () => {
  const size = Number((await request(network.url).get('/v1/log/checkpoint').buffer(true)).text.split('\n')[1]);
  const { body } = await request(network.url).get(`/v1/log/consistency?from=3&size=${size}`);
  expect(body.proof.length).toBeGreaterThan(0);
  const { text } = await request(network.url).get('/v1/log/entries');
  expect(text).not.toContain('Hello');
});

test.each(['0/001', '0/000.p/200', 'entries/001', '1/000.p/1'])(
  'a tile beyond the checkpoint is not found: %s',
  async (tile) => {
    const response = await request(network.url).get(`/v1/log/tile/${tile}`);
    expect(response.status).toBe(404);
    expect(response.body.error.code).toBe('not_found');
  },
);

test.each([
  ['0/000', { level: 0, index: 0, width: 256 }],
  ['2/x001/x234/067', { level: 2, index: 1234067, width: 256 }],
  ['entries/x001/000.p/7', { level: null, index: 1000, width: 7 }],
  ['0/000.p/256', null],
  ['0/000.p/0', null],
  ['0/x000/001', null],
  ['0/1', null],
  ['6/000', null],
  ['../000', null],
])('the path %s has at most one reading', (path, place) => {
  expect(parseTilePath(path)).toEqual(place);
});
