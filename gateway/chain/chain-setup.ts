/** How a gateway is set up on a chain, and what its operators see of it (spec-chain.md C9). */
import type { Address } from '#protocol/hash';
import type { Network } from '../../contracts/chain/network.ts';
import type { intentCounts } from '../store/chain-outbox-repo.ts';
import type { ChainClient } from './chain-client.ts';
import type { DemandView } from './demands.ts';
import type { ChainMove } from './outbox.ts';
import type { OutboxTerms } from './outbox-core.ts';
import type { Difference } from './reconcile.ts';
import type { RegistrationProblem } from './registration.ts';

/** How a gateway behaves on its chain; durations in milliseconds. */
export interface ChainTerms extends OutboxTerms {
  /** How often the chain is looked at. */
  readonly pollMs: number;
  readonly rootMs: number;
  /** How often ledger and chain are compared, beside before every root. */
  readonly reconcileMs: number;
  /** Least that the redemption of a voucher brings. */
  readonly voucherLeastNano: bigint;
}

/** What a gateway is told of its chain. */
export interface ChainSetup {
  readonly client: ChainClient;
  readonly network: Network;
  /** Its account in the registry. */
  readonly account: Address;
  readonly terms: ChainTerms;
  readonly onMove?: (move: ChainMove) => void;
}

/** What operators see of the chain. */
export interface ChainStatus {
  readonly appliedBlock: number | null;
  /** What keeps the gateway from settling because the chain does not know it; null once it does. */
  readonly registration: RegistrationProblem | 'unknown' | null;
  readonly differences: readonly Difference[];
  readonly comparedAtMs: number | null;
  /** What the pool does not cover of the earnings, in nano. */
  readonly shortNano: bigint;
  /** Open demands against the gateway's account. */
  readonly demands: readonly DemandView[];
  /** Whether a dispute waits for its case because the sending key has less of the token than the bond. */
  readonly lacksBond: boolean;
  readonly intents: Awaited<ReturnType<typeof intentCounts>>;
}
