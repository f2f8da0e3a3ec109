/** How often whose answers are audited, from what the network is now: stake, price, record and the share that may collude (spec-money.md §11.11). */
import type { Address, Hash } from '#protocol/hash';
import type { Registry } from '../committee/registry.ts';
import type { EvidenceDesk } from '../evidence/evidence-desk.ts';
import { COLLUDING_SHARE } from '../round/security.ts';
import { endedAudits } from '../store/audits-repo.ts';
import type { Store } from '../store/handle.ts';
import { bondOf, countedStakeNano } from '../store/ledger-repo.ts';
import type { AuditRates } from './audit-terms.ts';
import { auditCollusionPpm, poolOf } from './collusion.ts';
import { DEFAULT_DETECTION } from './detection.ts';
import { auditRate } from './equilibrium.ts';

/** Answers that a provider may give between a cheat and the freezing of its stake: those in flight, and those until a delayed audit (networks reference: L = 100). */
const LAG_ANSWERS = 100n;

export interface AuditRateDeps {
  readonly store: Store;
  readonly registry: Pick<Registry, 'members' | 'operatorOf' | 'excluded'>;
  readonly evidence: Pick<EvidenceDesk, 'standing'>;
}

export class EquilibriumRates implements AuditRates {
  readonly #deps: AuditRateDeps;
  /** Audits passed since the last that was not. */
  readonly #passed = new Map<string, number>();

  constructor(deps: AuditRateDeps) {
    this.#deps = deps;
  }

  /** Reads the records of all providers. */
  async start(): Promise<void> {
    const ended = await this.#deps.store.peek(endedAudits);
    this.#passed.clear();
    for (const audit of ended) this.count(audit);
  }

  count({ provider, outcome }: { readonly provider: string; readonly outcome: string | null }): void {
    if (outcome === 'held') this.#passed.set(provider, (this.#passed.get(provider) ?? 0) + 1);
    if (outcome === 'rejected') this.#passed.set(provider, 0);
  }

  async ppmOf(provider: Address, modelDigest: Hash, priceNano: bigint): Promise<number> {
    const { store, registry, evidence } = this.#deps;
    const [freeNano, { frozenNano }] = await store.read(
      async (handle) => [await countedStakeNano(handle, provider), await bondOf(handle, provider)] as const,
    );
    const operator = registry.operatorOf(provider) ?? '';
    const standing = evidence.standing({ operator, modelDigest });
    const isFlagged =
      (standing !== null && standing.stage !== 'clear') || registry.excluded().some((one) => one.provider === provider);
    const serving = registry.members().filter(({ classes }) => classes.has(modelDigest));
    const operators = new Set(serving.map((record) => record.operator)).size;
    const incentive = {
      priceNano,
      stakeNano: freeNano + frozenNano,
      freeNano,
      lagNano: priceNano * LAG_ANSWERS,
      collusionPpm: auditCollusionPpm(poolOf(operators, COLLUDING_SHARE)),
    };
    const record = { passed: this.#passed.get(provider) ?? 0, isFlagged };
    return auditRate(incentive, record, DEFAULT_DETECTION).ratePpm;
  }
}
