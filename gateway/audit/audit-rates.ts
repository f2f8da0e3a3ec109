/** How often whose answers are audited, from what the network is now: stake, retained pay, price, record and the share that may collude (spec-money.md §11.11). */
import type { Clock } from '#protocol/env';
import type { Address, Hash } from '#protocol/hash';
import type { Registry } from '../committee/registry.ts';
import type { EvidenceDesk } from '../evidence/evidence-desk.ts';
import { COLLUDING_SHARE } from '../round/security.ts';
import { endedAudits } from '../store/audits-repo.ts';
import type { Store } from '../store/handle.ts';
import { bondOf, countedStakeNano } from '../store/ledger-repo.ts';
import { lonePay, type RetainedPay, retainedPay } from '../store/retained-pay.ts';
import type { AuditLimits, AuditRates, AuditStanding } from './audit-terms.ts';
import { type AuditWorth, worthOf } from './cheat-loss.ts';
import { auditCollusionPpm, poolOf } from './collusion.ts';
import { DEFAULT_DETECTION } from './detection.ts';
import { AUDIT_RULES, type AuditRules, auditRate, type Incentive } from './equilibrium.ts';

/**
 * Answers that a provider may have in flight beside those that it has been paid for: what one machine generates at a time (the batch that the
 * embedded engine takes).
 */
const IN_FLIGHT = 8n;
/** How long sums over a provider's pay are good for: they grow by some answers meanwhile, and cost a look at a week's jobs. */
const KNOWN_MS = 10_000;
/** Sums that were asked for since so long are renewed beside the requests, before they are too old for one of them. */
const ASKED_MS = 60_000;

export interface AuditRateDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly registry: Pick<Registry, 'members' | 'operatorOf' | 'excluded'>;
  readonly evidence: Pick<EvidenceDesk, 'standing'>;
  readonly limits: {
    readonly audits: Pick<AuditLimits, 'delayMs' | 'patienceMs' | 'bounds'>;
    /** How long answers may be examined, and how long they are kept; without either nobody is examined. */
    readonly reexamineMs?: number;
    readonly retentionMs?: number;
  };
}

/** What is known of a provider's pay since a time. */
interface KnownPay extends RetainedPay {
  readonly atMs: number;
  /** Of the time in which an audit may not have run yet. */
  readonly recentNano: bigint;
  /** When a request last needed it. */
  readonly askedAtMs: number;
}

/** Stake in the ledger and on a chain. */
interface KnownStake {
  readonly freeNano: bigint;
  readonly frozenNano: bigint;
}

export class EquilibriumRates implements AuditRates {
  readonly #deps: AuditRateDeps;
  readonly #rules: AuditRules;
  /** Audits passed since the last that was not. */
  readonly #passed = new Map<string, number>();
  readonly #pay = new Map<string, KnownPay>();
  /** As of the count of changes below. */
  readonly #stakes = new Map<Address, KnownStake>();
  #stakesAt = -1;

  constructor(deps: AuditRateDeps) {
    this.#deps = deps;
    this.#rules = { ...AUDIT_RULES, ...deps.limits.audits.bounds };
  }

  /** Reads the records of all providers. */
  async start(): Promise<void> {
    const ended = await this.#deps.store.peek(endedAudits);
    this.#passed.clear();
    for (const audit of ended) this.count(audit);
  }

  count({ provider, outcome }: { readonly provider: string; readonly outcome: string | null }): void {
    if (outcome === 'held') this.#passed.set(provider, (this.#passed.get(provider) ?? 0) + 1);
    if (outcome === 'rejected') {
      this.#passed.set(provider, 0);
      // Its pay has just been frozen.
      this.#pay.delete(provider);
    }
  }

  async standingsOf(
    providers: readonly Address[],
    modelDigest: Hash,
    priceNano: bigint,
  ): Promise<ReadonlyMap<Address, AuditStanding>> {
    const { registry, evidence } = this.#deps;
    const serving = registry.members().filter(({ classes }) => classes.has(modelDigest));
    const operators = new Set(serving.map((record) => record.operator)).size;
    const collusionPpm = auditCollusionPpm(poolOf(operators, COLLUDING_SHARE));
    const excluded = new Set(registry.excluded().map(({ provider }) => provider));
    const standings = new Map<Address, AuditStanding>();
    for (const provider of providers) {
      const { freeNano, frozenNano } = await this.#stakeOf(provider);
      const { retainedNano, recentNano, waiting } = await this.#payOf(provider);
      const operator = registry.operatorOf(provider) ?? '';
      const standing = evidence.standing({ operator, modelDigest });
      const isFlagged = (standing !== null && standing.stage !== 'clear') || excluded.has(provider);
      const incentive: Incentive = {
        priceNano,
        stakeNano: freeNano + frozenNano,
        freeNano,
        lagNano: recentNano + priceNano * IN_FLIGHT,
        retainedNano,
        ...(waiting === null || !this.#isExamining ? {} : { waiting }),
        collusionPpm,
      };
      const record = { passed: this.#passed.get(provider) ?? 0, isFlagged };
      const { ratePpm } = auditRate(incentive, record, DEFAULT_DETECTION, this.#rules);
      standings.set(provider, { incentive, ratePpm });
    }
    return standings;
  }

  /** Renews the sums that requests ask for, so that none of them has to wait for it; called on a timer. */
  async refresh(): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    for (const [provider, { atMs, askedAtMs }] of this.#pay) {
      if (nowMs - askedAtMs >= ASKED_MS) this.#pay.delete(provider);
      else if (nowMs - atMs >= KNOWN_MS / 2) await this.#readPay(provider as Address, askedAtMs);
    }
  }

  worthOf(incentive: Incentive, ratePpm: number): AuditWorth {
    return worthOf(incentive, DEFAULT_DETECTION, ratePpm);
  }

  /** Answers that are kept for less time are gone before the examination, which comes when the window is nearly over. */
  get #isExamining(): boolean {
    const { reexamineMs = 0, retentionMs = 0 } = this.#deps.limits;
    return reexamineMs > 0 && reexamineMs <= retentionMs;
  }

  /** Without waiting for the disk: what promises the rate is written after all of this, and durable with it. */
  async #stakeOf(provider: Address): Promise<KnownStake> {
    const { store } = this.#deps;
    const at = store.changesOf('stakes');
    if (at !== this.#stakesAt) {
      this.#stakes.clear();
      this.#stakesAt = at;
    }
    const known = this.#stakes.get(provider);
    if (known !== undefined) return known;
    const [freeNano, { frozenNano }] = await store.peek(
      async (handle) => [await countedStakeNano(handle, provider), await bondOf(handle, provider)] as const,
    );
    const stake = { freeNano, frozenNano };
    // What was read while somebody changed it may be of before, or half of each.
    if (store.changesOf('stakes') === at && this.#stakesAt === at) this.#stakes.set(provider, stake);
    return stake;
  }

  async #payOf(provider: Address): Promise<KnownPay> {
    const nowMs = this.#deps.clock.nowMs();
    const known = this.#pay.get(provider);
    if (known === undefined || nowMs - known.atMs >= KNOWN_MS) return this.#readPay(provider, nowMs);
    const asked = { ...known, askedAtMs: nowMs };
    this.#pay.set(provider, asked);
    return asked;
  }

  async #readPay(provider: Address, askedAtMs: number): Promise<KnownPay> {
    const { store, clock, limits } = this.#deps;
    const { delayMs, patienceMs = 0 } = limits.audits;
    const atMs = clock.nowMs();
    const pay = await store.peek(async (handle) => ({
      atMs,
      askedAtMs,
      ...(await retainedPay(handle, provider, atMs)),
      recentNano: (await lonePay(handle, provider, atMs - delayMs - patienceMs)).earnedNano,
    }));
    this.#pay.set(provider, pay);
    return pay;
  }
}
