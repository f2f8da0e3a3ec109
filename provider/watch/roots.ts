/** Whether a gateway's root of earnings still gives a provider what roots before have given it (spec-chain.md C5). */
import { zEarningsProof } from '#protocol/earnings';
import type { Address } from '#protocol/hash';
import { safeParse } from '#protocol/schema';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { answersFor } from '../chain/account.ts';
import { checkProof } from '../chain/claim.ts';
import { type CommandIo, callJson } from '../cli/command-io.ts';
import type { WatchState } from './state.ts';

export interface RootDeps {
  readonly chain: ChainAccess;
  readonly state: WatchState;
  readonly io: Pick<CommandIo, 'fetch' | 'clock'>;
  readonly gateway: string;
  readonly provider: Address;
  readonly print: (line: string) => void;
}

/** @returns false where the newest root gives less than one before it, or does not give what it says */
export async function checkEarnings({ chain, state, io, gateway, provider, print }: RootDeps): Promise<boolean> {
  const payee = (await answersFor(chain, provider)) ?? provider;
  let reply = await callJson(io, `${gateway}/v1/earnings/${payee}`);
  if (reply.status === 404 && payee !== provider) reply = await callJson(io, `${gateway}/v1/earnings/${provider}`);
  const parsed = safeParse(zEarningsProof, reply.body);
  if (!parsed.success) {
    if (state.earned === 0n) return true;
    print(`EARNINGS: ${gateway} proves nothing more, after ${state.earned} base units in all`);
    return false;
  }
  try {
    await checkProof(chain, parsed.data, provider);
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    print(`EARNINGS: ${error.message}`);
    return false;
  }
  const { cumulative, rootIndex } = parsed.data;
  if (cumulative < state.earned) {
    print(`EARNINGS: root ${rootIndex} gives ${cumulative} base units in all, roots before gave ${state.earned}`);
    return false;
  }
  state.earned = cumulative;
  state.proof = parsed.data;
  return true;
}
