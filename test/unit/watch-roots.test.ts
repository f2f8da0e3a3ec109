/** A provider's watch over its earnings: what a root has given, the next one may not take back (spec-chain.md C5, C10). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClock } from '#protocol/clock';
import { earningsRootId, earningsTree } from '#protocol/earnings';
import type { Address } from '#protocol/hash';
import { checkEarnings } from '../../provider/watch/roots.ts';
import type { WatchState } from '../../provider/watch/state.ts';
import { freshState, hashOf, type ScriptedChain, scriptedChain } from './watch-chain.ts';

const GATEWAY: Address = `0x${'66'.repeat(20)}`;
const PROVIDER: Address = `0x${'22'.repeat(20)}`;
const ACCOUNT: Address = `0x${'33'.repeat(20)}`;
const OTHER: Address = `0x${'44'.repeat(20)}`;

let folder: string;
let state: WatchState;
let script: ScriptedChain;
let lines: string[];
/** What the gateway answers, by payee. */
let shown: Record<string, unknown>;
/** What the chain has, by index. */
let roots: Record<string, { id: string; activeAt: number }>;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-roots-'));
  state = freshState(folder);
  [lines, shown, roots] = [[], {}, {}];
  const rootOf = (_: Address, at: bigint) => roots[String(at)] ?? { id: `0x${'00'.repeat(26)}`, activeAt: 0 };
  script = scriptedChain({ answers: `0x${'00'.repeat(20)}`, rootOf });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A root that gives the payee so much, posted at an index and active; and what the gateway shows of it. */
function post(index: number, cumulative: bigint, payee: Address = PROVIDER): void {
  const tree = earningsTree([
    { payee, cumulative },
    { payee: OTHER, cumulative: 5n },
  ]);
  const earnings = { root: tree.root, leafCount: 2n, total: tree.total, logSize: 9n, logRoot: hashOf(8) };
  roots[String(index)] = { id: earningsRootId(earnings), activeAt: 500 };
  const numbers = { leafCount: '2', logSize: '9', total: tree.total.toString() };
  shown[payee] = {
    ...{ gateway: GATEWAY, payee, rootIndex: index, ...tree.placeOf(payee)! },
    earnings: { ...earnings, ...numbers },
    cumulative: cumulative.toString(),
  };
}

function check(): Promise<boolean> {
  const fetch = async (url: string) => {
    const body = shown[url.split('/').at(-1)!];
    return new Response(JSON.stringify(body ?? {}), { status: body === undefined ? 404 : 200 });
  };
  const clock = createClock({ now: () => 0, after: () => () => undefined });
  const io = { fetch, clock };
  return checkEarnings({
    ...{ chain: script.chain, state, io, gateway: 'http://gateway.test', provider: PROVIDER },
    print: (line) => void lines.push(line),
  });
}

test('a gateway that proves nothing to somebody who has earned nothing is left alone', async () => {
  expect([await check(), lines]).toEqual([true, []]);
});

test('a root that gives as much as those before, or more, is remembered', async () => {
  post(0, 70n);
  expect(await check()).toBe(true);
  expect(state.earned).toBe(70n);
  script.now = 600;
  post(1, 90n);
  expect([await check(), state.earned, lines]).toEqual([true, 90n, []]);
});

test('a root that gives less than one before it is told of, and what was given is not forgotten', async () => {
  post(0, 70n);
  await check();
  post(1, 69n);
  expect(await check()).toBe(false);
  expect(lines).toEqual(['EARNINGS: root 1 gives 69 base units in all, roots before gave 70']);
  expect(state.earned).toBe(70n);
});

test('a gateway that stops proving what it has proven is told of', async () => {
  post(0, 70n);
  await check();
  shown = {};
  expect([await check(), lines]).toEqual([
    false,
    ['EARNINGS: http://gateway.test proves nothing more, after 70 base units in all'],
  ]);
});

test.each([
  [
    'is of a root that the chain does not know',
    () => Object.assign(roots['0']!, { id: `0x${'ab'.repeat(26)}` }),
    'is not the one on the chain',
  ],
  [
    'names more than its leaf',
    () => Object.assign(shown[PROVIDER] as object, { cumulative: '71' }),
    'not under its root',
  ],
  [
    'is under a root that is not active yet',
    () => {
      script.now = 499;
    },
    'pays from',
  ],
  [
    'is about somebody else',
    () => {
      post(0, 70n, ACCOUNT);
      shown[PROVIDER] = shown[ACCOUNT];
    },
    'is not this provider',
  ],
])('a proof that %s is not believed', async (_, spoil, why) => {
  post(0, 70n);
  spoil();
  expect(await check()).toBe(false);
  expect(lines).toEqual([expect.stringContaining(why)]);
  expect(state.earned).toBe(0n);
});

test('a proof under an older root than the active one is not believed', async () => {
  post(0, 70n);
  const old = shown[PROVIDER];
  post(1, 70n);
  shown[PROVIDER] = old;
  expect([await check(), lines]).toEqual([false, [expect.stringContaining('a later one is active')]]);
});

test('whoever is answered for by an account is paid under it, or under its own address', async () => {
  script.views.answers = ACCOUNT;
  post(0, 70n, ACCOUNT);
  expect([await check(), state.earned]).toEqual([true, 70n]);
  shown = {};
  state.earned = 0n;
  post(0, 60n, PROVIDER);
  expect([await check(), state.earned]).toEqual([true, 60n]);
});
