/** Signed draws of saved answers against the log's entry of their epoch: who draws by a key, index or snapshot of its own choice loses all (spec-chain.md C6). */
import type { InlineReceipt } from '#protocol/assay-member';
import type { StatementWire } from '#protocol/attestation';
import { drawKeyInTree } from '#protocol/draw';
import type { Domain } from '#protocol/eip712';
import { type ChainCheckpoint, chainCheckpoint, logLeaf } from '#protocol/log';
import { drawOf, drawSigner } from '#protocol/signed-draw';
import type { Recover } from '#protocol/signer';
import type { OpenedKey } from './demands.ts';
import { epochFields, loggedEpoch } from './epoch-keys.ts';
import { foreignDrawProof, type Proof } from './proofs.ts';
import type { SeenEpoch, WatchState } from './state.ts';

export interface DrawCourt {
  readonly domain: Domain;
  readonly recover: Recover;
  /** The log as it was seen, and the epochs in it. */
  readonly log: Pick<WatchState, 'mirror' | 'epochs'>;
  /** The newest head that the mirror holds to; null where there is none. */
  readonly head: ChainCheckpoint | null;
  /** A draw key as the gateway opens it, unchecked; null where it does not, or not yet. */
  readonly keyAt: (epoch: number, index: number) => Promise<OpenedKey | null>;
}

/** Shown in place of a key where none is looked at. */
const NO_KEY: OpenedKey = { key: `0x${'00'.repeat(32)}`, path: [] };

/** The proof that a signed draw is not of its epoch. None while the epoch's entry, or the key at the draw's place, is not there. */
export async function foreignDraws(
  receipt: InlineReceipt,
  statement: StatementWire,
  court: DrawCourt,
): Promise<Proof[]> {
  const { domain, recover, log, head } = court;
  const { draw: signed, checkpoint } = receipt;
  const { epoch: number, index, key } = statement.draw;
  const epoch = log.epochs.get(number);
  if (signed === undefined || head === null || epoch === undefined || !isShown(log, head, number, epoch)) return [];
  // A log of another name has epochs of its own (SPEC.md §9.4).
  if (chainCheckpoint(domain, checkpoint, recover)?.origin !== head.origin) return [];
  const signer = drawSigner(domain, recover, statement, signed);
  if (signer === null) return [];
  const against = await keyAgainst(statement, epoch, () => court.keyAt(number, index));
  if (against === null || (against !== NO_KEY && against.key === key)) return [];
  const draw = drawOf(statement, signed.orderHash);
  return [foreignDrawProof(draw, signed.signature, signer, head, loggedEpoch(log, head, number), against)];
}

/** Whether the contract can read the epoch's entry, as it writes it out, under the head. */
function isShown(
  { mirror }: Pick<WatchState, 'mirror'>,
  head: ChainCheckpoint,
  number: number,
  epoch: SeenEpoch,
): boolean {
  if (head.size > mirror.leaves.size || epoch.place >= head.size) return false;
  const { auditCommitment, auditPpm, atMs, ...entry } = epochFields(number, epoch);
  const commitment = epoch.audits === null ? {} : { auditCommitment };
  const trials = auditPpm === 0 ? {} : { auditPpm };
  const text = { type: 'epoch' as const, ...entry, ...commitment, ...trials, atMs: Number(atMs) };
  return logLeaf(text) === mirror.leaves.at(epoch.place);
}

/** The key that the epoch's root holds at the draw's place; `NO_KEY` where snapshot or index are foreign already, null where it is not to be had. */
async function keyAgainst(
  { draw }: StatementWire,
  { snapshotHash, drawSize, drawRoot }: SeenEpoch,
  read: () => Promise<OpenedKey | null>,
): Promise<OpenedKey | null> {
  if (draw.snapshotHash !== snapshotHash || draw.index >= drawSize) return NO_KEY;
  const isIn = ({ key, path }: OpenedKey) => drawKeyInTree(draw.index, key, path, drawSize, drawRoot);
  // Nearly always the statement itself shows that its key is the right one.
  if (isIn(draw)) return draw;
  const opened = await read();
  return opened !== null && isIn(opened) ? opened : null;
}
