/** From a proof to the chain, through crashes and competitors; and from a demand to its end (spec-chain.md C4, C6, C10). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Address } from '#protocol/hash';
import {
  answerDemands,
  endSilences,
  FAULT_HIDDEN_AUDIT,
  FAULT_HIDDEN_KEY,
  FAULT_NON_REVEAL,
} from '../../provider/watch/demands.ts';
import type { Proof } from '../../provider/watch/proofs.ts';
import { collectProven, raise } from '../../provider/watch/raise.ts';
import { openState, saveState, type WatchState } from '../../provider/watch/state.ts';
import { freshState, hashOf, type ScriptedChain, scriptedChain } from './watch-chain.ts';

const ACCOUNT: Address = `0x${'33'.repeat(20)}`;
const NOBODY: Address = `0x${'00'.repeat(20)}`;
const proof: Proof = {
  ...{ callee: 'Evidence', functionName: 'proveForkedLog', args: [], evidence: hashOf(7) },
  ...{ key: `0x${'22'.repeat(20)}`, fault: 'forked_log' },
};
const account = (change: object = {}) => ({
  ...{ operator: ACCOUNT, active: 50n, queued: 0n, frozen: 0n, openedAt: 1, convictedAt: 0, reporter: NOBODY },
  ...change,
});

let folder: string;
let state: WatchState;
let script: ScriptedChain;
let lines: string[];
/** What was durable when a transaction was sent. */
let durable: (string | undefined)[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'assay-raise-'));
  state = freshState(folder);
  script = scriptedChain({ answers: ACCOUNT, accountOf: account(), potWindow: 100 });
  [lines, durable] = [[], []];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

let slept: number;
function deps() {
  slept = 0;
  const { chain } = script;
  const watched: typeof chain = {
    ...chain,
    send(call) {
      durable.push(openState(folder).raised.get(proof.evidence)?.state);
      return chain.send(call);
    },
  };
  const clock = {
    sleep: async (ms: number) => {
      slept += ms;
    },
  };
  return {
    ...{ chain: watched, state, save: () => saveState(folder, state, 0) },
    rng: { bytes: (length: number) => new Uint8Array(length).fill(4) },
    clock: clock as never,
    print: (line: string) => void lines.push(line),
  };
}

describe('a proof', () => {
  test('is announced with a salt that is durable before, proven a second later, and never again', async () => {
    expect(await raise(deps(), proof)).toBe('proven');
    expect([script.sent, durable, slept]).toEqual([['announce', 'proveForkedLog'], ['found', 'announced'], 1_000]);
    expect(await raise(deps(), proof)).toBe('known');
    expect(script.sent).toHaveLength(2);
  });

  test('goes on after a crash where it was: announced once', async () => {
    script.reverts.proveForkedLog = 'Paused';
    expect(await raise(deps(), proof)).toBe('failed');
    const { salt } = state.raised.get(proof.evidence)!;
    state = openState(folder);
    delete script.reverts.proveForkedLog;
    expect(await raise(deps(), proof)).toBe('proven');
    expect(script.sent).toEqual(['announce', 'proveForkedLog']);
    expect(state.raised.get(proof.evidence)?.salt).toBe(salt);
  });

  test('that somebody else has brought is let go, before it is announced or after', async () => {
    script.views.accountOf = account({ convictedAt: 5 });
    expect([await raise(deps(), proof), script.sent]).toEqual(['late', []]);
    state.raised.clear();
    script.views.accountOf = account();
    script.reverts.proveForkedLog = 'Convicted';
    expect(await raise(deps(), proof)).toBe('late');
    expect(await raise(deps(), proof)).toBe('known');
    expect(script.sent).toEqual(['announce']);
  });

  test('against a key that nobody answers for is told, and nothing is sent', async () => {
    script.views.answers = NOBODY;
    expect([await raise(deps(), proof), script.sent]).toEqual(['unstaked', []]);
    expect(lines).toEqual([expect.stringContaining('no account answers for it')]);
  });
});

describe('the stake of who was convicted', () => {
  test('is divided once the time for victims is over, while there is any', async () => {
    await raise(deps(), proof);
    script.sent.length = 0;
    script.views.accountOf = account({ convictedAt: 950 });
    await collectProven(deps());
    expect(script.sent).toEqual([]);
    script.now = 1_050;
    for (const nothing of [{ active: 0n }, { frozen: 50n }]) {
      script.views.accountOf = account({ convictedAt: 950, ...nothing });
      await collectProven(deps());
    }
    expect(script.sent).toEqual([]);
    script.views.accountOf = account({ convictedAt: 950 });
    await collectProven(deps());
    expect(script.sent).toEqual(['collect']);
  });
});

describe('a demand', () => {
  const demand = (change: object = {}) => ({
    ...{ account: ACCOUNT, answerBy: 2_000, status: 1, fault: FAULT_HIDDEN_KEY, index: 2, expected: hashOf(6) },
    ...change,
  });
  const answer = (own: readonly Address[] = [ACCOUNT]) =>
    answerDemands({
      ...{ chain: script.chain, state, own: new Set(own), print: (line: string) => void lines.push(line) },
      openingOf: async () => null,
      keyOf: async (root, index) => (root === hashOf(6) ? { key: hashOf(index), path: [] } : null),
      secretOf: (commitment) => (commitment === hashOf(6) ? hashOf(7) : null),
    });
  beforeEach(() => {
    Object.assign(script.views, { answerWindow: 3_600, demandOf: demand() });
  });

  test('of an own account is answered with what was demanded', async () => {
    expect([await answer(), script.sent]).toEqual([1, ['answerKey']]);
    script.sent.length = 0;
    script.views.demandOf = demand({ fault: FAULT_HIDDEN_AUDIT });
    expect([await answer(), script.sent]).toEqual([1, ['answerAudit']]);
  });

  test('of nobody here, that is answered already, or whose time is over, is let be', async () => {
    expect(await answer([])).toBe(0);
    script.views.demandOf = demand({ status: 2 });
    expect(await answer()).toBe(0);
    script.views.demandOf = demand({ answerBy: 1_000 });
    expect(await answer()).toBe(0);
    expect([script.sent, lines]).toEqual([[], []]);
  });

  test('that cannot be answered is told of with its time, and looked for again', async () => {
    script.views.demandOf = demand({ fault: FAULT_NON_REVEAL });
    expect(await answer()).toBe(0);
    expect(lines).toEqual([expect.stringContaining('the opening is not to be had; due 1970')]);
    expect(state.fromBlock).toBeLessThan(36n);
    script.views.demandOf = demand();
    script.reverts.answerKey = 'WrongAnswer';
    expect([await answer(), lines.length]).toEqual([0, 2]);
    delete script.reverts.answerKey;
    expect(await answer()).toBe(1);
    expect(state.fromBlock).toBe(36n);
  });

  test('of this watcher is ended once its time is over, and forgotten once it has an end', async () => {
    state.demands.add(hashOf(3));
    const end = () => endSilences({ chain: script.chain, state, print: (line) => void lines.push(line) });
    await end();
    expect([script.sent, state.demands.size]).toEqual([[], 1]);
    script.now = 2_000;
    await end();
    expect([script.sent, state.demands.size]).toEqual([['endSilence'], 0]);
    state.demands.add(hashOf(3));
    script.views.demandOf = demand({ status: 2 });
    await end();
    expect([script.sent, state.demands.size]).toEqual([['endSilence'], 0]);
  });
});

describe('what a watcher remembers', () => {
  test('comes back as it was, proofs with their large numbers among it', () => {
    state.pending.set(proof.evidence, { ...proof, args: [{ size: 5n, path: [hashOf(1)] }] });
    state.mirror.leaves.append(hashOf(1));
    state.mirror.leaves.append(hashOf(2));
    saveState(folder, state, 0);
    const back = openState(folder);
    expect(back.pending).toEqual(state.pending);
    expect(back.mirror.leaves.rootOf(2)).toBe(state.mirror.leaves.rootOf(2));
    state.mirror.leaves.append(hashOf(3));
    saveState(folder, state, 2);
    expect(openState(folder).mirror.leaves.rootOf(3)).toBe(state.mirror.leaves.rootOf(3));
  });
});
