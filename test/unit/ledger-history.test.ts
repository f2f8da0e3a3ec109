/** Whole books under random histories of requests, disputes and withdrawals (spec-money.md 11.3, 11.6, 11.8, 11.10). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { STANDINGS } from '#protocol/verdict';
import { clientAccount, RESERVE, stakeAccount } from '../../gateway/ledger/accounts.ts';
import type { Books } from '../../gateway/ledger/check-books.ts';
import { checkBooks } from '../../gateway/ledger/check-books.ts';
import { DEFAULT_SPLIT, RULINGS, settleDispute } from '../../gateway/ledger/dispute-money.ts';
import { freeze, freezeNano } from '../../gateway/ledger/freezing.ts';
import { deposit, withdrawal } from '../../gateway/ledger/funding.ts';
import type { OutcomeJob, Settlement } from '../../gateway/ledger/settle.ts';
import { hold, release, SETTLED_VERDICTS, settle } from '../../gateway/ledger/settle.ts';
import type { Transfer } from '../../gateway/ledger/transfer.ts';

/** Books in memory with the rule that ledger-repo keeps: an id once, and no account below zero. */
class Ledger {
  readonly balances = new Map<string, bigint>();
  readonly entered = new Map<string, Transfer>();

  /** Whether the transfer was entered now. */
  enter(transfer: Transfer): boolean {
    if (this.entered.has(transfer.id)) return false;
    for (const { account, amountNano } of transfer.postings) {
      if (account !== 'external' && this.of(account) + amountNano < 0n) return false;
    }
    this.entered.set(transfer.id, transfer);
    for (const { account, amountNano } of transfer.postings) this.balances.set(account, this.of(account) + amountNano);
    return true;
  }

  of(account: string): bigint {
    return this.balances.get(account) ?? 0n;
  }

  books(): Books {
    const transfers = [...this.entered.values()];
    return {
      accounts: [...this.balances].map(([id, balanceNano]) => ({ id, balanceNano })),
      transferIds: transfers.map(({ id }) => id),
      postings: transfers.flatMap(({ id, postings }) => postings.map((p) => ({ transferId: id, ...p }))),
    };
  }
}

const PRICE = { inputNanoPerMtok: 1_300_000n, outputNanoPerMtok: 7_700_001n };
const PROVIDERS = ['p1', 'p2', 'p3'] as const;
/** Seat 1 is a fresh member of an escalation, seat 2 a scorer: their pay is what a slash makes good. */
const ROLES = [
  { role: 'member', wave: 0 },
  { role: 'member', wave: 1 },
  { role: 'scorer', wave: 1 },
] as const;
const QUOTE = 150n;
const COVER = 3_000n;
const REQUESTS = 4;

interface Request {
  settlement: Settlement | null;
  refunded: bigint;
  recovered: bigint;
}

interface Dispute {
  readonly id: string;
  readonly request: number;
  readonly seat: number;
  readonly frozen: bigint;
  settled: boolean;
}

const request = fc.nat(REQUESTS - 1);
const seat = fc.nat(PROVIDERS.length - 1);
const three = <T>(arb: fc.Arbitrary<T>) => fc.array(arb, { minLength: 3, maxLength: 3 });
const stepArb = fc.oneof(
  fc.record({ kind: fc.constant('hold' as const), request }),
  fc.record({ kind: fc.constant('release' as const), request }),
  fc.record({
    kind: fc.constant('settle' as const),
    request,
    verdict: fc.constantFrom(...SETTLED_VERDICTS),
    standings: three(fc.constantFrom(...STANDINGS)),
    tokens: three(fc.nat(30)),
  }),
  fc.record({
    kind: fc.constant('open' as const),
    request,
    seat,
    fault: fc.constantFrom('wrong_output' as const, 'equivocation' as const, 'timeout' as const),
  }),
  fc.record({ kind: fc.constant('rule' as const), dispute: fc.nat(5), ruling: fc.constantFrom(...RULINGS) }),
  fc.record({ kind: fc.constant('withdraw' as const), seat, amount: fc.bigInt({ min: 1n, max: 900n }) }),
);
type Step = typeof stepArb extends fc.Arbitrary<infer S> ? S : never;
type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

class History {
  readonly ledger = new Ledger();
  readonly #requests = new Map<number, Request>();
  readonly #disputes: Dispute[] = [];
  #withdrawals = 0;

  constructor() {
    this.ledger.enter(deposit('c', clientAccount('c'), 400n));
    this.ledger.enter(deposit('r', RESERVE, 7_000n));
    for (const provider of PROVIDERS) this.ledger.enter(deposit(provider, stakeAccount(provider), 1_000n));
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'hold': {
        const money = { requestId: `r${step.request}`, account: 'c', quoteNano: QUOTE, coverNano: COVER };
        const entered = this.ledger.enter(hold(money));
        if (entered) this.#requests.set(step.request, { settlement: null, refunded: 0n, recovered: 0n });
        break;
      }
      case 'open':
        this.#open(step);
        break;
      case 'rule':
        this.#rule(step);
        break;
      case 'withdraw': {
        const from = stakeAccount(PROVIDERS[step.seat]!);
        this.ledger.enter(withdrawal(`w${this.#withdrawals++}`, from, step.amount));
        break;
      }
      default:
        this.#close(step);
    }
  }

  #open(step: StepOf<'open'>): void {
    const provider = PROVIDERS[step.seat]!;
    const id = `d${this.#disputes.length}`;
    const held = this.#disputes.filter((dispute) => dispute.seat === step.seat && !dispute.settled);
    const sum = held.reduce((total, dispute) => total + dispute.frozen, 0n);
    const frozen = freezeNano(step.fault, this.ledger.of(stakeAccount(provider)), sum);
    expect(this.ledger.enter(freeze(id, provider, frozen))).toBe(true);
    expect(this.ledger.of(`frozen:${id}`)).toBe(frozen);
    this.#disputes.push({ id, request: step.request, seat: step.seat, frozen, settled: false });
  }

  #close(step: StepOf<'settle' | 'release'>): void {
    const found = this.#requests.get(step.request);
    if (!found) return;
    const requestId = `r${step.request}`;
    const before = this.ledger.of('client:c');
    const end = this.#ending(step);
    if (!this.ledger.enter(end.transfer)) {
      expect(found.settlement).not.toBeNull();
      expect(this.ledger.of('client:c')).toBe(before);
      return;
    }
    expect(found.settlement).toBeNull();
    expect([this.ledger.of(`escrow:${requestId}`), this.ledger.of(`cover:${requestId}`)]).toEqual([0n, 0n]);
    expect(this.ledger.of('client:c') - before).toBe(QUOTE - end.chargedNano);
    expect(end.chargedNano <= QUOTE).toBe(true);
    expect(end.unpaidNano).toBe(0n);
    const free = step.kind === 'release' || step.verdict === 'failed' || step.verdict === 'inconclusive';
    if (free) expect(end.chargedNano).toBe(0n);
    const paid = end.jobs.reduce((total, job) => total + job.clientNano, 0n);
    const rounded = end.transfer.postings.find(({ account }) => account === 'rounding')?.amountNano ?? 0n;
    expect(end.chargedNano).toBe(paid + rounded);
    found.settlement = end;
  }

  #ending(step: StepOf<'settle' | 'release'>): Settlement {
    const requestId = `r${step.request}`;
    const money = { requestId, account: 'c', price: PRICE, quoteNano: QUOTE, coverNano: COVER };
    if (step.kind === 'release') return release(money);
    const jobs = PROVIDERS.map(
      (provider, i): OutcomeJob => ({
        jobId: `j${i}`,
        provider,
        ...ROLES[i]!,
        standing: step.standings[i]!,
        inputTokens: 5,
        outputTokens: step.tokens[i]!,
        scoredTokens: 0,
      }),
    );
    const open = this.#disputes.filter((dispute) => dispute.request === step.request && !dispute.settled);
    const disputes = new Map(open.toReversed().map((dispute) => [`j${dispute.seat}`, dispute.id]));
    return settle({ ...money, verdict: step.verdict, jobs, disputes });
  }

  #rule(step: StepOf<'rule'>): void {
    const dispute = this.#disputes[step.dispute];
    const found = dispute && this.#requests.get(dispute.request);
    if (!dispute || !found?.settlement || dispute.settled) return;
    const { settlement } = found;
    const withheldBy = (id: string) => settlement.jobs.find((job) => job.withheldBy === id);
    const waiting = this.#disputes
      .filter((other) => other.request === dispute.request && !other.settled)
      .reduce((total, other) => total + (withheldBy(other.id)?.clientNano ?? 0n), 0n);
    const end = settleDispute({
      disputeId: dispute.id,
      provider: PROVIDERS[dispute.seat]!,
      ruling: step.ruling,
      clientOwner: 'c',
      frozenNano: dispute.frozen,
      withheldClientNano: withheldBy(dispute.id)?.clientNano ?? 0n,
      withheldReserveNano: withheldBy(dispute.id)?.reserveNano ?? 0n,
      refundableNano: settlement.chargedNano - found.refunded - waiting,
      recoverableNano: settlement.recoverableNano - found.recovered,
      right: [...PROVIDERS, 'judge'],
      judges: ['judge'],
      split: DEFAULT_SPLIT,
    });
    expect(this.ledger.enter(end.transfer)).toBe(true);
    expect(this.ledger.enter(end.transfer)).toBe(false);
    dispute.settled = true;
    found.refunded += end.refundedNano;
    found.recovered += end.madeGoodNano;
    expect(found.refunded <= settlement.chargedNano).toBe(true);
    expect(found.recovered <= settlement.recoverableNano).toBe(true);
    expect([this.ledger.of(`frozen:${dispute.id}`), this.ledger.of(`withheld:${dispute.id}`)]).toEqual([0n, 0n]);
  }
}

test('books balance after every step of every history; nothing is spent twice and no judge is paid', () => {
  fc.assert(
    fc.property(fc.array(stepArb, { maxLength: 40 }), (steps) => {
      const history = new History();
      for (const step of steps) {
        history.take(step);
        expect(checkBooks(history.ledger.books())).toEqual([]);
      }
      expect(history.ledger.of('earnings:judge')).toBe(0n);
      expect(history.ledger.of('fees')).toBe(0n);
    }),
    { numRuns: 300 },
  );
});
