/** The shared vectors in the EVM: every hash, signature and proof that a contract reads, byte for byte as in TypeScript. */
import { expect, it } from 'vitest';
import { auditCommitment } from '#protocol/audit';
import { canonicalJson } from '#protocol/canonical';
import { claimChanges } from '#protocol/chain-messages';
import type { Hex } from '#protocol/hash';
import { clientNonceHash } from '#protocol/request';
import type { Claim } from '#protocol/typed';
import { abis, anvil, call, draws, entries, numbers, run } from './evm-harness.ts';

/** Structs that contracts hash, by the harness' function for them. */
const STRUCTS: Readonly<Record<string, string>> = {
  Request: 'requestHash',
  Ticket: 'ticketHash',
  Commitment: 'commitmentHash',
  Permission: 'permissionHash',
  Reveal: 'openingHash',
  Claim: 'claimHash',
  Attestation: 'attestationHash',
  Checkpoint: 'checkpointHash',
  Draw: 'drawHash',
};
/** Structs of which the function takes the fields one by one. */
const SPREAD = new Set(['Commitment', 'Permission']);

const ZERO: Hex = `0x${'00'.repeat(20)}`;
const NO_WORD: Hex = `0x${'00'.repeat(32)}`;

interface TypedInput {
  readonly struct: string;
  readonly domain: { readonly chainId: string; readonly verifyingContract: Hex };
  readonly value: Readonly<Record<string, unknown>>;
}

run(
  'struct hashes',
  entries('eip712', 'typedDigest').filter(({ input }) => (input as TypedInput).struct in STRUCTS),
  async ({ name, input, output, expect: expected }) => {
    if (expected !== 'success') return;
    const { struct, value } = input as TypedInput;
    const args = SPREAD.has(struct) ? Object.values(value) : [numbers(value)];
    expect(await call(STRUCTS[struct]!, args), name).toBe((output as { structHash: Hex }).structHash);
  },
);

const claims = entries('eip712', 'typedDigest').filter(
  ({ input, expect: expected }) => (input as TypedInput).struct === 'Claim' && expected === 'success',
);
run('claims as what they change of the first', claims, async ({ name, input, output }) => {
  const [first, second] = [(claims[0]!.input as TypedInput).value, (input as TypedInput).value] as unknown as [
    Claim,
    Claim,
  ];
  const { places, words } = claimChanges(first, second);
  const hash = await call('changedClaimHash', [first, places, words]);
  expect(hash, name).toBe((output as { structHash: Hex }).structHash);
});

run('digests and signers', entries('eip712', 'typedDigest'), async ({ name, input, output, expect: expected }) => {
  if (expected !== 'success') return;
  const { domain } = input as TypedInput;
  const out = output as { structHash: Hex; digest: Hex; address: Hex; signature: Hex };
  await anvil.setChainId(BigInt(domain.chainId));
  const address = await anvil.domainOf(domain.verifyingContract);
  const read = (functionName: string, args: readonly unknown[]) =>
    anvil.client.readContract({ address, abi: abis.domain, functionName, args });
  expect(await read('digestOf', [out.structHash]), name).toBe(out.digest);
  expect(((await read('signerOf', [out.structHash, out.signature])) as string).toLowerCase(), name).toBe(out.address);
});

run('recovery', entries('eip712', 'recover'), async ({ name, input, output, expect: expected }) => {
  const { digest, signature } = input as { digest: Hex; signature: Hex };
  if (digest.length !== 66) return expect(expected, name).not.toBe('success');
  const address = await anvil.domainOf(ZERO);
  const recovered = await anvil.client
    .readContract({ address, abi: abis.domain, functionName: 'recover', args: [digest, signature] })
    .catch(() => null);
  expect((recovered as string | null)?.toLowerCase() ?? null, name).toBe(expected === 'success' ? output : null);
});

interface Inclusion {
  readonly leaf: Hex;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Hex[];
  readonly root: Hex;
}

/** What does not fit the contract's types is refused before it gets there. */
const fits = (...words: readonly unknown[]): boolean =>
  words
    .flat()
    .every((word) =>
      typeof word === 'string' ? word.length === 66 : Number.isSafeInteger(word) && (word as number) >= 0,
    );

run('inclusion proofs', entries('merkle', 'verifyInclusion'), async ({ name, input, expect: expected }) => {
  const { leaf, index, size, path, root } = input as Inclusion;
  if (!fits(index, size, [...path], root)) return expect(expected, name).not.toBe('success');
  const leafHash = await call('leafHash', [leaf]);
  const holds = await call('verifyInclusion', [leafHash, BigInt(index), BigInt(size), path, root]);
  expect(holds, name).toBe(expected === 'success');
});

interface Consistency {
  readonly oldSize: number;
  readonly oldRoot: Hex;
  readonly newSize: number;
  readonly newRoot: Hex;
  readonly path: readonly Hex[];
}

run('consistency proofs', entries('merkle', 'verifyConsistency'), async ({ name, input, expect: expected }) => {
  const { oldSize, oldRoot, newSize, newRoot, path } = input as Consistency;
  if (!fits(oldSize, newSize, oldRoot, newRoot, [...path])) return expect(expected, name).not.toBe('success');
  const holds = await call('verifyConsistency', [BigInt(oldSize), oldRoot, BigInt(newSize), newRoot, path]);
  expect(holds, name).toBe(expected === 'success');
});

run('commitments', entries('rounds', 'commitmentHash'), async ({ name, input, output, expect: expected }) => {
  if (expected !== 'success') return;
  const { provider, opening } = input as { provider: Hex; opening: Record<string, unknown> };
  expect(await call('commitment', [provider, numbers(opening)]), name).toBe(output);
});

run('round leaves and roots', entries('rounds', 'commitmentInRound'), async ({ name, input, expect: expected }) => {
  const { round, slot, commitment, path } = input as {
    round: { roundId: Hex; index: number; roundRoot: Hex };
    slot: number;
    commitment: Hex;
    path: readonly Hex[];
  };
  if (!fits(round.index, slot, [...path], commitment) || slot > 255) return expect(expected, name).not.toBe('success');
  const leaf = await call('roundLeaf', [round.roundId, round.index, slot, commitment]);
  const holds = await call('verifyInclusion', [leaf, BigInt(slot), 16n, path, round.roundRoot]);
  expect(holds, name).toBe(expected === 'success');
});

run('log leaves', entries('log', 'logLeaf'), async ({ name, input, output, expect: expected }) => {
  if (expected !== 'success') return;
  const text: Hex = `0x${Buffer.from(canonicalJson(input)).toString('hex')}`;
  expect(await call('leafHash', [text]), name).toBe(output);
});

/** Entries of epochs as the contracts write them out, with audits and without. */
run(
  'entries of epochs',
  entries('log', 'logLeaf').filter(({ input }) => (input as { type: string }).type === 'epoch'),
  async ({ name, input }) => {
    const entry = numbers({ auditCommitment: NO_WORD, auditPpm: 0, ...(input as Record<string, unknown>) });
    const text = (await call('epochText', [entry])) as Hex;
    expect(Buffer.from(text.slice(2), 'hex').toString('utf8'), name).toBe(canonicalJson(input));
  },
);

it('agrees on commitments of audits', async () => {
  for (const secret of [NO_WORD, `0x${'a5'.repeat(32)}` as const]) {
    expect(await call('auditCommitment', [secret])).toBe(auditCommitment(secret));
  }
});

run('choice seeds', entries('hashes', 'choiceSeed'), async ({ name, input, output, expect: expected }) => {
  if (expected !== 'success') return;
  const { seed, choice } = input as { seed: string; choice: number };
  expect(String(await call('choiceSeed', [BigInt(seed), choice])), name).toBe(output);
});

run('draw keys', entries('draw', 'drawKeyInTree'), async ({ name, input, expect: expected }) => {
  const { index, key, path, size, root } = input as { index: number; key: Hex; path: Hex[]; size: number; root: Hex };
  if (!fits(index, size, [...path], key, root)) return expect(expected, name).not.toBe('success');
  const leaf = await call('drawKeyLeaf', [index, key]);
  expect(await call('verifyInclusion', [leaf, BigInt(index), BigInt(size), path, root]), name).toBe(
    expected === 'success',
  );
});

run('draw seeds', entries('draw', 'drawSeed'), async ({ name, input, output }) => {
  const { key, bodyHash, clientNonce } = input as { key: Hex; bodyHash: Hex; clientNonce: string | null };
  const nonceHash: Hex = `0x${Buffer.from(clientNonceHash(clientNonce)).toString('hex')}`;
  expect(await call('drawSeed', [key, bodyHash, nonceHash]), name).toBe(output);
});

interface Snapshot {
  readonly capNano: string;
  readonly entries: readonly ({ address: Hex; modelDigests: Hex[]; stakeNano: string } & Record<string, unknown>)[];
}

/** Entries as the contract takes them: fields, and the raw part between digests and stake. */
async function entriesOf(snapshot: Snapshot): Promise<unknown[]> {
  return snapshot.entries.map(({ address, modelDigests, stakeNano, ...rest }) => {
    const inner = canonicalJson(rest).slice(1, -1);
    const text = inner === '' ? '' : `,${inner}`;
    return {
      provider: address,
      modelDigests,
      rest: `0x${Buffer.from(text).toString('hex')}`,
      stakeNano: BigInt(stakeNano),
    };
  });
}

run('snapshots', entries('draw', 'snapshotHash'), async ({ name, input, output }) => {
  const snapshot = input as Snapshot;
  const args = [BigInt(snapshot.capNano), await entriesOf(snapshot)];
  const hash = await anvil.client.readContract({ address: draws, abi: abis.draws, functionName: 'snapshotHash', args });
  expect(hash, name).toBe(output);
});

run('orders', entries('draw', 'drawOrder'), async ({ name, input, output }) => {
  const { snapshot, modelDigest, seed } = input as { snapshot: Snapshot; modelDigest: Hex; seed: Hex };
  const args = [BigInt(snapshot.capNano), await entriesOf(snapshot), modelDigest, seed];
  const order = await anvil.client.readContract({ address: draws, abi: abis.draws, functionName: 'orderOf', args });
  expect(
    (order as string[]).map((address) => address.toLowerCase()),
    name,
  ).toEqual(output);
});

run(
  'claims of an attestation',
  entries('attestation', 'claimsHash'),
  async ({ name, input, output, expect: expected }) => {
    if (expected !== 'success') return;
    const { domain, claims } = input as {
      domain: { chainId: string; verifyingContract: Hex };
      claims: Record<string, unknown>[];
    };
    await anvil.setChainId(BigInt(domain.chainId));
    const address = await anvil.domainOf(domain.verifyingContract);
    const digests: unknown[] = [];
    for (const claim of claims) {
      const args = [await call('claimHash', [numbers(claim)])];
      digests.push(await anvil.client.readContract({ address, abi: abis.domain, functionName: 'digestOf', args }));
    }
    expect(await call('claims', [digests]), name).toBe(output);
  },
);

run('earnings leaves', entries('chain', 'earningsLeaf'), async ({ name, input, output, expect: expected }) => {
  if (expected !== 'success') return;
  const { payee, cumulative } = input as { payee: Hex; cumulative: string };
  expect(await call('earningsLeaf', [payee, BigInt(cumulative)]), name).toBe(output);
});

run('earnings in their trees', entries('chain', 'earningInTree'), async ({ name, input, expect: expected }) => {
  const { payee, cumulative, leafIndex, path, earnings } = input as {
    payee: Hex;
    cumulative: string;
    leafIndex: number;
    path: readonly Hex[];
    earnings: { root: Hex; leafCount: string };
  };
  const leaf = await call('earningsLeaf', [payee, BigInt(cumulative)]);
  const args = [leaf, BigInt(leafIndex), BigInt(earnings.leafCount), path, earnings.root];
  expect(await call('includesEarning', args), name).toBe(expected === 'success');
});

run('order hashes', entries('chain', 'orderHash'), async ({ name, input, output }) => {
  expect(await call('order', [(input as { addresses: Hex[] }).addresses]), name).toBe(output);
});
