/** The quote the other way round: of all policies that can be bought, rates of audits among them, none that meets a target is cheaper (spec-money.md §11.12). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Address } from '#protocol/hash';
import { type Policy, policyOfText } from '#protocol/policy';
import { type AuditOffer, type AuditStanding, auditOfferOf } from '../../gateway/audit/audit-terms.ts';
import { worthOf } from '../../gateway/audit/cheat-loss.ts';
import { auditCollusionPpm, poolOf } from '../../gateway/audit/collusion.ts';
import { DEFAULT_DETECTION, RARE_PPM } from '../../gateway/audit/detection.ts';
import { quoteNano } from '../../gateway/ledger/price.ts';
import { shapesOf } from '../../gateway/round/offer.ts';
import { cheapestPolicy, type OptionFacts } from '../../gateway/round/quote-options.ts';
import { finalitySecondsOf } from '../../gateway/round/security.ts';
import { NO_BOUND } from '../fixtures/no-bound.ts';
import { ppm } from './audit-rate-fixture.ts';

const DAY_MS = 24 * 3600 * 1000;
const LIMITS = { requestMs: 600_000, retentionMs: 7 * DAY_MS, reexamineMs: 7 * DAY_MS };
const AUDITS = { ratePpm: null, regeneratePpm: 100_000, delayMs: 600_000, withinMs: DAY_MS + 600_000 };
const MODEL = {
  digest: `0x${'11'.repeat(32)}` as const,
  price: { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n },
};
const COUNTS = { promptTokens: [200], maxTokens: 200 };
const SEAT_NANO = 50_000n;
const single = policyOfText('single');
/** The rows of rare cheats decide, and are a fifth of the table. */
const TABLE = { ...DEFAULT_DETECTION, cheats: DEFAULT_DETECTION.cheats.filter((row) => row.fractionPpm === RARE_PPM) };
const addressOf = (i: number) => `0x${String(i).padStart(40, '0')}` as Address;

/** A provider: its own rate, and what it has to lose. */
const providerArb = fc.record({
  ratePpm: ppm,
  stakeNano: fc.bigInt({ min: 0n, max: 2_000n }).map((answers) => answers * SEAT_NANO),
  waiting: fc.option(fc.nat(100), { nil: undefined }),
  pay: fc.bigInt({ min: 0n, max: 400n }),
});
type Provider = typeof providerArb extends fc.Arbitrary<infer T> ? T : never;

async function factsOf(providers: readonly Provider[]): Promise<OptionFacts> {
  const standings = new Map(
    providers.map(({ ratePpm, stakeNano, waiting, pay }, i): [Address, AuditStanding] => {
      const known = waiting === undefined ? {} : { waiting };
      const retainedNano = (waiting === undefined ? pay : BigInt(waiting)) * SEAT_NANO;
      const lagNano = 8n * SEAT_NANO;
      const incentive = { priceNano: SEAT_NANO, stakeNano, freeNano: stakeNano, lagNano, retainedNano, ...known };
      return [addressOf(i), { ratePpm, incentive: { ...incentive, collusionPpm: 0 } }];
    }),
  );
  const rates = {
    standingsOf: async () => standings,
    worthOf: (incentive: AuditStanding['incentive'], ratePpm: number) => worthOf(incentive, TABLE, ratePpm),
    count: () => {},
    refresh: async () => {},
  };
  const entries = providers.map(({ stakeNano }, i) => ({
    address: addressOf(i),
    operator: `operator-${i}`,
    stakeNano: stakeNano.toString(),
    modelDigests: [MODEL.digest],
    region: 'eu',
    numericClasses: ['x'],
  }));
  const request = { policy: policyOfText('audited'), model: MODEL, ...COUNTS };
  return {
    policy: single,
    entries,
    audits: await auditOfferOf({ rates, pipeline: { audits: AUDITS } }, request, entries),
    quoteNanoOf: (policy, audit) =>
      quoteNano(...shapesOf({ model: MODEL, policy, ...COUNTS, choices: 1, stream: false, audit }, [8, 16])),
    finalitySecondsOf: (policy) => finalitySecondsOf(policy, { ...LIMITS, audits: AUDITS }),
  };
}

/** Every rate that can be asked for, one by one, with what it costs and whether it deters. */
function everyRate({ audits, entries, quoteNanoOf }: OptionFacts, share: number) {
  const collusionPpm = auditCollusionPpm(poolOf(entries.length, share));
  return Array.from({ length: 1_001 }, (_, step) => {
    const offer: AuditOffer = audits!.asking(step * 1_000);
    const policy: Policy = { ...policyOfText('audited'), ...(step === 0 ? {} : { auditRate: step / 1_000 }) };
    return { costNano: quoteNanoOf(policy, offer.most), lossNano: offer.worthOf(entries, collusionPpm).lossNano };
  });
}

describe('the cheapest policy among all rates of audits', () => {
  const providersArb = fc.array(providerArb, { minLength: 2, maxLength: 5 });

  test('that deters costs no more than any rate of a thousand that does, and is one where any does', async () => {
    await fc.assert(
      fc.asyncProperty(providersArb, fc.constantFrom(0, 0.2, 0.5), async (providers, colludingShare) => {
        const facts = await factsOf(providers);
        const found = cheapestPolicy(facts, { ...NO_BOUND, isDeterring: true, colludingShare });
        const deterring = everyRate(facts, colludingShare).filter(({ lossNano }) => lossNano > 0n);
        for (const { costNano } of deterring) expect(found!.quoteNano <= costNano).toBe(true);
        if (found === null) return;
        expect(found.cheatLossNano > 0n).toBe(true);
        // What is named can be bought for what is said: its rate is one that a policy can ask for.
        const { auditRate } = found.policy;
        if (auditRate !== undefined) expect(Math.round(auditRate * 1_000) / 1_000).toBe(auditRate);
      }),
      { numRuns: 12 },
    );
  });

  test('within a budget is safer than, or as safe as, every rate within it', async () => {
    const budget = fc.bigInt({ min: SEAT_NANO, max: 2n * SEAT_NANO });
    await fc.assert(
      fc.asyncProperty(providersArb, budget, async (providers, maxCostNano) => {
        const facts = await factsOf(providers);
        const found = cheapestPolicy(facts, { ...NO_BOUND, maxCostNano })!;
        expect(found.quoteNano <= maxCostNano).toBe(true);
        for (const { costNano, lossNano } of everyRate(facts, NO_BOUND.colludingShare)) {
          if (costNano > maxCostNano || lossNano <= 0n) continue;
          expect(found.cheatLossNano > 0n).toBe(true);
          if (found.policy.mode === 'audited') expect(found.cheatLossNano >= lossNano).toBe(true);
        }
      }),
      { numRuns: 12 },
    );
  });

  test('of a provider whose own rate does not deter is the audited one at a higher rate, where that costs less than two seats', async () => {
    const examined = { ratePpm: 10_000, stakeNano: 1_000n * SEAT_NANO, waiting: undefined, pay: 0n };
    const facts = await factsOf(Array(5).fill(examined));
    const found = cheapestPolicy(facts, { ...NO_BOUND, isDeterring: true })!;
    // 0.3 · 64 / (200 - 0.024) = 9.6%, by thousandths.
    expect(found.policy).toMatchObject({ mode: 'audited', auditRate: 0.097 });
    expect(found.security).toMatchObject({ audit_rate: 0.097 });
    expect(found.security).not.toHaveProperty('undeterred');
    const dear = cheapestPolicy(facts, { ...NO_BOUND, priceMultipleMax: 1.04 })!;
    expect(dear.security.undeterred).toBe('int8');
  });
});

describe('time to finality', () => {
  const limits = { ...LIMITS, audits: AUDITS };
  const of = (text: string, change: Partial<typeof limits> = {}) =>
    finalitySecondsOf(policyOfText(text), { ...limits, ...change });

  test('of what one provider decided, or wrote, is as long as it is kept, and a look on the last day', () => {
    const eightDays = (8 * DAY_MS + 600_000) / 1_000;
    for (const text of ['single', 'audited', 'witnessed; n=3']) expect(of(text)).toBe(eightDays);
    expect(of('single', { retentionMs: DAY_MS })).toBe((2 * DAY_MS + 600_000) / 1_000);
  });

  test('without kept answers is the time of an audit, or none', () => {
    expect(of('single', { reexamineMs: 0 })).toBe(0);
    expect(of('witnessed; n=3', { reexamineMs: 0 })).toBe(0);
    expect(of('audited', { reexamineMs: 0 })).toBe((DAY_MS + 600_000) / 1_000);
  });

  test('of a quorum is until every late seat was heard, and a bound of an hour buys no other', async () => {
    expect(of('quorum; n=3')).toBe(3 * 600);
    expect(of('quorum; n=5; agree=4')).toBe(6 * 600);
    const rich = { ratePpm: 10_000, stakeNano: 2_000n * SEAT_NANO, waiting: undefined, pay: 400n };
    const facts = await factsOf(Array(5).fill(rich));
    const soon = cheapestPolicy(facts, { ...NO_BOUND, isDeterring: true, finalitySecondsMax: 3_600 })!;
    expect(soon.policy).toMatchObject({ mode: 'quorum', n: 2 });
    const later = cheapestPolicy(facts, { ...NO_BOUND, isDeterring: true, finalitySecondsMax: 9 * 86_400 })!;
    expect(later.policy.mode).toBe('audited');
    expect(cheapestPolicy(facts, { ...NO_BOUND, isDeterring: true, finalitySecondsMax: 0 })).toBeNull();
  });
});
