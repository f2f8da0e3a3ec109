/** The ledger after a soak: it balances, and what clients were charged and the reserve paid for is what providers earned. */
import { eq, sum } from 'drizzle-orm';
import { parseAccount } from '../../gateway/ledger/accounts.ts';
import { checkBooks } from '../../gateway/ledger/check-books.ts';
import { readBooks } from '../../gateway/store/ledger-repo.ts';
import { openStore } from '../../gateway/store/open-store.ts';

/** First funds and deposits of the demonstration, in nano. */
const CLIENT_NANO = 10n ** 11n;
const RESERVE_NANO = 10n ** 12n;

/** @param chargedNano sum over all attestations @returns what is wrong, one line each */
export async function checkMoney(databaseFile: string, chargedNano: bigint): Promise<string[]> {
  const store = openStore({ file: databaseFile });
  const books = await store.withTx(readBooks);
  // Who is tried, or heard late, is paid by the reserve (SPEC.md §11.9), and so is who was asked about a split.
  const { late, heardNano } = await store.read(async ({ db, tables: { jobs, transfers } }) => ({
    late: await db.select({ id: transfers.id }).from(transfers).where(eq(transfers.reason, 'late')),
    heardNano: await db
      .select({ nano: sum(jobs.earnedNano) })
      .from(jobs)
      .where(eq(jobs.standing, 'witness')),
  }));
  await store.close();
  const problems = checkBooks(books).map(({ kind, id }) => `books: ${kind} ${id}`);
  const sums = new Map<string, bigint>();
  for (const { id, balanceNano } of books.accounts) {
    const { kind } = parseAccount(id);
    sums.set(kind, (sums.get(kind) ?? 0n) + balanceNano);
  }
  const sumOf = (kind: string) => sums.get(kind) ?? 0n;
  const spentNano = late.length > 0 ? RESERVE_NANO - sumOf('reserve') : BigInt(heardNano[0]?.nano ?? 0);
  const expected: [string, bigint, bigint][] = [
    ['clients spent', CLIENT_NANO - sumOf('client'), chargedNano],
    ['providers earned, with what was rounded up,', sumOf('earnings') + sumOf('rounding'), chargedNano + spentNano],
    ['the reserve holds', sumOf('reserve'), RESERVE_NANO - spentNano],
  ];
  for (const [what, found, wanted] of expected) {
    if (found !== wanted) problems.push(`books: ${what} ${found} nano, not ${wanted}`);
  }
  for (const kind of ['escrow', 'cover', 'frozen', 'withheld', 'burn']) {
    if (sumOf(kind) !== 0n) problems.push(`books: ${sumOf(kind)} nano are left in ${kind}`);
  }
  return problems;
}
