/**
 * Accounts of evidence as the gateway keeps them: every counted response is an entry of the log, and what stands in the database
 * is what a replay of those entries comes to (spec-judge.md §7.10).
 */
import { canonicalJson } from '#protocol/canonical';
import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import { type AccountStanding, standingOf } from '#protocol/evidence-account';
import { accountKey, EvidenceBook } from '#protocol/evidence-book';
import type { Address, Hash } from '#protocol/hash';
import { logLeaf, type ScoredEntry } from '#protocol/log';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Exclusions } from '../committee/exclusions.ts';
import type { Registry } from '../committee/registry.ts';
import { hasOpenAudits } from '../store/audits-repo.ts';
import {
  countedResponses,
  insertScored,
  isCounted,
  listEvidenceAccounts,
  putEvidenceAccount,
} from '../store/evidence-repo.ts';
import { hasOpenExamination } from '../store/examinations-repo.ts';
import type { Handle, Store, Tx } from '../store/handle.ts';
import { logLeafAt } from '../store/log-repo.ts';
import { hasOpenReexamination } from '../store/reexamine-repo.ts';
import { requestById } from '../store/requests-repo.ts';
import { putSetting, settingJson } from '../store/settings-repo.ts';
import { type CountedEvidence, countedFactors, type PairBounds, type ResponseFactors } from './counted.ts';

/** Public reason of a quarantine. */
export const EVIDENCE_REASON = 'accumulated-evidence';
/** Keys whose requests are the gateway operator's own: what they ask, no provider has chosen. A list of key ids. */
const OWN_KEYS_SETTING = 'evidence.own-keys';

export interface EvidenceDeskDeps {
  readonly store: Store;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly registry: Pick<Registry, 'machinesOf' | 'modelsOf' | 'operatorOf' | 'ofOperator' | 'load'>;
  readonly exclusions: Pick<Exclusions, 'quarantineIn'>;
  readonly clock: Clock;
  readonly domain: Domain;
  /** Told of every stage that is not `clear`. */
  readonly onStage?: (operator: string, stage: AccountStanding['stage']) => void;
}

/** One response that was scored, by a decision that was taken before it was known. */
export interface ScoredAnswer {
  readonly requestId: string;
  /** The generating job. */
  readonly responseHash: Hash;
  readonly operator: string;
  readonly provider: Address;
  readonly modelDigest: Hash;
  readonly promptHash: Hash;
  readonly calibration: { readonly hash: Hash; readonly boundsOf: PairBounds };
  readonly evidence: CountedEvidence;
  readonly retainUntilMs: number;
}

/** Opens the dispute about an account that is to be slashed, in the transaction that says so. */
export type Accuse = (tx: Tx, answer: ScoredAnswer) => Promise<void>;

export class EvidenceDesk {
  readonly #deps: EvidenceDeskDeps;
  #book = new EvidenceBook();
  /** Numbers of an account's clients, as they appeared. */
  readonly #clients = new Map<string, Map<string, number>>();
  #turn: Promise<unknown> = Promise.resolve();
  #ownKeys: ReadonlySet<string> = new Set();
  /** Responses of each operator that are being scored or counted. */
  readonly #outstanding = new Map<string, number>();

  constructor(deps: EvidenceDeskDeps) {
    this.#deps = deps;
  }

  /** Reads the book out of the log's entries. */
  async start(): Promise<void> {
    const { store } = this.#deps;
    const counted = await store.peek(countedResponses);
    this.#ownKeys = new Set(await store.peek(ownKeys));
    this.#book = new EvidenceBook();
    this.#clients.clear();
    for (const { row, entry } of counted) {
      this.#clientsOf(accountKey(entry)).set(row.client, entry.client);
      this.#book.enter(entry, row.promptHash);
    }
  }

  /** Where an account stands; null where nothing is counted in it. */
  standing(account: { readonly operator: string; readonly modelDigest: Hash }): AccountStanding | null {
    const found = this.#book.account(accountKey(account));
    return found && standingOf(found);
  }

  /** Whether the gateway's operator asks by this key. */
  isOwn(keyId: string): boolean {
    return this.#ownKeys.has(keyId);
  }

  /** From now on these keys are the operator's own. */
  async setOwnKeys(keys: readonly string[]): Promise<void> {
    const { store, clock } = this.#deps;
    await store.withTx((tx) => putSetting(tx, OWN_KEYS_SETTING, JSON.stringify(keys), clock.nowMs()));
    this.#ownKeys = new Set(keys);
  }

  /** Runs work that may end in a count; until then the operator's stake stays. */
  async during<T>(operator: string, work: () => Promise<T>): Promise<T> {
    this.#outstanding.set(operator, (this.#outstanding.get(operator) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = this.#outstanding.get(operator)! - 1;
      if (left > 0) this.#outstanding.set(operator, left);
      else this.#outstanding.delete(operator);
    }
  }

  /**
   * Counts one response; one after the other, since each entry follows from those before.
   * @returns null where it does not count: known, a prompt that was counted, or no score that says anything
   */
  async count(answer: ScoredAnswer, accuse: Accuse): Promise<AccountStanding | null> {
    const turn = this.#turn.then(() => this.#count(answer, accuse));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #count(answer: ScoredAnswer, accuse: Accuse): Promise<AccountStanding | null> {
    const { store, registry, domain, onStage } = this.#deps;
    const judged = countedFactors(answer.evidence, answer.calibration.boundsOf, domain);
    if (judged === null) return null;
    const standing = await store
      .withTx((tx) => this.#enter(tx, answer, judged, accuse))
      .catch(async (error: unknown) => {
        // What the transaction did not keep, the book must not either.
        await this.start();
        throw error;
      });
    if (standing === null || standing.stage === 'clear') return standing;
    // Only now: what the registry knows, draws act on, and they may cite only what is durable.
    await registry.load();
    onStage?.(answer.operator, standing.stage);
    return standing;
  }

  async #enter(
    tx: Tx,
    answer: ScoredAnswer,
    { factors, scores }: ResponseFactors,
    accuse: Accuse,
  ): Promise<AccountStanding | null> {
    const { clock, log } = this.#deps;
    const { operator, modelDigest, provider, responseHash, promptHash, requestId } = answer;
    if (await isCounted(tx, { responseId: responseHash, modelDigest, operator, promptHash })) return null;
    const request = await requestById(tx, requestId);
    if (request === null) return null;
    const atMs = clock.nowMs();
    const key = accountKey(answer);
    const client = this.#numberOf(key, request.account);
    const own = this.#ownKeys.has(request.keyId);
    const calibration = answer.calibration.hash;
    const facts = {
      operator,
      modelDigest,
      provider,
      responseHash,
      client,
      own,
      scores: [...scores],
      calibration,
      factors: [...factors],
    };
    const before = this.#book.account(key)?.all.responses ?? 0;
    const standing = this.#book.enter(facts, promptHash);
    const entry: ScoredEntry = { type: 'scored', ...facts, stage: standing.stage, atMs };
    const logIndex = await log.append(tx, entry);
    await insertScored(tx, {
      responseId: responseHash,
      requestId,
      operator,
      modelDigest,
      provider,
      client: request.account,
      promptHash,
      logIndex,
      evidenceJson: canonicalJson(answer.evidence),
      retainUntilMs: answer.retainUntilMs,
    });
    const { wealth, detector, stage } = standing;
    const row = { modelDigest, operator, responses: before + 1, stage, logIndex, atMs };
    await putEvidenceAccount(tx, { ...row, wealth: String(wealth), detector: String(detector) });
    if (stage !== 'clear') await this.#quarantine(tx, answer, logLeaf(entry));
    if (stage === 'slash') await accuse(tx, answer);
    return standing;
  }

  /** All machines of the operator that serve the model: it chose them, and the evidence is about what it runs. */
  async #quarantine(tx: Tx, { operator, modelDigest }: ScoredAnswer, evidenceHash: Hash): Promise<void> {
    const { registry, exclusions } = this.#deps;
    for (const machine of registry.machinesOf(operator, modelDigest)) {
      await exclusions.quarantineIn(tx, machine, EVIDENCE_REASON, evidenceHash);
    }
  }

  /** A new key of an operator is where the operator's account is: what it had shed would be worth a new key every day. */
  async inherit(provider: Address): Promise<void> {
    const { store, registry, exclusions } = this.#deps;
    const operator = registry.operatorOf(provider);
    const models = new Set<string>(registry.modelsOf(provider));
    const isKept = await store.withTx(async (tx) => {
      const accounts = await listEvidenceAccounts(tx);
      const suspect = accounts.find(
        (one) => one.operator === operator && models.has(one.modelDigest) && one.stage !== 'clear',
      );
      if (suspect === undefined) return false;
      const leaf = await logLeafAt(tx, suspect.logIndex);
      await exclusions.quarantineIn(tx, provider, EVIDENCE_REASON, leaf);
      return true;
    });
    if (isKept) await registry.load();
  }

  /** Why an operator's stake cannot leave yet, or null: what it may have to answer for is not known, or known. */
  async stayReason(handle: Handle, operator: string): Promise<'evidence_outstanding' | 'evidence_against' | null> {
    if (this.#outstanding.has(operator)) return 'evidence_outstanding';
    // Whoever leaves before the audit of its last answers would be worth what it cheated with them.
    const providers = this.#deps.registry.ofOperator(operator);
    if (await hasOpenAudits(handle, providers)) return 'evidence_outstanding';
    if (await hasOpenReexamination(handle, operator)) return 'evidence_outstanding';
    if (await hasOpenExamination(handle, operator)) return 'evidence_outstanding';
    const accounts = await listEvidenceAccounts(handle);
    return accounts.some((one) => one.operator === operator && one.stage !== 'clear') ? 'evidence_against' : null;
  }

  #clientsOf(key: string): Map<string, number> {
    const known = this.#clients.get(key) ?? new Map<string, number>();
    this.#clients.set(key, known);
    return known;
  }

  #numberOf(key: string, client: string): number {
    const clients = this.#clientsOf(key);
    const number = clients.get(client) ?? clients.size;
    clients.set(client, number);
    return number;
  }
}

/** Key ids whose requests are the gateway operator's own. */
export async function ownKeys(handle: Handle): Promise<readonly string[]> {
  const text = await settingJson(handle, OWN_KEYS_SETTING);
  return text === null ? [] : (JSON.parse(text) as string[]);
}
