/** Takes a proof to the chain: announced first, so that whoever copies it out of the queue gains nothing (spec-chain.md C4). */
import { z } from 'zod';
import type { Clock, Rng } from '#protocol/env';
import { toHex } from '#protocol/hash';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { accountOf, answersFor, readAs } from '../chain/account.ts';
import { minedLine } from '../chain/steps.ts';
import { announcementOf, type Proof } from './proofs.ts';
import type { WatchState } from './state.ts';

export interface RaiseDeps {
  readonly chain: ChainAccess;
  readonly state: WatchState;
  /** Makes the state durable. */
  readonly save: () => void;
  readonly rng: Rng;
  readonly clock: Clock;
  readonly print: (line: string) => void;
}

/** An announcement goes before a copy only with an earlier time of its block, in seconds. */
const ANNOUNCED_MS = 1_000;

export type RaiseEnd = 'proven' | 'late' | 'unstaked' | 'known' | 'failed';

/** Announces and proves; what was begun before a crash goes on where it was. */
export async function raise(deps: RaiseDeps, proof: Proof): Promise<RaiseEnd> {
  const { chain, state, save, rng, clock, print } = deps;
  const { evidence, key, fault } = proof;
  const before = state.raised.get(evidence);
  if (before?.state === 'proven' || before?.state === 'late') return 'known';
  const account = before?.account ?? (await answersFor(chain, key));
  if (account === null) {
    print(`${fault} by ${key}: proven, but no account answers for it on chain ${chain.network.chainId}`);
    return 'unstaked';
  }
  const raised = before ?? { salt: toHex(rng.bytes(32)), fault, account, state: 'found' as const };
  const remember = (next: typeof raised.state | 'announced' | 'proven' | 'late'): void => {
    state.raised.set(evidence, { ...raised, state: next });
    save();
  };
  if (before === undefined && (await accountOf(chain, account))?.convictedAt) {
    print(`${fault} by ${key}: ${account} was convicted before`);
    remember('late');
    return 'late';
  }
  try {
    if (raised.state === 'found') {
      remember('found');
      const args = [announcementOf(evidence, chain.sender, raised.salt)];
      const announced = await chain.send({ callee: proof.callee, functionName: 'announce', args });
      print(minedLine(`announced evidence of ${fault} by ${account}`, announced));
      remember('announced');
      await clock.sleep(ANNOUNCED_MS);
    }
    const { callee, functionName, args } = proof;
    const proven = await chain.send({ callee, functionName, args: [...args, raised.salt] });
    print(minedLine(`proved ${fault} of ${account} (key ${key}): all its stake is taken`, proven));
    remember('proven');
    return 'proven';
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    const isLate = error.errorName === 'Convicted';
    print(`${fault} by ${key}: ${error.message}`);
    if (isLate) remember('late');
    return isLate ? 'late' : 'failed';
  }
}

/** Divides the stake of those whom this watcher convicted, once the time for their victims is over. */
export async function collectProven({ chain, state, print }: RaiseDeps): Promise<void> {
  const accounts = new Set([...state.raised.values()].filter(({ state: s }) => s === 'proven').map((r) => r.account));
  if (accounts.size === 0) return;
  const pot = await readAs(chain, z.number(), { callee: 'StakeRegistry', functionName: 'potWindow', args: [] });
  const now = await chain.nowSeconds();
  for (const account of accounts) {
    const held = await accountOf(chain, account);
    if (held === null || now < held.convictedAt + pot || held.active + held.queued <= held.frozen) continue;
    const mined = await chain.send({ callee: 'StakeRegistry', functionName: 'collect', args: [account] });
    print(minedLine(`divided the stake of ${account}; \`assay claim\` takes what is this watcher's`, mined));
  }
}
