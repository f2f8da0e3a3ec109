/** A dispute that no contract can judge, before the chain's referees: the gateway opens the case, they judge by `assay referee`, it ends it (spec-chain.md C9.8). */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Address, Hash } from '#protocol/hash';
import { privateKeyText } from '#protocol/private-key';
import type { CaseView } from '../store/chain-cases-repo.ts';
import type { ChainStage } from './chain-stage.ts';

const APPEAL_SECONDS = 2 * 86_400;
/** Of three. */
const VOICES = 2;

export interface CaseShow {
  readonly stage: ChainStage;
  readonly gatewayUrl: string;
  readonly dataFolder: string;
  readonly modelFolder: string;
  readonly print: (line: string) => void;
  /** Runs `assay …`. @throws {Error} with what it complains of */
  readonly run: (who: string, args: readonly string[]) => Promise<string>;
  /** Waits until it holds. @throws {Error} saying why not */
  readonly until: (why: string, holds: () => Promise<boolean>) => Promise<void>;
  readonly caseOf: (disputeId: Hash) => Promise<CaseView | null>;
}

const zSlashed = z.array(z.object({ args: z.object({ amount: z.bigint() }) }));

/** @returns base units that the accused lost */
export async function showCase(show: CaseShow, disputeId: Hash, account: Address): Promise<bigint> {
  const { stage, gatewayUrl, dataFolder, modelFolder, print, run, until, caseOf } = show;
  const reached = (state: CaseView['state']) => async () => (await caseOf(disputeId))?.state === state;
  await until('the gateway opens no case', reached('opened'));
  for (const [at, key] of stage.refereeKeys.slice(0, VOICES).entries()) {
    const file = path.join(dataFolder, `referee-${at + 1}.key`);
    writeFileSync(file, privateKeyText(key), { mode: 0o600 });
    const chain = [`--network=${stage.networkFile}`, `--rpc-url=${stage.chain.url}`, `--key=${file}`];
    const said = await run(`referee ${at + 1}`, [
      'referee',
      `--gateway=${gatewayUrl}`,
      ...chain,
      `--model-folders=${modelFolder}`,
    ]);
    print(
      `  referee ${at + 1} of 3: ${said
        .split('\n')[0]
        ?.replace(/^case 0x\w+: /, '')
        .replaceAll(/0x(\w{6})\w+/g, '0x$1…')}`,
    );
  }
  await until('the case was not ruled', reached('ruled'));
  await stage.pass(APPEAL_SECONDS, 'the time to appeal is over');
  await until('the case was not ended', reached('settled'));
  const latest = await stage.rich.client.getBlockNumber({ cacheTime: 0 });
  const blocks = { fromBlock: BigInt(stage.network.fromBlock), toBlock: latest };
  const query = { callee: 'StakeRegistry' as const, eventName: 'StakeSlashed', args: { account }, ...blocks };
  return zSlashed.parse(await stage.rich.events(query)).reduce((sum, { args }) => sum + args.amount, 0n);
}
