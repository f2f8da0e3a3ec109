/** `/admin/deposits`, `/admin/withdrawals`, `/admin/books`: money that enters and leaves, and whether the books balance. */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import type { GatewayApp } from '../http/context.ts';
import {
  type AccountId,
  clientAccount,
  earningsAccount,
  parseAccount,
  RESERVE,
  stakeAccount,
} from '../ledger/accounts.ts';
import { checkBooks } from '../ledger/check-books.ts';
import { deposit, withdrawal } from '../ledger/funding.ts';
import { sameTransfer, type Transfer } from '../ledger/transfer.ts';
import { leavesPromised } from '../store/chain-promises.ts';
import type { Tx } from '../store/handle.ts';
import { isWorking } from '../store/jobs-repo.ts';
import { apiKeyById } from '../store/keys-repo.ts';
import { applyTransfer, balanceNano, readBooks, transferById } from '../store/ledger-repo.ts';
import { providerByAddress } from '../store/providers-repo.ts';
import { retainedNano } from '../store/retained-pay.ts';
import { noSuch, parseBody, zAmountNano, zReference } from './admin-body.ts';
import { type AdminDeps, audit } from './admin-deps.ts';

const WITHDRAWALS = '/admin/withdrawals';
/** `reserve`, `key:<id>`, `stake:<address>`, `earnings:<address>`. */
const zAccount = z.string().regex(/^(reserve|key:[A-Za-z0-9_.-]{1,64}|(stake|earnings):0x[0-9a-f]{40})$/);
const zMove = z.strictObject({
  account: zAccount,
  amount_nano: zAmountNano.refine((amount) => amount > 0n),
  reference: zReference,
});

export function mountMoney(app: GatewayApp, deps: AdminDeps): void {
  const { store, clock } = deps;
  const move = (path: string, transferOf: (reference: string, account: AccountId, amountNano: bigint) => Transfer) => {
    app.post(path, async (c) => {
      const { account, amount_nano: amountNano, reference } = await parseBody(c, zMove);
      // Apart from the references of first stakes and funds, which nobody may use up.
      const transfer = transferOf(`admin:${reference}`, await accountId(deps, account), amountNano);
      const { isNew, balance } = await store.withTx(async (tx) => {
        if (path === WITHDRAWALS && account.startsWith('stake:')) await requireFreeStake(tx, deps, account);
        if (path === WITHDRAWALS && account.startsWith('earnings:')) {
          await requirePaidOut(tx, deps, { transfer, account, amountNano });
        }
        const entered = await enter(tx, transfer, clock.nowMs());
        const id = transfer.postings.find((posting) => posting.account !== 'external')!.account;
        return { isNew: entered, balance: await balanceNano(tx, id) };
      });
      if (isNew) audit(deps, c, 'admin_money_moved', { reason: transfer.reason, amountNano, code: account });
      const view = { object: transfer.reason, account, amount_nano: amountNano.toString(), reference };
      return c.json({ ...view, balance_nano: balance.toString() }, isNew ? 201 : 200);
    });
  };
  move('/admin/deposits', deposit);
  // Stake goes out as far as no dispute holds it, and not while its owner may still have to answer for what it did; the reserve as far as no request counts on it.
  move(WITHDRAWALS, withdrawal);
  app.get('/admin/books', async (c) => {
    const books = await store.withTx(readBooks);
    const totals = new Map<string, bigint>();
    for (const { id, balanceNano: balance } of books.accounts) {
      const { kind } = parseAccount(id);
      totals.set(kind, (totals.get(kind) ?? 0n) + balance);
    }
    const problems = checkBooks(books);
    return c.json({
      object: 'books',
      balanced: problems.length === 0,
      problems: problems.slice(0, 100),
      transfers: books.transferIds.length,
      totals_nano: Object.fromEntries([...totals].map(([kind, total]) => [kind, total.toString()])),
    });
  });
}

async function accountId({ store }: AdminDeps, account: string): Promise<AccountId> {
  if (account === 'reserve') return RESERVE;
  const owner = account.slice(account.indexOf(':') + 1);
  return store.read(async (handle) => {
    if (account.startsWith('key:')) {
      const key = await apiKeyById(handle, owner);
      if (key === null) throw noSuch('key');
      return clientAccount(key.account);
    }
    if ((await providerByAddress(handle, owner as `0x${string}`)) === null) throw noSuch('provider');
    return account.startsWith('stake:') ? stakeAccount(owner) : earningsAccount(owner);
  });
}

/** @throws {ProtocolError} invalid_request while a request of the provider runs, or evidence is outstanding or speaks against it */
async function requireFreeStake(tx: Tx, { evidence }: AdminDeps, account: string): Promise<void> {
  const address = account.slice('stake:'.length) as Address;
  const provider = await providerByAddress(tx, address);
  const reason = (await isWorking(tx, address))
    ? 'requests_running'
    : provider && (await evidence.stayReason(tx, provider.operator));
  if (reason === null) return;
  throw new ProtocolError('invalid_request', `The stake stays where it is: ${reason}.`, { param: 'account' });
}

/**
 * Pay of lone answers stays until nobody can find them wrong any more, and as long as evidence speaks against the operator.
 * @throws {ProtocolError} invalid_request where less than that would be left
 */
async function requirePaidOut(
  tx: Tx,
  { clock }: Pick<AdminDeps, 'clock'>,
  move: { readonly transfer: Transfer; readonly account: string; readonly amountNano: bigint },
): Promise<void> {
  // What has left before is not asked again.
  if ((await transferById(tx, move.transfer.id)) !== null) return;
  const provider = move.account.slice('earnings:'.length);
  const retained = await retainedNano(tx, provider, clock.nowMs());
  const left = (await balanceNano(tx, earningsAccount(provider))) - move.amountNano;
  if (retained === 0n || left >= retained) return;
  throw new ProtocolError('invalid_request', `Pay for lone answers stays for a while: ${retained} nano now.`, {
    param: 'amount_nano',
  });
}

/** @returns false where this very movement was entered before */
async function enter(tx: Tx, transfer: Transfer, nowMs: number): Promise<boolean> {
  const known = await transferById(tx, transfer.id);
  if (known !== null && !sameTransfer(known, transfer)) {
    throw new ProtocolError('invalid_request', 'The reference names another movement.', { param: 'reference' });
  }
  if (transfer.reason === 'withdrawal') {
    const from = transfer.postings.find((posting) => posting.amountNano < 0n)!;
    if (known === null && (await balanceNano(tx, from.account)) < -from.amountNano) {
      throw new ProtocolError('invalid_request', 'The account holds less than that.', { param: 'amount_nano' });
    }
    if (known === null && !(await leavesPromised(tx, from.account, -from.amountNano))) {
      throw new ProtocolError('invalid_request', 'A root on the chain promises that money.', { param: 'amount_nano' });
    }
  }
  return applyTransfer(tx, transfer, nowMs);
}
