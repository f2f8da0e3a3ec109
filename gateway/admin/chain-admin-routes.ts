/** `/admin/chain`: what the gateway does on its chain, what it waits for, and what differs (spec-chain.md C9.7). */
import { ProtocolError } from '#protocol/errors';
import type { GatewayApp } from '../http/context.ts';
import { liveCases } from '../store/chain-cases-repo.ts';
import { type IntentRow, intentsIn } from '../store/chain-outbox-repo.ts';
import { acceptDisabled, newestRoot } from '../store/chain-roots-repo.ts';
import { listOf } from './admin-body.ts';
import { type AdminDeps, audit } from './admin-deps.ts';

const LIST_MAX = 100;

export function mountChain(app: GatewayApp, deps: AdminDeps): void {
  const { chain, store } = deps;
  const onChain = () => {
    if (chain === null) throw new ProtocolError('not_found', 'This gateway is on no chain.');
    return chain;
  };
  const view = async () => {
    const status = await onChain().status();
    const root = await store.read(newestRoot);
    return {
      object: 'chain',
      applied_block: status.appliedBlock,
      registration: status.registration,
      paused: status.differences.length > 0,
      differences: status.differences,
      compared_at_ms: status.comparedAtMs,
      short_nano: status.shortNano.toString(),
      transactions: status.intents,
      demands: status.demands.map(({ id, answerBy, answer }) => ({ id, answer_by: answerBy, answer })),
      cases: await store.read(async (handle) =>
        (await liveCases(handle)).map(({ disputeId, state }) => ({ id: disputeId, state })),
      ),
      lacks_bond: status.lacksBond,
      newest_root: root && {
        sequence: root.sequence,
        state: root.state,
        index: root.chainIndex,
        total: root.totalBase,
        log_size: root.logSize,
        active_at: root.activeAtSeconds,
        decided_at_ms: root.decidedAtMs,
      },
    };
  };
  app.get('/admin/chain', async (c) => c.json(await view()));
  app.get('/admin/chain/transactions', async (c) => {
    onChain();
    const rows = await store.read((handle) => intentsIn(handle, ['queued', 'sent', 'mined', 'failed'], LIST_MAX));
    return c.json(listOf(rows.map(intentView)));
  });
  // A root that somebody has disabled stops payouts until a person has looked into why.
  app.post('/admin/chain/accept-disabled', async (c) => {
    onChain();
    const count = await store.withTx(acceptDisabled);
    if (count > 0) audit(deps, c, 'admin_chain_accepted', { count });
    await onChain().compare();
    return c.json(await view());
  });
}

function intentView(row: IntentRow) {
  return {
    id: row.intentKey,
    object: 'chain_transaction',
    state: row.state,
    to: row.toAddress,
    nonce: row.nonce,
    tx_hash: row.minedTxHash,
    block: row.minedBlock,
    failure: row.failure,
    created_at_ms: row.createdAtMs,
    ended_at_ms: row.endedAtMs,
  };
}
