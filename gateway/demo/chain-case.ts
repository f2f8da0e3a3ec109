/** A dispute that no contract can judge, brought before the chain's referees: case, ruling, time to appeal, slash (spec-chain.md C7). */
import { z } from 'zod';
import { canonicalJson } from '#protocol/canonical';
import { chainDigests, rightHash } from '#protocol/chain-messages';
import { type Address, type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import type { ChainAccess } from '../../contracts/chain/access.ts';
import { type ChainStage, DEMO } from './chain-stage.ts';

/** Place of `wrong_output` in the contract's list of judged faults, and of an upheld ruling. */
const WRONG_OUTPUT = 0;
const UPHELD = 1;
const FIRST_INSTANCE = 0;
const APPEAL_SECONDS = 2 * 86_400;
const NOBODY: Address = `0x${'00'.repeat(20)}`;

/** What a case needs of a stage. */
export type CaseStage = Pick<ChainStage, 'network' | 'referees' | 'send' | 'pass'>;

export interface CaseFile {
  readonly account: Address;
  readonly disputeId: Hash;
  /** The whole bundle, as `GET /v1/disputes/{id}/bundle` gives it. */
  readonly bundle: unknown;
  /** Accounts of those who were right. */
  readonly right: readonly Address[];
}

const zOpened = z.array(z.object({ args: z.object({ caseId: z.custom<Hash>() }) })).min(1);
const zSlashed = z.array(
  z.object({ args: z.object({ amount: z.bigint(), rewarded: z.bigint(), burned: z.bigint() }) }),
);

/** @returns base units that the accused lost */
export async function bringCase(stage: CaseStage, opener: ChainAccess, file: CaseFile): Promise<bigint> {
  const { network, send } = stage;
  const { account, disputeId, bundle } = file;
  const rulings = network.addresses.Rulings;
  await send(opener, 'let Rulings take the bond of a case', {
    callee: 'token',
    functionName: 'approve',
    args: [rulings, DEMO],
  });
  // What the referees read, by its hash: whoever has the bundle can judge again.
  const bundleHash = toHex(sha256(utf8(canonicalJson(bundle))));
  const opened = await send(opener, 'open the case; a fifth of the stake is frozen', {
    callee: 'Rulings',
    functionName: 'openCase',
    args: [account, disputeId, bundleHash, WRONG_OUTPUT],
  });
  const { blockNumber: block } = opened;
  const query = {
    callee: 'Rulings' as const,
    eventName: 'CaseOpened',
    args: { account },
    fromBlock: block,
    toBlock: block,
  };
  const [event] = zOpened.parse(await opener.events(query));
  const { caseId } = event!.args;
  const right = [...file.right].sort((a, b) => (a < b ? -1 : 1));
  const division = { client: NOBODY, refund: 0n, right };
  await send(opener, 'rule: upheld, signed by two of three referees', {
    callee: 'Rulings',
    functionName: 'rule',
    args: [caseId, UPHELD, division, voices(stage, caseId, right)],
  });
  await stage.pass(APPEAL_SECONDS, 'the time to appeal is over');
  const ended = await send(opener, 'end the case', {
    callee: 'Rulings',
    functionName: 'finalize',
    args: [caseId, division],
  });
  const slashes = await opener.events({
    callee: 'StakeRegistry',
    eventName: 'StakeSlashed',
    args: { account },
    fromBlock: ended.blockNumber,
    toBlock: ended.blockNumber,
  });
  return zSlashed.parse(slashes).reduce((sum, { args }) => sum + args.amount, 0n);
}

/** Two signatures, by ascending signer. */
function voices({ network, referees }: CaseStage, caseId: Hash, right: readonly Address[]): string[] {
  const ruling = {
    ...{ caseId, instance: FIRST_INSTANCE, outcome: UPHELD, client: NOBODY, refund: 0n },
    rightHash: rightHash(right),
  };
  const digest = chainDigests.ruling(network.domain, ruling);
  const sorted = [...referees].sort((a, b) => (a.address < b.address ? -1 : 1));
  return sorted.slice(0, 2).map((referee) => referee.sign(digest));
}
