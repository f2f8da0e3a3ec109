/** What trials have shown about every scorer, as the public log has it; whoever lies goes into quarantine (spec-judge.md §7.13). */
import type { Clock } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import { type LogEntry, zLogEntry } from '#protocol/log';
import { recordTrial, SCORER_AT_START, type ScorerRecord, scorerStanding } from '#protocol/scorer-record';
import type { LogKeeper } from '../attest/log-keeper.ts';
import { jackpotTransfer } from '../ledger/jackpot.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/handle.ts';
import { applyTransfer } from '../store/ledger-repo.ts';
import { trialEntries } from '../store/log-repo.ts';
import type { Exclusions } from './exclusions.ts';

/** The quarantine's reason in the log. */
export const LYING_SCORER = 'lying-scorer';

export interface ScorerRecordsDeps {
  readonly store: Store;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly lines: Pick<Log, 'info' | 'warn'>;
  readonly clock: Clock;
  readonly exclusions: Pick<Exclusions, 'quarantine'>;
}

/** One trial that taught something. */
export interface TrialResult {
  readonly provider: Address;
  readonly requestId: string;
  readonly choice: number;
  readonly outcome: 'right' | 'wrong';
  /** Hash of the signed scores that show it. */
  readonly evidenceHash: Hash;
  /** What it earns for the planted error that it found; 0 where there was none, or it did not. */
  readonly jackpotNano: bigint;
}

export class ScorerRecords {
  readonly #deps: ScorerRecordsDeps;
  readonly #records = new Map<Address, ScorerRecord>();

  constructor(deps: ScorerRecordsDeps) {
    this.#deps = deps;
  }

  /** Reads every trial of the log: what is known after a restart is what was known before, bit for bit. */
  async start(): Promise<void> {
    const leaves = await this.#deps.store.read(trialEntries);
    this.#records.clear();
    for (const { entryJson } of leaves) this.#count(zLogEntry.parse(JSON.parse(entryJson)));
  }

  of(provider: Address): ScorerRecord {
    return this.#records.get(provider) ?? SCORER_AT_START;
  }

  /**
   * Logs one trial with its prize, and counts it; a scorer whose wealth has grown too large is passed over from now on.
   * @throws {ProtocolError} reserve_empty where the prize cannot be paid: then nothing is logged
   */
  async add({ jackpotNano, ...trial }: TrialResult): Promise<void> {
    const { store, log, lines, clock, exclusions } = this.#deps;
    const { provider, requestId, choice, outcome, evidenceHash } = trial;
    const atMs = clock.nowMs();
    const prize = jackpotNano > 0n ? { jackpotNano: jackpotNano.toString() } : {};
    const entry: LogEntry = { type: 'trial', ...trial, ...prize, atMs };
    const logIndex = await store.withTx(async (tx) => {
      if (jackpotNano > 0n) {
        await applyTransfer(tx, jackpotTransfer({ requestId, choice, provider, amountNano: jackpotNano }), atMs);
      }
      return log.append(tx, entry);
    });
    this.#count(entry);
    lines.info('scorer_tried', { provider, requestId, code: outcome, logIndex });
    if (scorerStanding(this.of(provider)) === 'trusted') return;
    lines.warn('scorer_lies', { provider, fault: 'lying_scorer', count: this.of(provider).wrong });
    await exclusions.quarantine(provider, LYING_SCORER, evidenceHash);
  }

  #count(entry: LogEntry): void {
    if (entry.type !== 'trial') return;
    this.#records.set(entry.provider, recordTrial(this.of(entry.provider), entry.outcome === 'wrong'));
  }
}
