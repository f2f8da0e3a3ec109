/** Orders, shares and trees of earnings against vectors that Python made from spec-chain.md (scripts/chain_cases.py). */
import { z } from 'zod';
import { rightHash } from '#protocol/chain-messages';
import { orderHash } from '#protocol/draw';
import { earningInTree, earningsLeaf, earningsRootId, earningsTree } from '#protocol/earnings';
import { toHex } from '#protocol/hash';
import { zAddress, zHash } from '#protocol/schema';
import { rule, runVectors, zHex } from './read-vectors.ts';

/** Without bounds: what is outside must be refused by the functions themselves. */
const zWhole = z.string().transform(BigInt);
const zEarning = { payee: zHex, cumulative: zWhole };
const zRoot = z.strictObject({ root: zHash, leafCount: zWhole, total: zWhole, logSize: zWhole, logRoot: zHash });
const addresses = z.strictObject({ addresses: z.array(zAddress) });
const outOfRange = { out_of_range: 'throws' } as const;

runVectors('./chain.json', {
  earningsLeaf: rule(
    z.strictObject(zEarning),
    ({ payee, cumulative }) => toHex(earningsLeaf(payee, cumulative)),
    outOfRange,
  ),
  earningsTree: rule(
    z.strictObject({ earnings: z.array(z.strictObject(zEarning)) }),
    ({ earnings }) => {
      const { entries, root, total, placeOf } = earningsTree(earnings);
      const payees = entries.map(({ payee }) => payee);
      return { payees, root, total: total.toString(), paths: payees.map((payee) => placeOf(payee)!.path) };
    },
    outOfRange,
  ),
  earningInTree: rule(
    z.strictObject({ ...zEarning, leafIndex: z.number(), path: z.array(zHash), earnings: zRoot }),
    ({ leafIndex, path, earnings, ...earning }) => earningInTree(earning, { leafIndex, path }, earnings),
    { invalid_proof: false },
  ),
  earningsRootId: rule(zRoot, earningsRootId),
  orderHash: rule(addresses, (input) => orderHash(input.addresses)),
  rightHash: rule(addresses, (input) => rightHash(input.addresses)),
});
