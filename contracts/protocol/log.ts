/** The public log: entries, and checkpoints in C2SP tlog-checkpoint note form with two signatures (SPEC.md §9). */
import { ed25519 } from '@noble/curves/ed25519.js';
import { z } from 'zod';
import { zOverturnedEntry, zReexaminedEntry, zReinstatedEntry } from './aftermath.ts';
import { AUDIT_KINDS, AUDIT_OUTCOMES } from './audit-words.ts';
import { canonicalJson } from './canonical.ts';
import type { Domain } from './eip712.ts';
import { zExaminationEndEntry, zExaminationEntry, zExaminedEntry } from './examination.ts';
import { type Address, concat, fromHex, type Hash, type Hex, sha256, toHex, u8, utf8 } from './hash.ts';
import { leafHash } from './merkle.ts';
import { zAddress, zHash, zNano, zText, zTimeMs, zU32 } from './schema.ts';
import type { Recover } from './signer.ts';
import { digests } from './typed.ts';
import { BETS, FACTOR_SCALE } from './wealth.ts';

/** What a trial of a scorer came to; nothing is logged of one that taught nothing. */
export const TRIAL_OUTCOMES = ['right', 'wrong'] as const;
/** Rates of audits count in millionths. */
export const PPM = 1_000_000;
/** Candidates that one audit may pass over. */
export const AUDITORS_MAX = 64;
const zId = zText(128);
/** Sizes of logs, as notes carry them. */
const zU53 = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Largest factor of one response, in units of 2^-30: 128 (spec-judge.md §7.10). */
const FACTOR_UNITS_MAX = 128 * FACTOR_SCALE;
/** Scorers of one response. */
const CONFIRMATIONS_MAX = 16;

/** One response of an operator's machine, as it was counted in the operator's account of evidence (spec-judge.md §7.10). */
export const zScoredEntry = z.strictObject({
  type: z.literal('scored'),
  operator: zId,
  modelDigest: zHash,
  /** The machine that generated it. */
  provider: zAddress,
  /** Its job. */
  responseHash: zHash,
  /** Clients of the account, numbered as they appear: who they are is nobody's business. */
  client: zU32,
  /** Whether the gateway chose the prompt. */
  own: z.boolean(),
  /** The drawn scorer first, then those that confirmed it; the digests are what they signed. */
  scores: z
    .array(z.strictObject({ operator: zId, scoreHash: zHash }))
    .min(1)
    .max(CONFIRMATIONS_MAX),
  /** Of the calibration by which it was judged. */
  calibration: zHash,
  /** In units of 2^-30, in the order of `BETS`. */
  factors: z.array(z.int().min(0).max(FACTOR_UNITS_MAX)).length(BETS.length),
  /** Where the account stands after it. */
  stage: z.enum(['clear', 'quarantine', 'slash']),
  atMs: zTimeMs,
});
export type ScoredEntry = z.output<typeof zScoredEntry>;

/** Entries of the log: ids and hashes only, never content. */
export const zLogEntry = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('epoch'),
    epoch: zU32,
    drawRoot: zHash,
    drawSize: zU32,
    snapshotHash: zHash,
    /** Of the audits of this epoch; absent in epochs from before there were any. */
    auditCommitment: zHash.optional(),
    /** After how many of a million answers a scorer is tried; absent where none is. */
    auditPpm: zU32.max(PPM).optional(),
    atMs: zTimeMs,
  }),
  z.strictObject({
    type: z.literal('answer'),
    requestId: zId,
    epoch: zU32,
    drawIndex: zU32,
    statementHash: zHash,
    atMs: zTimeMs,
  }),
  z.strictObject({
    type: z.literal('aborted'),
    requestId: zId,
    epoch: zU32,
    drawIndex: zU32,
    code: zId,
    atMs: zTimeMs,
  }),
  z.strictObject({ type: z.literal('skip'), provider: zAddress, reason: zId, evidenceHash: zHash, atMs: zTimeMs }),
  z.strictObject({ type: z.literal('dispute'), disputeId: zHash, moveHash: zHash, kind: zId, atMs: zTimeMs }),
  z.strictObject({
    type: z.literal('deadline'),
    modelDigest: zHash,
    numericClass: zText(256),
    paceMicros: zU32,
    load: zU32,
    atMs: zTimeMs,
  }),
  z.strictObject({ type: z.literal('audit'), epoch: zU32, secret: zHash, atMs: zTimeMs }),
  z.strictObject({
    type: z.literal('trial'),
    provider: zAddress,
    requestId: zId,
    choice: zU32,
    outcome: z.enum(TRIAL_OUTCOMES),
    evidenceHash: zHash,
    /** What the scorer was paid for the planted error that it found, in nano-units; absent where there was none. */
    jackpotNano: zNano.optional(),
    atMs: zTimeMs,
  }),
  z.strictObject({
    type: z.literal('audited'),
    requestId: zId,
    choice: zU32,
    /** Whose answer it was. */
    provider: zAddress,
    kind: z.enum(AUDIT_KINDS),
    /** Null where nobody could be had. */
    auditor: zAddress.nullable(),
    outcome: z.enum(AUDIT_OUTCOMES),
    /** Of what the auditors signed; zero where there is none. */
    evidenceHash: zHash,
    /** Entries that say why those who were drawn before the auditor were passed over. */
    skipped: z.array(zU32).max(AUDITORS_MAX),
    atMs: zTimeMs,
  }),
  zScoredEntry,
  zExaminationEntry,
  zExaminedEntry,
  zExaminationEndEntry,
  zReexaminedEntry,
  zOverturnedEntry,
  zReinstatedEntry,
  z.strictObject({
    type: z.literal('key'),
    keyId: zId,
    use: z.enum(['gateway', 'log', 'referee']),
    value: zText(130),
    atMs: zTimeMs,
  }),
  z.strictObject({
    type: z.literal('origin'),
    origin: zId,
    previous: zId,
    previousSize: zU53,
    previousRoot: zHash,
    atMs: zTimeMs,
  }),
]);
export type LogEntry = z.output<typeof zLogEntry>;

/** The text of an entry (RFC 8785), as the log stores and serves it. */
export function logEntryText(entry: LogEntry): string {
  return canonicalJson(entry);
}

/** The bytes of an entry. */
export function logEntryBytes(entry: LogEntry): Uint8Array {
  return utf8(logEntryText(entry));
}

/** The RFC 6962 leaf hash of an entry. */
export function logLeaf(entry: LogEntry): Hash {
  return toHex(leafHash(logEntryBytes(entry)));
}

/** Signature type bytes of C2SP signed-note: Ed25519 is 0x01, 0xff announces a longer identifier. */
const NOTE_ED25519 = u8(0x01);
const NOTE_EIP712 = concat(u8(0xff), utf8('assay-eip712-secp256k1'));

function keyHash(name: string, type: Uint8Array, publicPart: Uint8Array): Uint8Array {
  return sha256(concat(utf8(`${name}\n`), type, publicPart)).subarray(0, 4);
}

/** Who may sign checkpoints of a log. */
export interface LogKeys {
  readonly origin: string;
  /** 32 bytes. */
  readonly ed25519: Hash;
  readonly address: Address;
}

/** Both private operations of a log, injected. */
export interface LogSigner extends LogKeys {
  signNote(message: Uint8Array): Uint8Array;
  signDigest(digest: Uint8Array): `0x${string}`;
}

export interface Checkpoint {
  readonly size: number;
  readonly root: Hash;
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function noteBody(origin: string, checkpoint: Checkpoint): string {
  return `${origin}\n${checkpoint.size}\n${base64(fromHex(checkpoint.root))}\n`;
}

/** The signed note of a checkpoint: body, blank line, one Ed25519 and one EIP-712 signature line. */
export function signCheckpoint(domain: Domain, signer: LogSigner, checkpoint: Checkpoint): string {
  const body = noteBody(signer.origin, checkpoint);
  const line = (hash: Uint8Array, signature: Uint8Array) =>
    `\u2014 ${signer.origin} ${base64(concat(hash, signature))}\n`;
  const noteLine = line(keyHash(signer.origin, NOTE_ED25519, fromHex(signer.ed25519)), signer.signNote(utf8(body)));
  const digest = digests.checkpoint(domain, { origin: signer.origin, ...checkpoint });
  const chainLine = line(
    keyHash(signer.origin, NOTE_EIP712, fromHex(signer.address)),
    fromHex(signer.signDigest(digest)),
  );
  return `${body}\n${noteLine}${chainLine}`;
}

/** Hash of a checkpoint's note body, as tickets and claims carry it. */
export function checkpointHash(origin: string, checkpoint: Checkpoint): Hash {
  return toHex(sha256(utf8(noteBody(origin, checkpoint))));
}

/** A note taken apart: its checkpoint, its body, and the bytes of the log's signature lines. */
interface OpenNote {
  readonly origin: string;
  readonly checkpoint: Checkpoint;
  readonly body: string;
  readonly signatures: readonly Uint8Array[];
}

function openNote(note: string): OpenNote | null {
  const match =
    /^([^\n]{1,256})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n\n((?:\u2014 [^\n]{1,512}\n){1,16})$/.exec(note);
  if (!match) return null;
  const origin = match[1]!;
  const rootBytes = fromBase64(match[3]!);
  const size = Number(match[2]);
  if (rootBytes?.length !== 32 || !Number.isSafeInteger(size)) return null;
  const checkpoint = { size, root: toHex(rootBytes) };
  const body = noteBody(origin, checkpoint);
  // What is verified must be what was read: a root in a second base64 spelling is not the signed text.
  if (!note.startsWith(`${body}\n`)) return null;
  const prefix = `\u2014 ${origin} `;
  const signatures = match[4]!
    .slice(0, -1)
    .split('\n')
    .flatMap((line) => (line.startsWith(prefix) ? (fromBase64(line.slice(prefix.length)) ?? []) : []));
  return { origin, checkpoint, body, signatures };
}

/** Parses a note and checks that both of the log's signatures are on it; null otherwise. */
export function openCheckpoint(domain: Domain, keys: LogKeys, note: string, recover: Recover): Checkpoint | null {
  const open = openNote(note);
  if (open === null || open.origin !== keys.origin) return null;
  const { checkpoint, body, signatures } = open;
  const bySigner = (type: Uint8Array, publicPart: Uint8Array): Uint8Array | undefined => {
    const hash = toHex(keyHash(keys.origin, type, publicPart));
    return signatures.find((bytes) => toHex(bytes.subarray(0, 4)) === hash)?.subarray(4);
  };
  const note1 = bySigner(NOTE_ED25519, fromHex(keys.ed25519));
  const note2 = bySigner(NOTE_EIP712, fromHex(keys.address));
  if (note1?.length !== 64 || note2?.length !== 65) return null;
  const digest = digests.checkpoint(domain, { origin: keys.origin, ...checkpoint });
  if (recover(digest, toHex(note2)) !== keys.address) return null;
  // RFC 8032 rules rather than ZIP215's looser ones: what existing note tools reject is rejected here too.
  return ed25519.verify(note1, utf8(body), fromHex(keys.ed25519), { zip215: false }) ? checkpoint : null;
}

/** A checkpoint with a signature that a contract reads. */
export interface ChainCheckpoint extends Checkpoint {
  readonly origin: string;
  readonly address: Address;
  readonly signature: Hex;
}

/** A note as evidence: the signature line for the chain alone counts, whoever signed it; null where there is none. */
export function chainCheckpoint(domain: Domain, note: string, recover: Recover): ChainCheckpoint | null {
  const open = openNote(note);
  if (open === null) return null;
  const { origin, checkpoint } = open;
  const digest = digests.checkpoint(domain, { origin, ...checkpoint });
  for (const bytes of open.signatures) {
    const signature = toHex(bytes.subarray(4));
    const address = bytes.length === 69 ? recover(digest, signature) : null;
    if (address === null) continue;
    const hash = keyHash(origin, NOTE_EIP712, fromHex(address));
    if (toHex(bytes.subarray(0, 4)) === toHex(hash)) return { origin, ...checkpoint, address, signature };
  }
  return null;
}
