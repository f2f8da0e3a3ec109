/** Money: the books balance, nobody pays above the quote, nothing on failure, and one charge at most for one key. */
import { eq } from 'drizzle-orm';
import type { Statement } from '#protocol/attestation';
import { choicesOf } from '#protocol/choices';
import { clientAccount } from '../../gateway/ledger/accounts.ts';
import { jobPrice, surchargeNano } from '../../gateway/ledger/price.ts';
import { type JobRow, jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { booksOf, FUNDS_NANO } from '../fixtures/network.ts';
import { outcomeOf } from './outcome.ts';
import type { Run } from './simulation.ts';
import { TOY_MODEL } from './toy-machine.ts';

/** Verdicts of requests that a client pays nothing for. */
const FREE = ['failed', 'inconclusive'];

/** What a client owes for an answer, best effort included: the revealed work of drawn members and witnesses, and audits, up to the quote. */
function dueOf(jobs: readonly JobRow[], quoteNano: bigint, statement: Statement): bigint {
  const drawn = jobs.filter(({ role, wave }) => role !== 'referee' && wave === 0);
  const paid = drawn.filter(({ standing }) => ['counted', 'equivalent', 'rejected'].includes(standing ?? ''));
  const work = paid.reduce((sum, job) => sum + jobPrice(TOY_MODEL.price, job).chargeNano, 0n);
  const { audit } = statement;
  const due = choicesOf(statement).reduce((sum, { request, outputIds }) => {
    const done = { inputTokens: request.promptTokens, outputTokens: outputIds.length };
    return audit === undefined ? sum : sum + surchargeNano(TOY_MODEL.price, done, audit);
  }, work);
  return due < quoteNano ? due : quoteNano;
}

/** Every violation, in words. */
export async function moneyProblems(run: Run): Promise<string[]> {
  const problems: string[] = [];
  for (const { kind, id } of await booksOf(run.store)) problems.push(`books: ${kind} ${id}`);
  await run.store.read(async (handle) => {
    const { requests, idempotencyKeys } = handle.tables;
    const rows = await handle.db.select().from(requests).where(eq(requests.keyId, 'key-test'));
    const byId = new Map(rows.map((row) => [row.requestId, row]));
    let spentNano = 0n;
    for (const { requestId, chargedNano, refundedNano, quoteNano, verdict } of rows) {
      spentNano += chargedNano - refundedNano;
      if (chargedNano > quoteNano)
        problems.push(`money: ${requestId} cost ${chargedNano}, above its quote ${quoteNano}`);
      if (FREE.includes(verdict ?? '') && chargedNano !== 0n) {
        problems.push(`money: ${requestId} ended ${verdict} and cost ${chargedNano}`);
      }
    }
    const leftNano = await balanceNano(handle, clientAccount('key-test'));
    if (leftNano !== FUNDS_NANO - spentNano) {
      problems.push(`money: the client has ${leftNano} left of ${FUNDS_NANO} and was charged ${spentNano}`);
    }
    const answered = new Set<string>();
    for (const answer of run.tries) {
      const outcome = outcomeOf(answer);
      if (outcome.kind !== 'answered') continue;
      const { statement } = outcome;
      const { requestId, price, verdict } = statement;
      answered.add(requestId);
      const row = byId.get(requestId);
      if (row?.state !== 'settled') problems.push(`money: ${requestId} was answered and is ${row?.state ?? 'unknown'}`);
      if (row && row.chargedNano !== BigInt(price.chargedNano))
        problems.push(`money: ${requestId} cost another amount than it says`);
      if (row && row.verdict !== (verdict === 'inconclusive' ? 'best_effort' : verdict)) {
        problems.push(`money: ${requestId} was answered as ${verdict} and paid as ${row.verdict}`);
      }
      const dueNano = row ? dueOf(await jobsOfRequest(handle, requestId), row.quoteNano, statement) : 0n;
      if (row && row.chargedNano !== dueNano)
        problems.push(`money: ${requestId} cost ${row.chargedNano}, not ${dueNano}`);
    }
    const broken = run.tries.filter(({ end }) => end !== 'answered').length;
    // Settled, and yet nobody holds the answer: only where the connection broke.
    const unseen = rows.filter(({ state, requestId }) => state === 'settled' && !answered.has(requestId));
    if (unseen.length > broken) problems.push(`money: ${unseen.length} requests were settled and not answered`);
    // A key that is in use has one request that counts, however often it was tried.
    const keys = await handle.db.select().from(idempotencyKeys);
    if (keys.length > 0 && rows.filter(({ state }) => state === 'settled').length > keys.length + (run.probe ? 1 : 0)) {
      problems.push('money: a key was charged twice');
    }
  });
  return problems;
}
