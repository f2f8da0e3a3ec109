/** Who may take an answer back: a statement in the log that a key of the gateway has signed, about this very answer (SPEC.md §8.3, §10.4). */
import { describe, expect, test } from 'vitest';
import { overturnedEntry, overturnSigner } from '#protocol/aftermath';
import type { InlineReceipt } from '#protocol/assay-member';
import { type Statement, type StatementWire, statementHash } from '#protocol/attestation';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { type LogEntry, type LogKeys, logEntryBytes, signCheckpoint } from '#protocol/log';
import { leafHash, merkleRoot } from '#protocol/merkle';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { checkStanding } from '#protocol/verify-standing';
import type { DisputeBundle } from '../../gateway/dispute/bundle.ts';
import { overturns } from '../../gateway/dispute/overturn.ts';
import { testLogSigner } from '../fixtures/network.ts';

const signerOf = (name: string) => nativeSigner(sha256(utf8(name)));
const [gateway, next, stranger] = ['gateway', 'next gateway', 'stranger'].map(signerOf) as [
  ReturnType<typeof signerOf>,
  ReturnType<typeof signerOf>,
  ReturnType<typeof signerOf>,
];
const LOG = testLogSigner(gateway);
const KEYS: LogKeys = LOG;
const HASH: Hash = `0x${'ab'.repeat(32)}`;
const wire = { requestId: 'req_1', logIndex: 1 } as unknown as StatementWire;
const statement = { requestId: 'req_1', logIndex: 1, gateway: gateway.address } as unknown as Statement;

const key = (keyId: string, { address: value }: ReturnType<typeof signerOf>): LogEntry => {
  return { type: 'key', keyId, use: 'gateway', value, atMs: 1 };
};
const answer: LogEntry = {
  ...{ type: 'answer', requestId: 'req_1', epoch: 0, drawIndex: 0 },
  ...{ statementHash: statementHash(wire), atMs: 2 },
};
const fall = (signer = gateway, change: { requestId?: string; statementHash?: Hash } = {}) =>
  overturnedEntry(
    { domain: LOCAL_DOMAIN, signer },
    {
      ...{ requestId: 'req_1', disputeId: HASH, statementHash: statementHash(wire) },
      ...{ fault: 'wrong_output', reason: 'rejected_by_audit', atMs: 3, ...change },
    },
  );
const lift: LogEntry = { type: 'reinstated', requestId: 'req_1', disputeId: HASH, atMs: 4 };

function standing(...entries: readonly LogEntry[]) {
  const all = [key('gateway-1', gateway), answer, ...entries];
  const root = toHex(merkleRoot(all.map((entry) => leafHash(logEntryBytes(entry)))));
  const checkpoint = signCheckpoint(LOCAL_DOMAIN, LOG, { size: all.length, root });
  const receipt = { checkpoint } as unknown as InlineReceipt;
  const how = { domain: LOCAL_DOMAIN, keys: KEYS, recover: recoverNative };
  return checkStanding({ statement, wire }, receipt, { checkpoint, entries: all }, how);
}

describe('an answer', () => {
  test('stands until the log says otherwise, and again once that is lifted', () => {
    expect(standing()).toMatchObject({ status: 'proved' });
    expect(standing(fall(gateway, { requestId: 'req_2' }))).toMatchObject({ status: 'proved' });
    expect(standing(fall(), lift)).toMatchObject({ status: 'proved' });
    expect(standing(fall(), lift, fall())).toMatchObject({ status: 'failed' });
  });

  test('has fallen by a statement of the gateway, of now or of a later key, with the reason', () => {
    const detail = `overturned: wrong_output, rejected_by_audit, dispute ${HASH}`;
    expect(standing(fall())).toEqual({ name: 'standing', status: 'failed', detail });
    expect(standing(key('gateway-2', next), fall(next))).toEqual({ name: 'standing', status: 'failed', detail });
    // From before such statements.
    const { statement: _, ...bare } = fall();
    expect(standing(bare)).toMatchObject({ status: 'failed', detail: `overturned by dispute ${HASH}` });
  });

  test.each([
    ['a stranger has signed', fall(stranger), 'no key of the gateway'],
    ['nobody has signed so', { ...fall(), atMs: 9 }, 'no key of the gateway'],
    ['a key has signed that the log does not know yet', fall(next), 'no key of the gateway'],
    ['is about another statement', fall(gateway, { statementHash: HASH }), 'another statement'],
  ])('is not said to have fallen by one that %s', (_, entry, problem) => {
    expect(standing(entry)).toMatchObject({ status: 'failed', detail: expect.stringContaining(problem) });
  });
});

test('an answer falls with the tokens that were served, and not with another’s false end of the same tokens', () => {
  const bundle = (reason: string, provider: string, tokens: readonly number[] = [1, 2]) =>
    ({
      ...{ fault: 'wrong_output', reason, accused: { provider, tokens } },
      served: { provider: 'p0', tokens: [1, 2], divergesAt: null },
    }) as unknown as DisputeBundle;
  expect(overturns(bundle('rejected_by_audit', 'p0'), 'upheld')).toBe(true);
  expect(overturns(bundle('rejected_by_audit', 'p0'), 'rejected')).toBe(false);
  expect(overturns(bundle('rejected_by_scorers', 'p1'), 'upheld')).toBe(true);
  expect(overturns(bundle('rejected_by_scorers', 'p1', [1, 3]), 'upheld')).toBe(false);
  expect(overturns(bundle('shape:not_ended', 'p1'), 'upheld')).toBe(false);
  expect(overturns(bundle('shape:not_ended', 'p0'), 'upheld')).toBe(true);
});

test('a signature is over all that the statement says', () => {
  const entry = fall();
  const signerOfThis = (change: object) =>
    overturnSigner(LOCAL_DOMAIN, { ...entry, ...change, statement: { ...entry.statement!, ...change } }, recoverNative);
  expect(signerOfThis({})).toBe(gateway.address);
  for (const change of [
    { requestId: 'req_2' },
    { disputeId: `0x${'cd'.repeat(32)}` },
    { atMs: 9 },
    { fault: 'bad_evidence' },
    { reason: 'other' },
    { statementHash: HASH },
    { gateway: stranger.address },
  ]) {
    expect(signerOfThis(change)).toBeNull();
  }
});
