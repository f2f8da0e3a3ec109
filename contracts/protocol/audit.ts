/** Audit draws: which answers are audited and whose scorers are tried, by keys that are committed before an epoch and opened after it (SPEC.md §8.1). Pure. */
import type { AuditKind } from './audit-words.ts';
import { drawOrder, type Snapshot } from './draw.ts';
import { type Address, concat, fromHex, type Hash, hmacSha256, taggedHash, toHex, u32, u64, utf8 } from './hash.ts';
import { PPM } from './log.ts';
import { TAGS } from './version.ts';

/** The secret of an epoch's audits; it says nothing about its draw keys. */
export function auditSecret(epochSecret: Uint8Array, epoch: number): Hash {
  return toHex(hmacSha256(epochSecret, concat(utf8(TAGS.auditSecret), Uint8Array.of(0), u64(BigInt(epoch)))));
}

/** What the log holds of it from the epoch's beginning. */
export function auditCommitment(secret: Hash): Hash {
  return toHex(taggedHash(TAGS.auditCommitment, fromHex(secret)));
}

/** What an answer promises of its audits; signed with it, fixed before anybody generates. */
export interface AuditTerms {
  /** Of a million choices, how many are audited. */
  readonly ppm: number;
  /** Of a million audits, how many are a whole answer by another provider; the others are scores. */
  readonly regeneratePpm: number;
  /** From the answer to the audit's entry in the log, at most; milliseconds. */
  readonly withinMs: number;
}

/** The choice of an answer that an audit would be about. */
export interface AuditedChoice {
  readonly drawIndex: number;
  readonly choice: number;
  /** The client's part, which the gateway does not choose. */
  readonly bodyHash: Hash;
}

/** All that an audit of one choice depends on; each of its numbers comes from a word of its own. */
export class AuditDraw {
  readonly #seed: Uint8Array;

  constructor(secret: Hash, { drawIndex, choice, bodyHash }: AuditedChoice) {
    const parts = [utf8(TAGS.audit), Uint8Array.of(0), u32(drawIndex), u32(choice), fromHex(bodyHash)];
    this.#seed = hmacSha256(fromHex(secret), concat(...parts));
  }

  /** Whether a scorer is tried over the choice. @param ppm millionths */
  isDue(ppm: number): boolean {
    return this.number('due', PPM) < ppm;
  }

  /** Whether the choice itself is audited: of an answer that says so. */
  isAudited({ ppm }: Pick<AuditTerms, 'ppm'>): boolean {
    return this.number('audit', PPM) < ppm;
  }

  kind({ regeneratePpm }: Pick<AuditTerms, 'regeneratePpm'>): AuditKind {
    return this.number('kind', PPM) < regeneratePpm ? 'regenerate' : 'score';
  }

  /** Every other audit is begun at once, the others at a time of their own. @param mostMs below 2^32 @returns milliseconds after the answer, below `mostMs` */
  delayMs(mostMs: number): number {
    return mostMs === 0 || this.number('later', 2) === 0 ? 0 : this.number('delay', mostMs);
  }

  /** A number from 0 to below `below`; 64 random bits modulo at most 2^32 are off by 2^-32. */
  number(word: string, below: number): number {
    const bytes = hmacSha256(this.#seed, utf8(word));
    const point = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
    return Number(point % BigInt(below));
  }

  /** Whose scorer is tried, first to last: the draw of §8 under a seed of this audit. */
  order(snapshot: Snapshot, modelDigest: Hash): Address[] {
    return this.#order('order', snapshot, modelDigest);
  }

  /** Who audits, first to last; another order, so that nobody is asked twice about the same tokens. */
  auditors(snapshot: Snapshot, modelDigest: Hash): Address[] {
    return this.#order('auditors', snapshot, modelDigest);
  }

  #order(word: string, snapshot: Snapshot, modelDigest: Hash): Address[] {
    return drawOrder(snapshot, modelDigest, hmacSha256(this.#seed, utf8(word)));
  }
}
