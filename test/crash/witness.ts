/**
 * Everything that left a gateway under its signature, kept outside of it: tickets, permissions, checkpoints, statements. What
 * is seen twice must be the same both times, whatever crashed in between (SPEC.md §11.7).
 */
import { parseAttestation } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { type Hash, ZERO_HASH } from '#protocol/hash';
import { type LogKeys, openCheckpoint } from '#protocol/log';
import type { PermissionOrder, TicketWire } from '#protocol/messages';
import { recoverNative } from '#protocol/signer-native';

/** One answer that a client has in hand. */
export interface SeenAnswer {
  readonly requestId: string;
  readonly statementJson: string;
  readonly chargedNano: bigint;
  readonly logIndex: number;
}

export class Witness {
  /** jobId to canonical ticket. */
  readonly tickets = new Map<string, string>();
  /** `roundId/index` to root. */
  readonly roots = new Map<string, string>();
  /** Hashes of checkpoints that tickets carried. */
  readonly checkpointHashes = new Set<Hash>();
  /** Size to root of every signed note. */
  readonly checkpoints = new Map<number, Hash>();
  readonly answers = new Map<string, SeenAnswer>();
  readonly #byLogIndex = new Map<number, string>();
  readonly #byDraw = new Map<string, string>();
  readonly #keys: LogKeys;
  readonly #report: (problem: string) => void;

  constructor(keys: LogKeys, report: (problem: string) => void) {
    this.#keys = keys;
    this.#report = report;
  }

  ticket(ticket: TicketWire): void {
    this.#once(this.tickets, ticket.jobId, canonicalJson(ticket), 'two tickets for one job');
    if (ticket.checkpoint !== ZERO_HASH) this.checkpointHashes.add(ticket.checkpoint as Hash);
  }

  permission({ permission: { roundId, index, roundRoot } }: PermissionOrder): void {
    this.#once(this.roots, `${roundId}/${index}`, roundRoot, 'two roots for one round');
  }

  note(note: string): void {
    const checkpoint = openCheckpoint(LOCAL_DOMAIN, this.#keys, note, recoverNative);
    if (checkpoint === null) this.#report(`a note is not signed by the log: ${note.split('\n')[1]}`);
    else this.#once(this.checkpoints, checkpoint.size, checkpoint.root, 'two roots for one size of the log');
  }

  attestation(compact: string): void {
    const parsed = parseAttestation(compact);
    if (parsed === null) {
      this.#report('an attestation is malformed');
      return;
    }
    const { requestId, logIndex, price, draw } = parsed.statement;
    const statementJson = canonicalJson(parsed.wire);
    const seen = this.answers.get(requestId);
    if (seen && seen.statementJson !== statementJson) this.#report(`two statements for request ${requestId}`);
    this.answers.set(requestId, { requestId, statementJson, chargedNano: BigInt(price.chargedNano), logIndex });
    this.#once(this.#byLogIndex, logIndex, requestId, 'two statements for one place in the log');
    this.#once(this.#byDraw, `${draw.epoch}/${draw.index}`, requestId, 'two statements for one draw');
  }

  #once<K extends string | number, V extends string>(seen: Map<K, V>, key: K, value: V, problem: string): void {
    const before = seen.get(key);
    if (before !== undefined && before !== value) this.#report(`${problem}: ${key}`);
    seen.set(key, value);
  }
}
