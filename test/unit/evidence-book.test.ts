/** The book of evidence: what a replay of the log must come to. */
import { expect, test } from 'vitest';
import { accountKey, EvidenceBook, replayEvidence, type ScoredFacts } from '#protocol/evidence-book';
import { logEntryText, type ScoredEntry, zLogEntry } from '#protocol/log';
import { BETS, FACTOR_SCALE } from '#protocol/wealth';

const hash = (n: number) => `0x${n.toString(16).padStart(64, '0')}` as const;
const MODEL = hash(1);

function facts(n: number, factor: number, more: Partial<ScoredFacts> = {}): ScoredFacts {
  return {
    operator: 'cheap',
    modelDigest: MODEL,
    provider: `0x${'11'.repeat(20)}`,
    responseHash: hash(1_000 + n),
    client: n % 20,
    own: n % 2 === 0,
    scores: [{ operator: `o${(n >> 1) % 2}`, scoreHash: hash(n) }],
    calibration: hash(2),
    factors: BETS.map(() => Math.floor(factor * FACTOR_SCALE)),
    ...more,
  };
}

function written(all: readonly ScoredFacts[]): ScoredEntry[] {
  const book = new EvidenceBook();
  return all.map((one, i) => ({ ...one, type: 'scored' as const, stage: book.enter(one).stage, atMs: i }));
}

const cheat = Array.from({ length: 30 }, (_, n) => facts(n, 4));
const honest = Array.from({ length: 30 }, (_, n) => facts(100 + n, 0.99, { operator: 'honest' }));

test('a replay of the entries comes to the same stages and the same bits', () => {
  const entries = written([...cheat.slice(0, 8), ...honest]);
  const reread = entries.map((entry) => zLogEntry.parse(JSON.parse(logEntryText(entry))) as ScoredEntry);
  const { book, problems } = replayEvidence(reread);
  expect(problems).toEqual([]);
  const again = replayEvidence(entries).book;
  for (const key of book.keys) expect(book.account(key)!.all).toStrictEqual(again.account(key)!.all);
});

test('an entry whose stage does not follow from its factors is named', () => {
  const entries = written(cheat.slice(0, 8));
  const forged = entries.map((entry, i) => (i === 7 ? { ...entry, stage: 'slash' as const } : entry));
  expect(replayEvidence(forged).problems).toEqual([{ at: 7, stage: 'slash', recomputed: entries[7]!.stage }]);
  const lowered = entries.map((entry, i) => (i === 0 ? facts(0, 0.5) : entry)) as ScoredEntry[];
  expect(replayEvidence(lowered.map((entry, i) => ({ ...entries[i]!, ...entry }))).problems).not.toEqual([]);
});

test('keys and classes change, the account stays: an operator that renames its machine sheds nothing', () => {
  const renamed = cheat.map((one, n) => ({ ...one, provider: `0x${(n % 5).toString(16).padStart(40, '0')}` as const }));
  expect(written(renamed).map(({ stage }) => stage)).toEqual(written(cheat).map(({ stage }) => stage));
  expect(written(cheat).map(({ stage }) => stage)).toContain('slash');
});

test('models and operators have accounts of their own', () => {
  const other = cheat.map((one) => ({ ...one, operator: 'other' }));
  const { book } = replayEvidence(written([...cheat.slice(0, 4), ...other.slice(0, 2)]));
  expect(book.keys).toEqual([accountKey(cheat[0]!), accountKey(other[0]!)]);
});

test('a slash closes the account: the same evidence convicts once', () => {
  const entries = written(cheat);
  const slashed = entries.findIndex(({ stage }) => stage === 'slash');
  expect(slashed).toBeGreaterThan(8);
  expect(entries[slashed + 1]!.stage).toBe('clear');
});
