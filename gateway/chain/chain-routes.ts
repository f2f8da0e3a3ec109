/** `/v1/earnings`, `/v1/vouchers`, `/v1/escrow`: what providers claim and clients pay with on the chain (spec-chain.md C5, C9.5). */
import { ProtocolError } from '#protocol/errors';
import { safeParse, zAddress } from '#protocol/schema';
import { parseBody } from '../admin/admin-body.ts';
import type { GatewayApp } from '../http/context.ts';
import type { ChainWorker } from './chain-worker.ts';
import { zEscrowKey } from './escrow-keys.ts';
import { zVoucher } from './vouchers.ts';

export function mountChainRoutes(app: GatewayApp, chain: ChainWorker | null): void {
  app.get('/v1/earnings/:payee', async (c) => {
    const parsed = safeParse(zAddress, c.req.param('payee').toLowerCase());
    const proof = chain !== null && parsed.success ? await chain.proofOf(parsed.data) : null;
    if (proof === null) throw new ProtocolError('not_found', 'Nothing can be claimed by that address now.');
    return c.json(proof);
  });
  app.get('/v1/earnings/:payee/pending', async (c) => {
    const parsed = safeParse(zAddress, c.req.param('payee').toLowerCase());
    const pending = chain !== null && parsed.success ? await chain.pendingOf(parsed.data) : null;
    if (pending === null) throw new ProtocolError('not_found', 'No root of earnings waits to be active.');
    return c.json(pending);
  });
  app.post('/v1/vouchers', async (c) => {
    const voucher = await parseBody(c, zVoucher);
    if (chain === null) throw new ProtocolError('not_found', 'This gateway is on no chain.');
    const { isNew } = await chain.takeVoucher(voucher);
    const { client, epoch, cumulative } = voucher;
    return c.json({ object: 'voucher', client, epoch, cumulative }, isNew ? 201 : 200);
  });
  app.post('/v1/escrow/keys', async (c) => {
    const statement = await parseBody(c, zEscrowKey);
    if (chain === null) throw new ProtocolError('not_found', 'This gateway is on no chain.');
    const { keyId: id, isNew } = await chain.takeEscrowKey(statement);
    const { client, revoked } = statement;
    return c.json({ object: 'escrow_key', id, client, revoked }, isNew && !revoked ? 201 : 200);
  });
  app.get('/v1/escrow/:client', async (c) => {
    const parsed = safeParse(zAddress, c.req.param('client').toLowerCase());
    const view = chain !== null && parsed.success ? await chain.escrowOf(parsed.data) : null;
    if (view === null) throw new ProtocolError('not_found', 'Nothing of that client is in escrow for this gateway.');
    return c.json({ object: 'escrow', ...view });
  });
}
