/** The ledger's self-check over any history: silent on books that were kept, never silent on one number that was changed. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Books, checkBooks } from '../../gateway/ledger/check-books.ts';

const ACCOUNTS = ['external', 'reserve', 'client:a', 'escrow:r1', 'stake:0xaa', 'earnings:0xaa'] as const;
const move = fc.record({ from: fc.nat(5), to: fc.nat(5), amountNano: fc.bigInt({ min: 1n, max: 10n ** 15n }) });

/** Books of these moves; what would make an account negative is left out, as the database refuses it. */
function kept(moves: readonly { from: number; to: number; amountNano: bigint }[]): Books {
  const balances = new Map<string, bigint>(ACCOUNTS.map((id) => [id, 0n]));
  const transferIds: string[] = [];
  const postings: Books['postings'][number][] = [];
  for (const { from, to, amountNano } of moves) {
    const [payer, payee] = [ACCOUNTS[from]!, ACCOUNTS[to]!];
    if (payer === payee || (payer !== 'external' && balances.get(payer)! < amountNano)) continue;
    const transferId = `t${transferIds.length}`;
    transferIds.push(transferId);
    postings.push({ transferId, account: payer, amountNano: -amountNano }, { transferId, account: payee, amountNano });
    balances.set(payer, balances.get(payer)! - amountNano);
    balances.set(payee, balances.get(payee)! + amountNano);
  }
  return { accounts: [...balances].map(([id, balanceNano]) => ({ id, balanceNano })), transferIds, postings };
}

const history = fc
  .array(move, { minLength: 1, maxLength: 30 })
  .map((moves) => kept([{ from: 0, to: 1, amountNano: 5n }, ...moves]));
const change = fc.bigInt({ min: -(10n ** 6n), max: 10n ** 6n }).filter((nano) => nano !== 0n);

test('books that were kept have no problem', () => {
  const property = fc.property(history, (books) => {
    expect(checkBooks(books)).toEqual([]);
  });
  fc.assert(property, { seed: 71, numRuns: 300 });
});

test('one changed balance, one changed or missing posting, one unknown transfer: each is found', () => {
  const property = fc.property(history, change, fc.nat(), (books, byNano, at) => {
    const accounts = books.accounts.map((account, i) =>
      i === at % books.accounts.length ? { ...account, balanceNano: account.balanceNano + byNano } : account,
    );
    expect(checkBooks({ ...books, accounts })).not.toEqual([]);
    const index = at % books.postings.length;
    const postings = books.postings.map((posting, i) =>
      i === index ? { ...posting, amountNano: posting.amountNano + byNano } : posting,
    );
    expect(checkBooks({ ...books, postings })).not.toEqual([]);
    expect(checkBooks({ ...books, postings: books.postings.toSpliced(index, 1) })).not.toEqual([]);
    expect(checkBooks({ ...books, transferIds: books.transferIds.slice(1) })).not.toEqual([]);
  });
  fc.assert(property, { seed: 72, numRuns: 300 });
});
