/** Attestations signed once they are durable, and the receipts that prove them in the log (SPEC.md §10). */
import { type AssayMemberWire, assayMember } from '#protocol/assay-member';
import { compactForm, type Receipt, type StatementWire, sealOf } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import type { Domain } from '#protocol/eip712';
import { ProtocolError } from '#protocol/errors';
import type { Hash, Hex } from '#protocol/hash';
import { signDraw } from '#protocol/signed-draw';
import type { Signer } from '#protocol/signer';
import { digests } from '#protocol/typed';
import type { EpochKeeper } from '../committee/epochs.ts';
import {
  attestationOf,
  setAttestationSignature,
  setReceipt,
  signedFormOf,
  unsignedAttestations,
} from '../store/attestations-repo.ts';
import type { Store } from '../store/handle.ts';
import { setCheckpointNote } from '../store/log-repo.ts';
import type { LogKeeper, RecordedCheckpoint, SignedCheckpoint } from './log-keeper.ts';
import type { SigningKeys } from './signing-keys.ts';

export interface ReceiptDeps {
  readonly store: Store;
  readonly keys: Pick<SigningKeys, 'of'>;
  readonly domain: Domain;
  readonly log: LogKeeper;
  readonly epochs: EpochKeeper;
}

/** What is kept of an answered request, and whether a ruling has taken it back since. */
export interface FoundAttestation {
  readonly receipt: Receipt;
  readonly statement: StatementWire;
  readonly overturnedBy: Hash | null;
  readonly overturnedAtMs: number | null;
}

export class ReceiptDesk {
  readonly #deps: ReceiptDeps;

  constructor(deps: ReceiptDeps) {
    this.#deps = deps;
  }

  /** Signs what a crash left durable and unsigned; signing again gives the same bytes. */
  async start(): Promise<void> {
    const rows = await this.#deps.store.read(unsignedAttestations);
    for (const row of rows) await this.#sign(row.requestId, JSON.parse(row.statementJson!) as StatementWire);
  }

  /**
   * Signs a statement and a checkpoint that the settlement has made durable together. What is signed is stored afterwards:
   * a crash before that signs the same bytes again.
   * @param text the statement's canonical JSON
   * @returns the receipt, and the storing that may go on behind the answer
   */
  async seal(
    statement: StatementWire,
    text: string,
    recorded: RecordedCheckpoint,
  ): Promise<{ receipt: Receipt; stored: () => Promise<void> }> {
    const { log, store } = this.#deps;
    const { requestId } = statement;
    const checkpoint = await log.signShared(recorded);
    const signature = this.#signatureOf(statement, text);
    const receipt = await this.#receiptOf(compactForm(text, signature), statement, checkpoint);
    // With whatever is committed next: both signatures are made again, byte for byte, where a crash comes first.
    const stored = () =>
      store.withTx(async (tx) => {
        await setCheckpointNote(tx, checkpoint.size, checkpoint.note);
        // The receipt itself is most of what an answer would write, and is made again when somebody asks for it.
        await setAttestationSignature(tx, requestId, signature);
      }, 'soon');
    return { receipt, stored };
  }

  /** The receipt of an answered request. @throws {ProtocolError} not_found where there is none, or no longer */
  async find(requestId: string): Promise<FoundAttestation> {
    const row = await this.#deps.store.read((handle) => attestationOf(handle, requestId));
    if (!row || row.statementJson === null) throw new ProtocolError('not_found', 'There is no such attestation.');
    const statement = JSON.parse(row.statementJson) as StatementWire;
    const { overturnedBy, overturnedAtMs } = row;
    const stored = row.receiptJson === null ? null : (JSON.parse(row.receiptJson) as Receipt);
    return {
      receipt: stored ?? (await this.#sealAgain(statement, signedFormOf(row))),
      statement,
      overturnedBy,
      overturnedAtMs,
    };
  }

  /** The `assay` member of an answer. */
  member(receipt: Receipt, statement: StatementWire, url: string): AssayMemberWire {
    const { attestation, ...inline } = receipt;
    return assayMember({
      id: statement.requestId,
      verdict: statement.verdict,
      attestation,
      receipt: inline,
      gateway: statement.gateway,
      domain: this.#deps.domain,
      log: this.#deps.log.keys,
      url,
    });
  }

  /** The receipt under the newest checkpoint, kept from now on; signed again where a crash kept the signature from being stored. */
  async #sealAgain(statement: StatementWire, signed: string | null): Promise<Receipt> {
    const { log, store } = this.#deps;
    const compact = signed ?? (await this.#sign(statement.requestId, statement));
    const receipt = await this.#receiptOf(compact, statement, await log.covering(statement.logIndex));
    await store.withTx((tx) => setReceipt(tx, statement.requestId, canonicalJson(receipt)));
    return receipt;
  }

  /** By the key that the statement names, which may be one of the past. */
  #signatureOf(statement: StatementWire, text: string): Hex {
    const { domain } = this.#deps;
    return this.#signerOf(statement).sign(digests.attestation(domain, sealOf(domain, statement, text)));
  }

  #signerOf({ gateway }: StatementWire): Signer {
    const signer = this.#deps.keys.of(gateway);
    if (signer === null) throw new ProtocolError('internal_error', 'The key of an answer is unknown.');
    return signer;
  }

  async #sign(requestId: string, statement: StatementWire): Promise<string> {
    const { store } = this.#deps;
    const text = canonicalJson(statement);
    const signature = this.#signatureOf(statement, text);
    await store.withTx((tx) => setAttestationSignature(tx, requestId, signature));
    return compactForm(text, signature);
  }

  async #receiptOf(attestation: string, statement: StatementWire, checkpoint: SignedCheckpoint): Promise<Receipt> {
    const { log, epochs, domain } = this.#deps;
    const epoch = await epochs.byNumber(statement.draw.epoch);
    if (!epoch) throw new ProtocolError('internal_error', 'The epoch of an answer is unknown.');
    return {
      attestation,
      checkpoint: checkpoint.note,
      inclusion: await log.inclusion(statement.logIndex, checkpoint.size),
      epoch: {
        index: epoch.logIndex,
        entry: epoch.entry,
        inclusion: await log.inclusion(epoch.logIndex, checkpoint.size),
      },
      snapshot: epoch.snapshot as Receipt['snapshot'],
      // Nobody could hold it against a gateway that is on no chain.
      ...(domain.chainId === 0n
        ? {}
        : { draw: signDraw(domain, this.#signerOf(statement), statement, epoch.snapshot) }),
    };
  }
}
