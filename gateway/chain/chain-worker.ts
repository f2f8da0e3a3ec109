/**
 * The gateway's work on a chain, step after step (spec-chain.md C9): read, register, settle, send, compare. One that is killed between any
 * two of its writes goes on from the database; it keeps nothing that it could not read again.
 */
import type { EarningsProofWire, PendingEarningsWire } from '#protocol/earnings';
import type { Clock } from '#protocol/env';
import type { Address } from '#protocol/hash';
import type { Recover, Signer } from '#protocol/signer';
import { errorFields, type Log } from '../log.ts';
import { appliedBlock } from '../store/chain-blocks-repo.ts';
import { keepDecimals, storedDecimals } from '../store/chain-network-repo.ts';
import { intentCounts } from '../store/chain-outbox-repo.ts';
import type { Store } from '../store/handle.ts';
import { attestedRight } from './attested-right.ts';
import { REDEEM_INTENT, ROOT_INTENT } from './calls.ts';
import { type CaseDeps, followCases, openCases } from './cases.ts';
import type { ChainClient } from './chain-client.ts';
import type { ChainSetup, ChainStatus } from './chain-setup.ts';
import { answerDemands, type DemandDeps, type DemandView } from './demands.ts';
import { earningsProof, pendingEarnings } from './earnings-proof.ts';
import { type EscrowKeyWire, type EscrowView, escrowView, takeEscrowKey } from './escrow-keys.ts';
import { Follower } from './follower.ts';
import { Outbox } from './outbox.ts';
import { raiseEvidence } from './raise-evidence.ts';
import { readStanding } from './read-standing.ts';
import { type Difference, differencesIn } from './reconcile.ts';
import { type RegistrationProblem, register } from './registration.ts';
import { type RootLog, Settlement } from './settlement.ts';
import { baseOf, DECIMALS_MAX, nanoOf } from './units.ts';
import { takeVoice, type VoiceWire } from './voices.ts';
import { retryVouchers, takeVoucher, type VoucherWire } from './vouchers.ts';

export interface ChainWorkerDeps extends ChainSetup {
  readonly store: Store;
  readonly clock: Clock;
  readonly recover: Recover;
  readonly log: RootLog;
  readonly events: Log;
  readonly signers: () => Promise<readonly Signer[]>;
  readonly openedKey: DemandDeps['openedKey'];
  readonly openedAudits: DemandDeps['openedAudits'];
  /** Stakes have changed: the next draw is from another registry. */
  readonly onStakes: () => void;
}

interface Parts {
  readonly decimals: number;
  readonly follower: Follower;
  readonly settlement: Settlement;
}

export class ChainWorker {
  readonly #deps: ChainWorkerDeps;
  readonly #outbox: Outbox;
  #parts: Parts | null = null;
  #registration: RegistrationProblem | 'unknown' | null = 'unknown';
  #differences: readonly Difference[] = [];
  #comparedAtMs: number | null = null;
  #shortNano = 0n;
  #demands: readonly DemandView[] = [];
  #lacksBond = false;

  constructor(deps: ChainWorkerDeps) {
    this.#deps = deps;
    const { events } = deps;
    this.#outbox = new Outbox({
      ...deps,
      onMove: (move) => {
        const { key, kind, txHash, blockNumber, reason } = move;
        events.info('chain_transaction', { intent: key, code: kind, txHash, block: blockNumber, reason });
        deps.onMove?.(move);
      },
      onSendFailed: (key, error) => events.warn('chain_send_failed', { intent: key, ...errorFields(error) }),
    });
  }

  /** Goes on until the signal: a chain that does not answer is asked again. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, terms, events } = this.#deps;
    while (!signal.aborted) {
      await this.tick().catch((error: unknown) => events.warn('chain_step_failed', errorFields(error)));
      await clock.sleep(terms.pollMs, signal).catch(() => undefined);
    }
  }

  /** One look at the chain and everything that follows from it. @throws whatever the connection fails with */
  async tick(): Promise<void> {
    const { settlement, follower } = await this.#ready();
    const isWhole = await follower.step();
    if (isWhole) await this.#prepare(settlement);
    if (this.#isComparisonDue()) await this.compare();
    if (isWhole && (await this.#maySettle(settlement))) await settlement.decide();
    if (isWhole) await settlement.post();
    // Nothing that waits is paid out while there is a difference; what has a nonce goes on, or all behind it would stand still.
    await this.#outbox.step((key) => this.#maySend(key));
  }

  /** Compares ledger and chain now. @returns what differs */
  async compare(): Promise<readonly Difference[]> {
    const { store, client, account, clock, events } = this.#deps;
    const { decimals } = await this.#ready();
    const standing = await readStanding(store, client, account, decimals, this.#outbox.takenNonces);
    if (standing === null) return [];
    const found = differencesIn(standing);
    const isNew = JSON.stringify(found) !== JSON.stringify(this.#differences);
    for (const { code, subject, expected, found: is } of isNew ? found : []) {
      events.error('chain_difference', { code, intent: subject, reason: `expected ${expected}, found ${is}` });
    }
    this.#differences = found;
    this.#comparedAtMs = clock.nowMs();
    return found;
  }

  /** The proof with which a payee claims; null where there is nothing to claim. */
  proofOf(payee: Address): Promise<EarningsProofWire | null> {
    const { store, account } = this.#deps;
    return store.read((handle) => earningsProof(handle, account, payee));
  }

  /** What the newest root that is not active yet gives a payee; null where there is none. */
  pendingOf(payee: Address): Promise<PendingEarningsWire | null> {
    const { store, account } = this.#deps;
    return store.read((handle) => pendingEarnings(handle, account, payee));
  }

  /** @throws {ProtocolError} where it is not good */
  async takeVoucher(voucher: VoucherWire): Promise<{ isNew: boolean }> {
    return takeVoucher(await this.#escrow(), voucher, this.#deps.clock.nowMs());
  }

  /** @throws {ProtocolError} where it is not good */
  async takeEscrowKey(statement: EscrowKeyWire): Promise<{ keyId: string; isNew: boolean }> {
    return takeEscrowKey(await this.#escrow(), statement, this.#deps.clock.nowMs());
  }

  /** What a client has in escrow here; null where it has never had anything. */
  async escrowOf(client: Address): Promise<EscrowView | null> {
    const escrow = await this.#escrow();
    return this.#deps.store.read((handle) => escrowView(handle, escrow, client));
  }

  /** @throws {ProtocolError} where nobody is asked, or it is no referee's */
  async takeVoice(disputeId: string, voice: VoiceWire): Promise<void> {
    await takeVoice({ ...this.#deps, domain: this.#deps.network.domain }, disputeId, voice);
  }

  /** Differences that stop payouts now; for metrics. */
  get differences(): readonly Difference[] {
    return this.#differences;
  }

  get client(): ChainClient {
    return this.#deps.client;
  }

  async status(): Promise<ChainStatus> {
    const [applied, intents] = await this.#deps.store.read(async (handle) => [
      await appliedBlock(handle),
      await intentCounts(handle),
    ]);
    return {
      appliedBlock: applied?.number ?? null,
      registration: this.#registration,
      differences: this.#differences,
      comparedAtMs: this.#comparedAtMs,
      shortNano: this.#shortNano,
      demands: this.#demands,
      lacksBond: this.#lacksBond,
      intents,
    };
  }

  async #prepare(settlement: Settlement): Promise<void> {
    const { store, clock, network } = this.#deps;
    const applied = await store.read(appliedBlock);
    if (applied === null) return;
    // Once the chain knows the gateway, it is asked again before every root.
    if (this.#registration !== null) await this.#register(applied.number);
    await retryVouchers(store, clock.nowMs());
    await raiseEvidence(store, clock, network.addresses);
    await this.#answer(applied.number);
    const cases = await this.#caseDeps();
    this.#lacksBond = !(await openCases(cases, applied.number));
    await followCases(cases, applied.number);
    await settlement.post();
  }

  async #caseDeps(): Promise<CaseDeps> {
    const { network } = this.#deps;
    const { decimals } = await this.#ready();
    return { ...this.#deps, contracts: network.addresses, token: network.token, decimals, attested: attestedRight };
  }

  async #answer(blockNumber: number): Promise<void> {
    const { network, events } = this.#deps;
    const before = new Map(this.#demands.map(({ id, answer }) => [id, answer]));
    this.#demands = await answerDemands({ ...this.#deps, contracts: network.addresses }, blockNumber);
    for (const { id, answer } of this.#demands) {
      const isLost = answer === 'unanswerable' || answer === 'late' || answer === 'failed';
      if (isLost && before.get(id) !== answer) events.error('chain_demand_unanswered', { intent: id, code: answer });
    }
  }

  async #register(blockNumber: number): Promise<void> {
    const { network, log } = this.#deps;
    const terms = { domain: network.domain, contracts: network.addresses, origin: log.keys.origin };
    this.#registration = await register({ ...this.#deps, ...terms }, blockNumber);
  }

  /** No root while there is a difference; no voucher before the chain knows who redeems it: it would be refused. */
  #maySend(key: string): boolean {
    if (key.startsWith(ROOT_INTENT)) return this.#differences.length === 0;
    return !key.startsWith(REDEEM_INTENT) || this.#registration === null;
  }

  #isComparisonDue(): boolean {
    const { clock, terms } = this.#deps;
    return this.#comparedAtMs === null || clock.nowMs() - this.#comparedAtMs >= terms.reconcileMs;
  }

  /** Only what was compared just now, and by a gateway that the chain knows, is settled. */
  async #maySettle(settlement: Settlement): Promise<boolean> {
    if (!(await settlement.isDue())) return false;
    const applied = await this.#deps.store.read(appliedBlock);
    if (applied === null) return false;
    await this.#register(applied.number);
    if (this.#registration !== null) return false;
    return (await this.compare()).length === 0;
  }

  async #escrow() {
    const { network, terms } = this.#deps;
    const { decimals } = await this.#ready();
    const leastBase = baseOf(terms.voucherLeastNano, decimals);
    return { ...this.#deps, domain: network.domain, contracts: network.addresses, leastBase };
  }

  /** What needs the token's decimals, which the chain is asked for once in the life of a database. */
  async #ready(): Promise<Parts> {
    if (this.#parts !== null) return this.#parts;
    const { store, client, clock, network, account, terms, events, onStakes } = this.#deps;
    if ((await client.chainId()) !== network.chainId) throw new Error('the node is of another chain');
    const decimals = (await store.read(storedDecimals)) ?? (await client.tokenDecimals());
    if (decimals > DECIMALS_MAX) throw new Error('the token has too many decimals');
    await store.withTx((tx) => keepDecimals(tx, decimals, clock.nowMs()));
    const follower = new Follower({
      ...{ store, client, clock, onStakes },
      confirmations: terms.confirmations,
      fromBlock: network.fromBlock,
      terms: { gateway: account, decimals },
      onReorg: (depth) => events.warn('chain_reorganised', { count: depth }),
    });
    const settlement = new Settlement({
      ...this.#deps,
      domain: network.domain,
      contracts: network.addresses,
      decimals,
      rootMs: terms.rootMs,
      onFailed: (sequence) => events.error('chain_root_failed', { count: sequence }),
      onShort: (short) => {
        this.#shortNano = nanoOf(short, decimals);
      },
    });
    this.#parts = { decimals, follower, settlement };
    return this.#parts;
  }
}
