/** Who else was harmed by who is convicted, and what they got back (SPEC.md §11.8). */
import { stakeAccount } from '../ledger/accounts.ts';
import type { DisputeMoney, Restitution } from '../ledger/dispute-money.ts';
import type { Harmed } from '../ledger/restitution.ts';
import type { DisputeRow } from './disputes-repo.ts';
import type { Tx } from './handle.ts';
import { balanceNano } from './ledger-repo.ts';
import { owedNano } from './owed.ts';
import { listProviders } from './providers-repo.ts';
import { itemsOf, reexaminationOf, updateItem } from './reexamine-repo.ts';
import { requestById, updateRequest } from './requests-repo.ts';

/** Of a conviction after which nothing was looked at. */
const NOBODY_HARMED: Pick<DisputeMoney, 'harmed' | 'freeStakes'> = { harmed: [], freeStakes: [] };

/** @returns `not_known` while answers are looked at because of this conviction */
export async function harmedBy(
  tx: Tx,
  { disputeId, provider, requestId }: DisputeRow,
): Promise<Pick<DisputeMoney, 'harmed' | 'freeStakes'> | 'not_known'> {
  const past = await reexaminationOf(tx, disputeId);
  if (past === null) return NOBODY_HARMED;
  if (past.endedAtMs === null) return 'not_known';
  const overturned = (await itemsOf(tx, disputeId)).filter(({ outcome }) => outcome === 'overturned');
  // Several choices of one request were paid for once; that of the conviction itself is refunded as its own.
  const requests = new Set(overturned.map((item) => item.requestId));
  requests.delete(requestId);
  const harmed: Harmed[] = [];
  for (const harmedId of requests) harmed.push(await harmedIn(tx, harmedId));
  return { harmed, freeStakes: await freeStakes(tx, past.operator, provider) };
}

async function harmedIn(tx: Tx, requestId: string): Promise<Harmed> {
  const request = (await requestById(tx, requestId))!;
  return {
    requestId,
    clientOwner: request.account,
    owedNano: await owedNano(tx, request),
    recoverableNano: request.recoverableNano - request.recoveredNano,
  };
}

/** The convicted key's own first, then those of the account's other keys: whoever renames itself sheds nothing. */
async function freeStakes(tx: Tx, operator: string, convicted: string): Promise<DisputeMoney['freeStakes']> {
  const others = (await listProviders(tx))
    .filter((one) => one.operator === operator && one.address !== convicted)
    .map(({ address }) => address)
    .sort();
  const stakes = [];
  for (const address of [convicted, ...others]) {
    const account = stakeAccount(address);
    stakes.push({ account, freeNano: await balanceNano(tx, account) });
  }
  return stakes;
}

/** Remembers what was paid back, in the transaction that pays it: so nobody is paid twice. */
export async function enterRestitutions(
  tx: Tx,
  disputeId: string,
  restitutions: readonly Restitution[],
): Promise<void> {
  const items = restitutions.length === 0 ? [] : await itemsOf(tx, disputeId);
  for (const { requestId, refundedNano, recoveredNano } of restitutions) {
    const request = (await requestById(tx, requestId))!;
    await updateRequest(tx, requestId, {
      refundedNano: request.refundedNano + refundedNano,
      recoveredNano: request.recoveredNano + recoveredNano,
    });
    // At the first of the request's choices that fell: one sum for all of them.
    const item = items.find((one) => one.requestId === requestId && one.outcome === 'overturned')!;
    await updateItem(tx, item, { refundedNano });
  }
}
