/** The outcome table, row by row, and a settlement recomputed by other means (spec-money.md 11.6). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { STANDINGS, type Standing } from '#protocol/verdict';
import {
  hold,
  JOB_ROLES,
  type Outcome,
  type OutcomeJob,
  release,
  SETTLED_VERDICTS,
  type SettledVerdict,
  settle,
} from '../../gateway/ledger/settle.ts';
import type { Transfer } from '../../gateway/ledger/transfer.ts';

/** 10 nano an output token; a third of a nano makes every charge round. */
const PRICE = { inputNanoPerMtok: 333_333n, outputNanoPerMtok: 10_000_000n };
const job = (name: string, change: Partial<OutcomeJob> = {}): OutcomeJob => ({
  jobId: name,
  provider: `p-${name}`,
  role: 'member',
  standing: 'counted',
  wave: 0,
  inputTokens: 1,
  outputTokens: 10,
  scoredTokens: 0,
  ...change,
});
const outcome = (change: Partial<Outcome> = {}): Outcome => ({
  requestId: 'r',
  account: 'c',
  price: PRICE,
  quoteNano: 1_000n,
  coverNano: 5_000n,
  verdict: 'agreed',
  jobs: [],
  disputes: new Map(),
  ...change,
});
const on = (transfer: Transfer, account: string): bigint =>
  transfer.postings.find((posting) => posting.account === account)?.amountNano ?? 0n;
const sum = (transfer: Transfer): bigint => transfer.postings.reduce((total, { amountNano }) => total + amountNano, 0n);

/** Written out by hand from the specification, not read from the code. */
const CLIENT_ROW: readonly Standing[] = ['counted', 'equivalent', 'rejected'];
const EXPECTED: Readonly<Record<SettledVerdict, readonly Standing[]>> = {
  agreed: CLIENT_ROW,
  equivalent: CLIENT_ROW,
  disputed: CLIENT_ROW,
  unverified: CLIENT_ROW,
  best_effort: CLIENT_ROW,
  disconnected: CLIENT_ROW,
  inconclusive: [],
  failed: [],
};
const ROWS = SETTLED_VERDICTS.flatMap((verdict) =>
  STANDINGS.flatMap((standing) =>
    JOB_ROLES.flatMap((role) => [0, 1].map((wave) => ({ verdict, standing, role, wave }))),
  ),
);

test.each(ROWS)('$verdict: a $role of wave $wave that is $standing is paid by whom the table names', (row) => {
  const { verdict, ...rest } = row;
  const end = settle(outcome({ verdict, jobs: [job('a', rest)] }));
  const client = row.role !== 'referee' && row.wave === 0 && EXPECTED[verdict].includes(row.standing);
  expect(on(end.transfer, 'earnings:p-a')).toBe(100n);
  expect(end.chargedNano).toBe(client ? 101n : 0n);
  expect(end.reserveNano).toBe(client ? 0n : 100n);
  expect(on(end.transfer, 'rounding')).toBe(client ? 1n : 0n);
  expect(on(end.transfer, 'client:c')).toBe(client ? 899n : 1_000n);
  expect(on(end.transfer, 'reserve')).toBe(client ? 5_000n : 4_900n);
  expect(on(end.transfer, 'escrow:r')).toBe(-1_000n);
  expect(on(end.transfer, 'cover:r')).toBe(-5_000n);
  const recoverable = !client && (row.role === 'referee' || row.wave > 0 || verdict === 'inconclusive');
  expect(end.recoverableNano).toBe(recoverable ? 100n : 0n);
});

test('a hold takes quote and cover in one transfer and settle gives back what is not paid', () => {
  const held = hold({ requestId: 'r', account: 'c', quoteNano: 1_000n, coverNano: 5_000n });
  expect([...held.postings].map(({ account, amountNano }) => [account, amountNano])).toEqual([
    ['client:c', -1_000n],
    ['cover:r', 5_000n],
    ['escrow:r', 1_000n],
    ['reserve', -5_000n],
  ]);
});

test('capture and release have one id, so a hold ends once', () => {
  const { transfer } = release(outcome());
  expect(transfer.id).toBe(settle(outcome({ jobs: [job('a')] })).transfer.id);
  expect([on(transfer, 'client:c'), on(transfer, 'reserve')]).toEqual([1_000n, 5_000n]);
});

test('an exhausted quote stops the client and the cover pays the rest', () => {
  const end = settle(outcome({ quoteNano: 150n, jobs: [job('a'), job('b')] }));
  expect(end.chargedNano).toBe(150n);
  expect(end.jobs.map((settled) => [settled.clientNano, settled.reserveNano])).toEqual([
    [100n, 0n],
    [49n, 51n],
  ]);
  expect(end.unpaidNano).toBe(0n);
});

test('rejected work is paid out of the quote after the work behind the answer', () => {
  const end = settle(outcome({ quoteNano: 101n, jobs: [job('bad', { standing: 'rejected' }), job('good')] }));
  expect(end.jobs.map(({ jobId, clientNano }) => [jobId, clientNano])).toEqual([
    ['good', 100n],
    ['bad', 0n],
  ]);
});

test('pay of a rejected job waits for its dispute, by who put it up, and is not recoverable twice', () => {
  const jobs = [job('good'), job('bad', { standing: 'rejected', wave: 1 })];
  const end = settle(outcome({ quoteNano: 150n, jobs, disputes: new Map([['bad', 'd']]) }));
  expect(on(end.transfer, 'withheld:d')).toBe(100n);
  expect(on(end.transfer, 'earnings:p-bad')).toBe(0n);
  expect(end.jobs[1]).toMatchObject({ clientNano: 0n, reserveNano: 100n, withheldBy: 'd' });
  expect(end.recoverableNano).toBe(0n);
});

test('a dispute about a job that was not rejected withholds nothing', () => {
  const end = settle(outcome({ jobs: [job('a')], disputes: new Map([['a', 'd']]) }));
  expect(on(end.transfer, 'earnings:p-a')).toBe(100n);
});

test('what neither quote nor cover reaches is said, never invented', () => {
  const end = settle(outcome({ quoteNano: 10n, coverNano: 20n, jobs: [job('a')] }));
  expect([end.chargedNano, end.reserveNano, end.unpaidNano]).toEqual([10n, 20n, 70n]);
  expect(sum(end.transfer)).toBe(0n);
});

const jobArb = fc.record({
  provider: fc.constantFrom('p1', 'p2', 'p3'),
  role: fc.constantFrom(...JOB_ROLES),
  standing: fc.constantFrom(...STANDINGS),
  wave: fc.nat(2),
  inputTokens: fc.nat(50),
  outputTokens: fc.nat(50),
  scoredTokens: fc.nat(50),
  disputed: fc.boolean(),
});
const priceArb = fc.record({
  inputNanoPerMtok: fc.bigInt({ min: 0n, max: 5_000_000n }),
  outputNanoPerMtok: fc.bigInt({ min: 0n, max: 5_000_000n }),
});

test('every settlement is what a second computation, token by token in millionths, makes of it', () => {
  fc.assert(
    fc.property(
      priceArb,
      fc.constantFrom(...SETTLED_VERDICTS),
      fc.bigInt({ min: 0n, max: 2_000n }),
      fc.array(jobArb, { maxLength: 9 }),
      (price, verdict, quoteNano, drawn) => {
        const jobs = drawn.map((fields, i) => ({ jobId: `j${i}`, ...fields }));
        const disputes = new Map(jobs.filter((j) => j.disputed).map((j) => [j.jobId, `d-${j.jobId}`]));
        const coverNano = 10_000n;
        const end = settle(outcome({ price, verdict, quoteNano, coverNano, jobs, disputes }));

        const got = new Map<string, bigint>();
        const add = (account: string, amount: bigint) => got.set(account, (got.get(account) ?? 0n) + amount);
        let quote = quoteNano;
        let cover = coverNano;
        for (const late of [false, true]) {
          for (const j of jobs) {
            if ((j.standing === 'rejected') !== late) continue;
            const works = j.outputTokens > 0 || j.scoredTokens > 0;
            const micro = works
              ? Number(price.inputNanoPerMtok) * (j.inputTokens + j.scoredTokens) +
                Number(price.outputNanoPerMtok) * j.outputTokens
              : 0;
            const pay = BigInt(Math.floor(micro / 1e6));
            const charge = BigInt(Math.ceil(micro / 1e6));
            const byClient = j.role !== 'referee' && j.wave === 0 && EXPECTED[verdict].includes(j.standing);
            const charged = byClient ? (charge < quote ? charge : quote) : 0n;
            const fromClient = charged < pay ? charged : pay;
            quote -= charged;
            cover -= pay - fromClient;
            add('rounding', charged - fromClient);
            add(late && j.disputed ? `withheld:d-${j.jobId}` : `earnings:${j.provider}`, pay);
          }
        }
        add('client:c', quote);
        add('reserve', cover);
        add('escrow:r', -quoteNano);
        add('cover:r', -coverNano);
        const want = [...got].filter(([, amount]) => amount !== 0n).sort(([a], [b]) => (a < b ? -1 : 1));
        expect(end.transfer.postings.map(({ account, amountNano }) => [account, amountNano])).toEqual(want);
        expect(sum(end.transfer)).toBe(0n);
        expect(end.chargedNano <= quoteNano).toBe(true);
        if (verdict === 'inconclusive' || verdict === 'failed') expect(end.chargedNano).toBe(0n);
        expect(end.jobs.every((settled) => settled.earnedNano === settled.clientNano + settled.reserveNano)).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});
