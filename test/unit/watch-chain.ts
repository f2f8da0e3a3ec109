/** A chain that answers what a test says, and writes down what is sent to it. */
import type { Address, Hash } from '#protocol/hash';
import { type Call, type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { openState, type WatchState } from '../../provider/watch/state.ts';

export const SENDER: Address = `0x${'55'.repeat(20)}`;
export const hashOf = (byte: number): Hash => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;

export interface ScriptedChain {
  readonly chain: ChainAccess;
  readonly sent: string[];
  /** Answers of views by function; a function of the arguments, or the answer itself. */
  readonly views: Record<string, unknown>;
  /** Names of contract errors, by function that reverts. */
  readonly reverts: Record<string, string>;
  now: number;
}

export function scriptedChain(views: Record<string, unknown> = {}): ScriptedChain {
  const script: { -readonly [K in keyof ScriptedChain]: ScriptedChain[K] } = {
    ...{ sent: [], views, reverts: {}, now: 1_000 },
    chain: {
      network: { chainId: 1, addresses: { Evidence: hashOf(1).slice(0, 42) } },
      client: { getBlockNumber: async () => 100n, getBlock: async () => ({ timestamp: 0n }) },
      sender: SENDER,
      nowSeconds: async () => script.now,
      read: async ({ functionName, args }: Call) => {
        const found = script.views[functionName];
        return typeof found === 'function' ? (found as (...given: unknown[]) => unknown)(...args) : found;
      },
      async send({ functionName }: Call) {
        const error = script.reverts[functionName];
        if (error !== undefined) throw new ChainError(error, error);
        script.sent.push(functionName);
        return { hash: hashOf(2), gasUsed: 1n, costWei: 1n, blockNumber: 7n };
      },
      events: async () => [{ args: { id: hashOf(3) }, transactionHash: hashOf(2) }],
    } as unknown as ChainAccess,
  };
  return script;
}

/** @param folder an empty one */
export const freshState = (folder: string): WatchState => openState(folder);
