/** Who hears of a dispute's moves: metrics, log, demonstration; and what goes on after a ruling. */
import type { DeskMove } from './dispute/desk.ts';
import type { GatewayDeps } from './gateway-deps.ts';

/** @param after called with each kind of move once everybody has heard of it */
export function hearMoves(
  { metrics, log, onDisputeMove }: Pick<GatewayDeps, 'metrics' | 'log' | 'onDisputeMove'>,
  after: (kind: DeskMove['kind']) => void,
): (move: DeskMove) => void {
  return (move) => {
    const { disputeId, provider, fault, ruling, kind } = move;
    metrics.dispute(fault, kind === 'ruled' && ruling !== null ? ruling : kind);
    log.info('dispute_moved', { disputeId, provider, fault, ruling, code: kind });
    onDisputeMove?.(move);
    after(kind);
  };
}
