/** `/v1/cases` and what a chain's referees need of one: its evidence, and a place for their signatures (spec-chain.md C9.8). */
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import { parseBody } from '../admin/admin-body.ts';
import type { ReceiptDesk } from '../attest/receipts.ts';
import { servedBundle } from '../dispute/bundle.ts';
import type { GatewayApp } from '../http/context.ts';
import { type ProviderAuthDeps, requireProvider } from '../provider-desk/provider-auth.ts';
import { attestationOf } from '../store/attestations-repo.ts';
import { caseByDispute, caseOfDispute, liveCases, viewOf } from '../store/chain-cases-repo.ts';
import { type DisputeRow, disputeById } from '../store/disputes-repo.ts';
import type { Store } from '../store/handle.ts';
import type { ChainWorker } from './chain-worker.ts';
import { judges, zVoice } from './voices.ts';

export interface CaseRouteDeps extends Omit<ProviderAuthDeps, 'isProvider'> {
  readonly store: Store;
  readonly chain: ChainWorker | null;
  readonly receipts: Pick<ReceiptDesk, 'find'>;
}

export function mountCases(app: GatewayApp, deps: CaseRouteDeps): void {
  const { store, chain, receipts } = deps;
  // Referees are nobody whom the gateway knows: their signature is looked for in the contract's sets.
  const signed = requireProvider({ ...deps, isProvider: async () => false }, { open: true });
  app.get('/v1/cases', async (c) => {
    const data = await store.read(async (handle) => {
      const views = [];
      for (const row of await liveCases(handle)) views.push(await viewOf(handle, row));
      return views;
    });
    return c.json({ object: 'list', data });
  });
  /** The dispute of a case, for whoever judges it; its evidence holds the prompt: for anybody else it is as unknown as none. */
  const judged = async (id: string, caller: Address): Promise<DisputeRow | null> => {
    const row = await store.read((handle) => caseByDispute(handle, id));
    const isJudge = row !== null && chain !== null && (await judges(chain.client, row, caller));
    return isJudge ? store.read((handle) => disputeById(handle, id)) : null;
  };
  app.get('/v1/cases/:id/bundle', signed, async (c) => {
    const bundleJson = (await judged(c.req.param('id'), c.get('providerCall').provider))?.bundleJson ?? null;
    if (bundleJson === null) throw new ProtocolError('not_found', 'There is no such bundle.');
    return c.json(servedBundle(bundleJson));
  });
  app.get('/v1/cases/:id/attestation', signed, async (c) => {
    const dispute = await judged(c.req.param('id'), c.get('providerCall').provider);
    if (dispute === null) throw new ProtocolError('not_found', 'There is no such case.');
    const { requestId } = dispute;
    const row = await store.read((handle) => attestationOf(handle, requestId));
    // A request that was never answered has none.
    return c.json({ attestation: row?.statementJson ? (await receipts.find(requestId)).receipt.attestation : null });
  });
  app.post('/v1/cases/:id/voices', async (c) => {
    const id = c.req.param('id');
    const voice = await parseBody(c, zVoice);
    if (chain === null) throw new ProtocolError('not_found', 'This gateway is on no chain.');
    await chain.takeVoice(id, voice);
    return c.json((await store.read((handle) => caseOfDispute(handle, id)))!, 201);
  });
}
