/** `/v1/earnings/{payee}` and `/v1/vouchers`: what providers claim and clients pay with on the chain (spec-chain.md C5, C9.5). */
import { ProtocolError } from '#protocol/errors';
import { safeParse, zAddress } from '#protocol/schema';
import { parseBody } from '../admin/admin-body.ts';
import type { GatewayApp } from '../http/context.ts';
import type { ChainWorker } from './chain-worker.ts';
import { zVoucher } from './vouchers.ts';

export function mountChainRoutes(app: GatewayApp, chain: ChainWorker | null): void {
  app.get('/v1/earnings/:payee', async (c) => {
    const parsed = safeParse(zAddress, c.req.param('payee').toLowerCase());
    const proof = chain !== null && parsed.success ? await chain.proofOf(parsed.data) : null;
    if (proof === null) throw new ProtocolError('not_found', 'Nothing can be claimed by that address now.');
    return c.json(proof);
  });
  app.post('/v1/vouchers', async (c) => {
    const voucher = await parseBody(c, zVoucher);
    if (chain === null) throw new ProtocolError('not_found', 'This gateway is on no chain.');
    const { isNew } = await chain.takeVoucher(voucher);
    const { client, epoch, cumulative } = voucher;
    return c.json({ object: 'voucher', client, epoch, cumulative }, isNew ? 201 : 200);
  });
}
