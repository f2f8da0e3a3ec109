/** Answers that clients have saved, against the log that the watcher has seen: receipts are signatures that a gateway cannot take back. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { InlineReceipt } from '#protocol/assay-member';
import { claimsOf, parseAttestation, type StatementWire, sealOf, wavesOf } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { snapshotHash } from '#protocol/draw';
import type { Domain } from '#protocol/eip712';
import { fromHex, type Hash, toHex, utf8 } from '#protocol/hash';
import { type ChainCheckpoint, chainCheckpoint, logLeaf } from '#protocol/log';
import { verifyInclusion } from '#protocol/merkle';
import { drawOf, drawSigner, trueOrderHash } from '#protocol/signed-draw';
import { digests } from '#protocol/typed';
import { answerEntry } from '#protocol/verify-log';
import { parseSavedResponse } from '#protocol/verify-saved';
import { CommandError } from '../cli/command-io.ts';
import { type DrawCourt, foreignDraws } from './foreign-draws.ts';
import { leafOfEntry } from './log-mirror.ts';
import {
  falseDrawProof,
  forkedLogProof,
  notLoggedProof,
  type PlacedLeaf,
  type Proof,
  repeatedClaimProof,
  rewrittenLogProof,
  type SignedSeal,
} from './proofs.ts';

/** Largest file that is read: what `assay verify` takes. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

export interface SavedCourt extends DrawCourt {
  /** The gateway's entry at an index, to be checked against the mirror. */
  readonly entryAt: (index: number) => Promise<unknown>;
}

/** All that the files of a folder prove against their gateway. @throws {CommandError} where the folder cannot be read */
export async function savedProofs(folder: string, court: SavedCourt): Promise<Proof[]> {
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch {
    throw new CommandError(`the folder ${folder} cannot be read`);
  }
  const proofs: Proof[] = [];
  for (const name of names) {
    const file = path.join(folder, name);
    const about = statSync(file);
    if (!about.isFile() || about.size > FILE_BYTES_MAX) continue;
    const assay = parseSavedResponse(readFileSync(file, 'utf8'))?.assay ?? null;
    if (assay === null || assay.attestation === null) continue;
    proofs.push(...(await proofsOf(assay.attestation, assay.receipt, court)));
  }
  return proofs;
}

/** What one attestation with its receipt proves. */
export async function proofsOf(compact: string, receipt: InlineReceipt | null, court: SavedCourt): Promise<Proof[]> {
  const opened = parseAttestation(compact);
  if (opened === null) return [];
  const { domain, recover } = court;
  const seal = sealOf(domain, opened.wire);
  const key = recover(digests.attestation(domain, seal), opened.signature);
  if (key === null) return [];
  const signed = { seal, signature: opened.signature, key };
  const entry = logLeaf(answerEntry(opened.wire));
  const proofs = receipt === null ? [] : forksIn(receipt, { leaf: entry, index: seal.logIndex }, court);
  if (receipt !== null) {
    proofs.push(...falseDraws(receipt, opened.wire, court), ...(await foreignDraws(receipt, opened.wire, court)));
  }
  return [...proofs, ...repeatedClaims(signed, opened, domain), ...(await notLogged(signed, entry, court))];
}

/** The receipt's checkpoint is of another log than the one that was seen. */
function forksIn(receipt: InlineReceipt, answer: Omit<PlacedLeaf, 'path'>, { domain, recover, log }: SavedCourt) {
  const { mirror } = log;
  const theirs = chainCheckpoint(domain, receipt.checkpoint, recover);
  if (theirs === null) return [];
  const ours = mirror.heads.filter(({ origin }) => origin === theirs.origin);
  const twin = ours.find(({ size, root }) => size === theirs.size && root !== theirs.root);
  if (twin !== undefined) return [forkedLogProof(twin, theirs)];
  if (theirs.size <= mirror.leaves.size && mirror.leaves.rootOf(theirs.size) === theirs.root) return [];
  const { epoch, inclusion } = receipt;
  const placed: PlacedLeaf[] = [
    { ...answer, path: inclusion },
    { leaf: logLeaf(epoch.entry), index: epoch.index, path: epoch.inclusion },
  ];
  for (const place of placed) {
    const own = mirror.leaves.at(place.index);
    const head = ours.findLast(({ size }) => size > place.index && size <= mirror.leaves.size);
    if (own === undefined || own === place.leaf || head === undefined || !isUnder(place, theirs)) continue;
    const ownPlace = { leaf: own, index: place.index, path: mirror.leaves.pathUnder(place.index, head.size) };
    return [rewrittenLogProof(head, ownPlace, theirs, place)];
  }
  return [];
}

function isUnder({ leaf, index, path: proof }: PlacedLeaf, { size, root }: ChainCheckpoint): boolean {
  return verifyInclusion(fromHex(leaf), index, size, proof.map(fromHex), fromHex(root));
}

function repeatedClaims(
  signed: SignedSeal,
  { statement }: NonNullable<ReturnType<typeof parseAttestation>>,
  domain: Domain,
): Proof[] {
  const all = claimsOf(wavesOf(statement)).map((claim) => toHex(digests.claim(domain, claim)));
  const second = all.findIndex((digest, at) => all.indexOf(digest) !== at);
  return second < 0 ? [] : [repeatedClaimProof(signed, all, all.indexOf(all[second]!), second)];
}

/** The order that was signed is not the one that key, body and registry lead to. */
function falseDraws({ draw, snapshot }: InlineReceipt, statement: StatementWire, { domain, recover }: SavedCourt) {
  if (draw === undefined || snapshotHash(snapshot) !== statement.draw.snapshotHash) return [];
  if (trueOrderHash(statement, snapshot) === draw.orderHash) return [];
  const key = drawSigner(domain, recover, statement, draw);
  if (key === null) return [];
  const entries = snapshot.entries.map(({ address, modelDigests, stakeNano, ...others }) => {
    const inner = canonicalJson(others).slice(1, -1);
    const rest = toHex(utf8(inner === '' ? '' : `,${inner}`));
    return { provider: address, modelDigests, rest, stakeNano: BigInt(stakeNano) };
  });
  return [falseDrawProof(drawOf(statement, draw.orderHash), draw.signature, key, BigInt(snapshot.capNano), entries)];
}

/** The attestation names a place in the log that holds another entry. */
async function notLogged(signed: SignedSeal, leaf: Hash, { log, head, entryAt }: SavedCourt): Promise<Proof[]> {
  const { mirror } = log;
  const { logIndex, statementHash } = signed.seal;
  const own = mirror.leaves.at(logIndex);
  if (head === null || head.size > mirror.leaves.size || logIndex >= head.size || own === leaf) return [];
  const entry = await entryAt(logIndex);
  if (entry === undefined || leafOfEntry(entry) !== own) return [];
  const text = canonicalJson(entry);
  // As the contract reads it: an entry of this statement contradicts nothing, whatever else it says.
  if (text.endsWith(`,"statementHash":"${statementHash}","type":"answer"}`)) return [];
  return [notLoggedProof(signed, head, utf8(text), mirror.leaves.pathUnder(logIndex, head.size))];
}
