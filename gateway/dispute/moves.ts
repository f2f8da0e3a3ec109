/** Moves of a dispute: signed by the gateway, hashed into the log (DESIGN §8). */
import { canonicalJson } from '#protocol/canonical';
import type { Domain } from '#protocol/eip712';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import type { LogEntry } from '#protocol/log';
import type { Signer } from '#protocol/signer';
import { digests } from '#protocol/typed';
import type { DisputeMove } from '../store/disputes-repo.ts';

export type MoveKind = 'opened' | 'evidence' | 'ruled' | 'settled';

/** Place of each kind in a dispute's life. */
const SEQUENCE: Readonly<Record<MoveKind, number>> = { opened: 0, evidence: 1, ruled: 2, settled: 3 };

/** One signed move and the entry that makes it public. */
export interface SignedMove {
  readonly move: DisputeMove;
  readonly entry: LogEntry;
}

/**
 * @param body ids, hashes and numbers only: moves are public
 */
export function signMove(
  issuer: { readonly signer: Signer; readonly domain: Domain },
  disputeId: Hash,
  kind: MoveKind,
  body: Readonly<Record<string, string | number | boolean | null>>,
  atMs: number,
): SignedMove {
  const moveJson = canonicalJson(body);
  const bodyHash = toHex(sha256(utf8(moveJson)));
  const digest = digests.disputeMove(issuer.domain, { disputeId, sequence: SEQUENCE[kind], kind, bodyHash, atMs });
  return {
    move: { kind, moveJson, signature: issuer.signer.sign(digest), atMs },
    entry: { type: 'dispute', disputeId, moveHash: toHex(digest), kind, atMs },
  };
}
