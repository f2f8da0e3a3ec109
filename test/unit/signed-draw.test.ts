/** The signed order of a draw, as the offline verifier reads it in a receipt (SPEC.md §10.4, item `draw`). */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { InlineReceipt } from '#protocol/assay-member';
import { type StatementWire, zStatement } from '#protocol/attestation';
import { drawKey, drawKeyPath, drawKeyTree, orderHash, snapshotHash } from '#protocol/draw';
import { drawSigner, signDraw } from '#protocol/signed-draw';
import { portableSigner, recoverPortable } from '#protocol/signer';
import { checkDraw } from '#protocol/verify-log';

const vectors = JSON.parse(readFileSync(new URL('../vectors/attestation.json', import.meta.url), 'utf8')) as {
  compactAttestation: { input: { statement: StatementWire } }[];
};
const given = vectors.compactAttestation[0]!.input.statement;
const domain = { chainId: 31_337n, verifyingContract: `0x${'5a'.repeat(20)}` } as const;
const signer = portableSigner(new Uint8Array(32).fill(7));
const secret = new Uint8Array(32).fill(3);
const SIZE = 4;

const { modelDigest } = given.request;
const entries = [1, 2, 3].map((n) => {
  const address = `0x${String(n).repeat(40)}` as const;
  return { address, operator: `operator-${n}`, stakeNano: String(n), modelDigests: [modelDigest] };
});
const snapshot = { capNano: '10', entries };
const { root, levels } = drawKeyTree(secret, 0, SIZE);
const key = { key: drawKey(secret, 0, 1), path: drawKeyPath(levels, 1) };
const statement = zStatement.parse({
  ...given,
  draw: { epoch: 0, index: 1, ...key, size: SIZE, snapshotHash: snapshotHash(snapshot), skipped: [] },
});

function textWith(draw: InlineReceipt['draw'], isSigned = true): string {
  const hash = snapshotHash(snapshot);
  const entry = { type: 'epoch', epoch: 0, drawRoot: root, drawSize: SIZE, snapshotHash: hash, atMs: 1 } as const;
  const receipt = { checkpoint: '', inclusion: [], epoch: { index: 0, entry, inclusion: [] }, snapshot, draw };
  return JSON.stringify(checkDraw(statement, receipt, isSigned));
}

it('is the gateway’s own, and names its key, its body and its order', () => {
  const signed = signDraw(domain, signer, statement, snapshot);
  expect(drawSigner(domain, recoverPortable, statement, signed)).toBe(signer.address);
  const other = { ...statement, bodyHash: statement.requestHash };
  expect(drawSigner(domain, recoverPortable, other, signed)).not.toBe(signer.address);
});

it('is refused where it is another order than its key leads to, or nobody of the gateway has signed it', () => {
  const wrong = { ...signDraw(domain, signer, statement, snapshot), orderHash: orderHash([]) };
  expect(textWith(wrong)).toContain('the signed order is not the one that the opened key leads to');
  const right = signDraw(domain, signer, statement, snapshot);
  expect(textWith(right, false)).toContain('the order is not signed by the gateway');
  // The seats of the vector are others; about the order nothing is wrong.
  for (const draw of [right, undefined]) expect(textWith(draw)).not.toContain('order');
});
