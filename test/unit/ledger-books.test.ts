/** Transfers, account names and the self-check (spec-money.md 11.2, 11.3, 11.10). */
import { expect, test } from 'vitest';
import { EXTERNAL, MONEY_MAX_NANO, parseAccount, RESERVE, stakeAccount } from '../../gateway/ledger/accounts.ts';
import type { Books } from '../../gateway/ledger/check-books.ts';
import { checkBooks } from '../../gateway/ledger/check-books.ts';
import { deposit, withdrawal } from '../../gateway/ledger/funding.ts';
import { makeTransfer, sameTransfer } from '../../gateway/ledger/transfer.ts';

test('legs are netted per account, zeroes left out, accounts in order', () => {
  const transfer = makeTransfer({ id: 'deposit:x', reason: 'deposit' }, [
    { from: 'client:b', to: 'client:a', amountNano: 5n },
    { from: 'client:a', to: 'client:b', amountNano: 2n },
    { from: 'reserve', to: 'burn', amountNano: 0n },
  ]);
  expect(transfer.postings).toEqual([
    { account: 'client:a', amountNano: 3n },
    { account: 'client:b', amountNano: -3n },
  ]);
});

test('negative legs, unknown accounts and amounts beyond 2^62 − 1 are refused', () => {
  const make = (from: string, to: string, amountNano: bigint) => () =>
    makeTransfer({ id: 'x', reason: 'deposit' }, [{ from, to, amountNano }]);
  expect(make(EXTERNAL, RESERVE, MONEY_MAX_NANO)).not.toThrow();
  expect(make(EXTERNAL, RESERVE, -1n)).toThrow(RangeError);
  expect(make(EXTERNAL, RESERVE, MONEY_MAX_NANO + 1n)).toThrow(RangeError);
  expect(make(EXTERNAL, 'bank', 1n)).toThrow(RangeError);
  const many = (legs: readonly (readonly [string, string])[]) => () => {
    const large = legs.map(([from, to]) => ({ from, to, amountNano: MONEY_MAX_NANO }));
    return makeTransfer({ id: 'x', reason: 'deposit' }, large);
  };
  const intoOne = [
    ['client:a', RESERVE],
    ['client:b', RESERVE],
  ] as const;
  const outOfOne = intoOne.map(([from, to]) => [to, from] as const);
  expect(many(intoOne)).toThrow(RangeError);
  expect(many(outOfOne)).toThrow(RangeError);
});

test.each(['', 'bank', 'client', 'client:', 'reserve:x', 'burn:', ':x'])('%j is no account', (id) => {
  expect(() => parseAccount(id)).toThrow(RangeError);
});

test('an owner may hold colons', () => {
  expect(parseAccount('stake:a:b')).toEqual({ kind: 'stake', owner: 'a:b' });
});

test('two transfers are the same only with the same id, subject and postings', () => {
  const one = deposit('x', RESERVE, 5n);
  expect(sameTransfer(one, deposit('x', RESERVE, 5n))).toBe(true);
  expect(sameTransfer(one, deposit('x', RESERVE, 6n))).toBe(false);
  expect(sameTransfer(one, deposit('y', RESERVE, 5n))).toBe(false);
  expect(sameTransfer(one, deposit('x', stakeAccount('p'), 5n))).toBe(false);
  expect(sameTransfer(one, { ...one, reason: 'hold' })).toBe(false);
  expect(sameTransfer(one, { ...one, requestId: 'r' })).toBe(false);
  expect(sameTransfer(one, { ...one, disputeId: 'd' })).toBe(false);
  expect(sameTransfer(one, { ...one, postings: [] })).toBe(false);
});

test('a withdrawal undoes a deposit', () => {
  const flip = withdrawal('x', RESERVE, 5n).postings.map((p) => ({ ...p, amountNano: -p.amountNano }));
  expect(flip).toEqual(deposit('x', RESERVE, 5n).postings);
});

const SOUND: Books = {
  accounts: [
    { id: 'client:c', balanceNano: 5n },
    { id: 'external', balanceNano: -5n },
  ],
  transferIds: ['t'],
  postings: [
    { transferId: 't', account: 'client:c', amountNano: 5n },
    { transferId: 't', account: 'external', amountNano: -5n },
  ],
};
const posting = (transferId: string, account: string, amountNano: bigint) => ({ transferId, account, amountNano });
const kindsOf = (books: Books) => checkBooks(books).map(({ kind, id }) => `${kind} ${id}`.trim());

test('sound books have no problem', () => {
  expect(checkBooks(SOUND)).toEqual([]);
  expect(checkBooks({ accounts: [], transferIds: ['empty'], postings: [] })).toEqual([]);
});

test('the self-check finds unbalanced transfers, wrong and negative balances, made money and unknown names', () => {
  const { accounts, postings } = SOUND;
  expect(kindsOf({ ...SOUND, postings: [postings[0]!, posting('t', 'external', -4n)] })).toEqual([
    'unbalanced_transfer t',
    'wrong_balance external',
  ]);
  expect(kindsOf({ ...SOUND, accounts: [{ id: 'client:c', balanceNano: 6n }, accounts[1]!] })).toEqual([
    'wrong_balance client:c',
    'money_made',
  ]);
  expect(kindsOf({ ...SOUND, accounts: [accounts[1]!] })).toEqual(['unknown_reference client:c', 'money_made']);
  expect(kindsOf({ ...SOUND, transferIds: [] })).toEqual(['unknown_reference t']);
  const debt = [posting('t', 'client:c', -5n), posting('t', 'reserve', 5n)];
  const owing = [
    { id: 'client:c', balanceNano: -5n },
    { id: 'reserve', balanceNano: 5n },
  ];
  expect(kindsOf({ accounts: owing, transferIds: ['t'], postings: debt })).toEqual(['negative_balance client:c']);
});
