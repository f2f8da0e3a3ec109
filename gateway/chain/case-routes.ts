/** `/v1/cases` and what a chain's referees need of one: its evidence, and a place for their signatures (spec-chain.md C9.8). */
import { ProtocolError } from '#protocol/errors';
import { parseBody } from '../admin/admin-body.ts';
import { servedBundle } from '../dispute/bundle.ts';
import type { GatewayApp } from '../http/context.ts';
import { type ProviderAuthDeps, requireProvider } from '../provider-desk/provider-auth.ts';
import { caseByDispute, caseOfDispute, liveCases, viewOf } from '../store/chain-cases-repo.ts';
import { disputeById } from '../store/disputes-repo.ts';
import type { Store } from '../store/handle.ts';
import type { ChainWorker } from './chain-worker.ts';
import { judges, zVoice } from './voices.ts';

export interface CaseRouteDeps extends Omit<ProviderAuthDeps, 'isProvider'> {
  readonly store: Store;
  readonly chain: ChainWorker | null;
}

export function mountCases(app: GatewayApp, deps: CaseRouteDeps): void {
  const { store, chain } = deps;
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
  app.get('/v1/cases/:id/bundle', signed, async (c) => {
    const id = c.req.param('id');
    const found = await store.read(async (handle) => {
      const row = await caseByDispute(handle, id);
      return row && { row, bundleJson: (await disputeById(handle, id))?.bundleJson ?? null };
    });
    const { provider: caller } = c.get('providerCall');
    const isJudge = found !== null && chain !== null && (await judges(chain.client, found.row, caller));
    // It holds the prompt: for anybody else it is as unknown as none, or one that is kept no longer.
    if (!isJudge || found.bundleJson === null) throw new ProtocolError('not_found', 'There is no such bundle.');
    return c.json(servedBundle(found.bundleJson));
  });
  app.post('/v1/cases/:id/voices', async (c) => {
    const id = c.req.param('id');
    const voice = await parseBody(c, zVoice);
    if (chain === null) throw new ProtocolError('not_found', 'This gateway is on no chain.');
    await chain.takeVoice(id, voice);
    return c.json((await store.read((handle) => caseOfDispute(handle, id)))!, 201);
  });
}
