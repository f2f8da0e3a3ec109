/** Entries of the log about answers that were given: looked at again, overturned, standing again (SPEC.md §8.3, §9.1). Pure. */
import { z } from 'zod';
import { AUDIT_KINDS } from './audit-words.ts';
import { canonicalJson } from './canonical.ts';
import type { Domain } from './eip712.ts';
import { type Address, type Hash, type Hex, sha256, toHex, utf8 } from './hash.ts';
import { zAddress, zHash, zSignature, zText, zTimeMs, zU32 } from './schema.ts';
import type { Recover, Signer } from './signer.ts';
import { digests } from './typed.ts';
import { FAULTS, type Fault } from './verdict.ts';

const zId = zText(128);

/** What looking at an answer again showed; a wrong one is argued about before it is overturned. */
export const SEEN_OUTCOMES = ['held', 'rejected', 'inconclusive'] as const;
export type SeenOutcome = (typeof SEEN_OUTCOMES)[number];

/** One answer that was looked at again after its provider was convicted of another. */
export const zReexaminedEntry = z.strictObject({
  type: z.literal('reexamined'),
  requestId: zId,
  choice: zU32,
  /** Whose answer it was. */
  provider: zAddress,
  /** The conviction that led to it. */
  disputeId: zHash,
  kind: z.enum(AUDIT_KINDS),
  /** Null where nobody could be had. */
  auditor: zAddress.nullable(),
  outcome: z.enum(SEEN_OUTCOMES),
  /** Of what the auditors signed; zero where there is none. */
  evidenceHash: zHash,
  atMs: zTimeMs,
});

/** Why an answer is overturned, signed by the gateway that had attested it. */
const zOverturnStatement = z.strictObject({
  /** Of the statement that it takes back. */
  statementHash: zHash,
  fault: z.enum(FAULTS),
  /** Of the accusation that was upheld. */
  reason: zId,
  gateway: zAddress,
  signature: zSignature,
});

export const zOverturnedEntry = z.strictObject({
  type: z.literal('overturned'),
  requestId: zId,
  disputeId: zHash,
  /** Absent in entries from before there were any. */
  statement: zOverturnStatement.optional(),
  atMs: zTimeMs,
});
export type OverturnedEntry = z.output<typeof zOverturnedEntry>;

/** The ruling that had overturned the answer was replaced on appeal. */
export const zReinstatedEntry = z.strictObject({
  type: z.literal('reinstated'),
  requestId: zId,
  disputeId: zHash,
  atMs: zTimeMs,
});

/** Kind and place of the statement among the moves of its dispute: after everything that parties do. */
const OVERTURN_KIND = 'overturned';
const OVERTURN_SEQUENCE = 5;

interface Overturn {
  readonly requestId: string;
  readonly disputeId: Hash;
  readonly statementHash: Hash;
  readonly fault: Fault;
  readonly reason: string;
  readonly atMs: number;
}

/** What is signed: an EIP-712 `DisputeMove` over all that the entry says. */
function overturnDigest(domain: Domain, { disputeId, atMs, ...said }: Overturn): Uint8Array {
  const { requestId, statementHash, fault, reason } = said;
  const bodyHash = toHex(sha256(utf8(canonicalJson({ requestId, statementHash, fault, reason }))));
  return digests.disputeMove(domain, { disputeId, sequence: OVERTURN_SEQUENCE, kind: OVERTURN_KIND, bodyHash, atMs });
}

/** The entry that overturns an answer. */
export function overturnedEntry(
  { domain, signer }: { readonly domain: Domain; readonly signer: Signer },
  overturn: Overturn,
): OverturnedEntry {
  const { requestId, disputeId, statementHash, fault, reason, atMs } = overturn;
  const signature: Hex = signer.sign(overturnDigest(domain, overturn));
  const statement = { statementHash, fault, reason, gateway: signer.address, signature };
  return { type: 'overturned', requestId, disputeId, statement, atMs };
}

/** Who has signed the entry's statement; null where it has none, or nobody's. */
export function overturnSigner(domain: Domain, entry: OverturnedEntry, recover: Recover): Address | null {
  const { statement, requestId, disputeId, atMs } = entry;
  if (statement === undefined) return null;
  const { statementHash, fault, reason, signature } = statement;
  const signer = recover(
    overturnDigest(domain, { requestId, disputeId, statementHash, fault, reason, atMs }),
    signature,
  );
  return signer === statement.gateway ? signer : null;
}
