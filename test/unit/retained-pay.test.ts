/** Pay for answers that nobody has compared: it stays for a week, and goes with a conviction (spec-money.md §11.8). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '#protocol/verdict';
import { EquilibriumRates } from '../../gateway/audit/audit-rates.ts';
import { checkMoney } from '../../gateway/fsck/check-money.ts';
import { DEFAULT_SPLIT, type Ruling } from '../../gateway/ledger/dispute-money.ts';
import { PAY_DELAY_MS } from '../../gateway/ledger/retained.ts';
import type { AnsweredVerdict } from '../../gateway/ledger/settle.ts';
import { openDispute, ruleDispute, settleRuledDispute } from '../../gateway/store/change-dispute.ts';
import { putEvidenceAccount } from '../../gateway/store/evidence-repo.ts';
import { insertExamination } from '../../gateway/store/examinations-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { bondOf } from '../../gateway/store/ledger-repo.ts';
import { upsertProvider } from '../../gateway/store/providers-repo.ts';
import { retainedNano } from '../../gateway/store/retained-pay.ts';
import { readWholeDatabase } from '../../gateway/store/whole-database.ts';
import { booksProblems, hashOf, STAKE_NANO, storeOfEachTest } from './store-fixture.ts';
import { answer, balances, everybody, JOBS, PAY_NANO, revealed } from './store-life-fixture.ts';

const CHEAT = '0xcc';
const PROVIDER = {
  address: CHEAT,
  url: 'http://c',
  role: 'member',
  modelsJson: '[]',
  region: 'eu',
  numericClass: 'x',
  status: 'active',
  manifestJson: '{}',
  updatedAtMs: 0,
} as const;
const ACCOUNT = { modelDigest: hashOf('model'), responses: 1, wealth: '1', detector: '1', logIndex: 0, atMs: 2_000 };
const JOB = JOBS[2]!;
const SLASH_NANO = STAKE_NANO / 5n;
const ISSUED_MS = 1_001;
const OPENED_MS = 3_000;

const own = storeOfEachTest();
let store: Store;
beforeEach(async () => {
  ({ store } = own);
  await revealed(store);
});
afterEach(async () => {
  expect(await booksProblems(store)).toEqual([]);
  expect(checkMoney((await readWholeDatabase(own.file)).rows)).toEqual([]);
});

const answered = (verdict: AnsweredVerdict) => answer(store, 'r1', verdict, everybody('counted'));
const retained = (atMs: number) => store.read((handle) => retainedNano(handle, CHEAT, atMs));
const move = (kind: string, atMs: number) => ({ kind, moveJson: '{}', signature: null, atMs });

function accuse(fault: Fault, atMs = OPENED_MS) {
  const { jobId, provider } = JOB;
  const dispute = { disputeId: hashOf(fault), requestId: 'r1', jobId, provider, fault, bundleJson: '{}' };
  return store.withTx((tx) => openDispute(tx, { ...dispute, retainUntilMs: 9_000, move: move('opened', atMs) }));
}

async function end(fault: Fault, ruling: Ruling): Promise<void> {
  await store.withTx((tx) =>
    ruleDispute(tx, hashOf(fault), { ruling, appealUntilMs: 5_000, move: move('ruled', 4_000) }),
  );
  const ending = { right: ['0xaa'], judges: [], split: DEFAULT_SPLIT, move: move('settled', 5_000) };
  await store.withTx((tx) => settleRuledDispute(tx, hashOf(fault), ending));
}

describe('pay for a lone answer', () => {
  test('stays for a week after its order, and pay for a compared one not at all', async () => {
    expect(await retained(OPENED_MS)).toBe(0n);
    await answered('unverified');
    expect(await retained(OPENED_MS)).toBe(PAY_NANO);
    expect(await retained(ISSUED_MS + PAY_DELAY_MS - 1)).toBe(PAY_NANO);
    expect(await retained(ISSUED_MS + PAY_DELAY_MS)).toBe(0n);
  });

  test('of a committee leaves at once, and no conviction takes it', async () => {
    await answered('agreed');
    expect(await retained(OPENED_MS)).toBe(0n);
    expect(await accuse('wrong_output')).toEqual({ outcome: 'opened', frozenNano: SLASH_NANO });
  });

  test.each(['wrong_output', 'model_substitution'] as const)('is frozen with the stake by %s', async (fault) => {
    await answered('unverified');
    const slash = fault === 'wrong_output' ? SLASH_NANO : STAKE_NANO / 2n;
    expect(await accuse(fault)).toEqual({ outcome: 'opened', frozenNano: slash + PAY_NANO });
    expect(await balances(store, `earnings:${CHEAT}`, `stake:${CHEAT}`)).toEqual([0n, STAKE_NANO - slash]);
    expect(await retained(OPENED_MS)).toBe(0n);
  });

  test('is not touched by faults that no answer was wrong by', async () => {
    await answered('unverified');
    expect(await accuse('lying_scorer')).toEqual({ outcome: 'opened', frozenNano: (STAKE_NANO * 3n) / 10n });
    expect(await balances(store, `earnings:${CHEAT}`)).toEqual([PAY_NANO]);
  });

  test('is out of reach once it is old, however long an accusation waits', async () => {
    await answered('unverified');
    const late = ISSUED_MS + PAY_DELAY_MS;
    expect(await accuse('wrong_output', late)).toEqual({ outcome: 'opened', frozenNano: SLASH_NANO });
  });

  test('is slashed where the accusation is upheld', async () => {
    await answered('unverified');
    await accuse('wrong_output');
    await end('wrong_output', 'upheld');
    expect(await balances(store, `earnings:${CHEAT}`, `stake:${CHEAT}`)).toEqual([0n, STAKE_NANO - SLASH_NANO]);
  });

  test.each(['rejected', 'abandoned'] as const)(
    'goes back to the earnings, not to the stake, after %s',
    async (ruling) => {
      await answered('unverified');
      await accuse('wrong_output');
      await end('wrong_output', ruling);
      expect(await balances(store, `earnings:${CHEAT}`)).toEqual([PAY_NANO]);
      expect(await store.read((handle) => bondOf(handle, CHEAT))).toEqual({ freeNano: STAKE_NANO, frozenNano: 0n });
    },
  );

  test('is all that is there, however old, while evidence speaks against the operator', async () => {
    await answered('unverified');
    const old = ISSUED_MS + 10 * PAY_DELAY_MS;
    const operator = 'operator-c';
    await store.withTx(async (tx) => {
      const { address, ...rest } = PROVIDER;
      await upsertProvider(tx, { address, operator, ...rest });
      await putEvidenceAccount(tx, { ...ACCOUNT, operator, stage: 'clear' });
    });
    expect(await retained(old)).toBe(0n);
    await store.withTx((tx) => putEvidenceAccount(tx, { ...ACCOUNT, operator, stage: 'quarantine' }));
    expect(await retained(old)).toBe(PAY_NANO);
    await store.withTx((tx) => putEvidenceAccount(tx, { ...ACCOUNT, operator: 'another', stage: 'quarantine' }));
    await store.withTx((tx) => putEvidenceAccount(tx, { ...ACCOUNT, operator, stage: 'clear' }));
    expect(await retained(old)).toBe(0n);
  });

  test('counts as something to lose where the audit rate is found, and as served before an audit could run', async () => {
    let nowMs = OPENED_MS;
    const rates = (delayMs: number) =>
      new EquilibriumRates({
        store,
        clock: { nowMs: () => nowMs, sleep: async () => {} },
        registry: { members: () => [], operatorOf: () => null, excluded: () => [] },
        evidence: { standing: () => null },
        limits: { audits: { delayMs } },
      });
    const [prompt, late] = [rates(0), rates(10_000)];
    const of = async (some: EquilibriumRates) =>
      (await some.standingsOf([CHEAT], hashOf('model'), PAY_NANO)).get(CHEAT)!.incentive;
    const inFlight = 8n * PAY_NANO;
    expect(await of(prompt)).toMatchObject({ stakeNano: STAKE_NANO, retainedNano: 0n, lagNano: inFlight });
    await answered('unverified');
    // A sum is good for ten seconds.
    expect(await of(prompt)).toMatchObject({ retainedNano: 0n });
    nowMs += 10_000;
    expect(await of(prompt)).toMatchObject({ retainedNano: PAY_NANO, lagNano: inFlight });
    nowMs = OPENED_MS;
    expect(await of(late)).toMatchObject({ retainedNano: PAY_NANO, lagNano: inFlight + PAY_NANO });
  });

  test('waits for the first examination, and answers are counted until that begins, where anything is examined', async () => {
    const waiting = async (limits: { reexamineMs?: number; retentionMs?: number }) => {
      const rates = new EquilibriumRates({
        store,
        clock: { nowMs: () => OPENED_MS, sleep: async () => {} },
        registry: { members: () => [], operatorOf: () => null, excluded: () => [] },
        evidence: { standing: () => null },
        limits: { audits: { delayMs: 0 }, ...limits },
      });
      return (await rates.standingsOf([CHEAT], hashOf('model'), PAY_NANO)).get(CHEAT)!.incentive.waiting;
    };
    const kept = { reexamineMs: PAY_DELAY_MS, retentionMs: PAY_DELAY_MS };
    expect(await waiting(kept)).toBe(0);
    await answered('unverified');
    expect(await waiting(kept)).toBe(1);
    expect(await waiting({})).toBeUndefined();
    expect(await waiting({ ...kept, reexamineMs: 0 })).toBeUndefined();
    // Forgotten before anybody comes to look.
    expect(await waiting({ ...kept, retentionMs: PAY_DELAY_MS - 1 })).toBeUndefined();
    const examination = {
      examinationId: hashOf('first'),
      provider: CHEAT,
      operator: 'operator-c',
      occasion: 'first',
    } as const;
    await store.withTx((tx) => insertExamination(tx, { ...examination, beganAtMs: 2_000, deadlineMs: 9_000 }, []));
    expect(await waiting(kept)).toBeUndefined();
  });
});
