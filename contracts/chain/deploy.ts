/** Deploys the contracts of one network, each after what it needs, and lets the registry know its slashers (spec-chain.md). */
import type { Abi, Hex } from 'viem';

/** What is deployed, in this order. */
export const CONTRACTS = ['StakeRegistry', 'Settlement', 'Evidence', 'DrawEvidence', 'Rulings'] as const;
/** Money of demonstrations; its file lies beside theirs. */
export const DEMO_TOKEN = 'DemoToken';
export type ContractName = (typeof CONTRACTS)[number];

/** ABI and creation code, as `contracts/chain/abi/<name>.json` holds them. */
export interface Artifact {
  readonly abi: Abi;
  readonly bytecode: Hex;
}

/** Where a network's contracts are; `registry` is the verifying contract of the protocol's domain. */
export interface Deployment {
  readonly chainId: number;
  readonly token: Hex;
  readonly owner: Hex;
  readonly addresses: Readonly<Record<ContractName, Hex>>;
  /** The newest block before the first of them: whoever reads their events begins behind it. */
  readonly fromBlock: number;
}

/** Sends transactions and waits for their receipts. */
export interface Sender {
  readonly chainId: number;
  readonly address: Hex;
  /** The newest block now. */
  height(): Promise<number>;
  deploy(artifact: Artifact, args: readonly unknown[]): Promise<Hex>;
  call(address: Hex, abi: Abi, functionName: string, args: readonly unknown[]): Promise<void>;
}

/** k of m. Members may come in any order. */
export interface RefereeSet {
  readonly members: readonly Hex[];
  readonly threshold: number;
}

/** What a network decides. Bonds are base units of the token. */
export interface NetworkTerms {
  readonly token: Hex;
  readonly bond: bigint;
  readonly referees: RefereeSet;
  readonly appealReferees: RefereeSet;
}

const DAY_SECONDS = 86_400;
/** spec-chain.md C3: 21 d to leave = 7 d to find a fault + 9 d of the longest dispute + 5 d of reserve. */
const TIMES = { unbond: 21 * DAY_SECONDS, key: 2 * DAY_SECONDS, pot: 14 * DAY_SECONDS };
const EXIT_SECONDS = 3 * DAY_SECONDS;
const ACTIVATION_SECONDS = DAY_SECONDS;
const ANSWER_SECONDS = DAY_SECONDS;
const WINDOWS = { ruling: 3 * DAY_SECONDS, appeal: 2 * DAY_SECONDS, appealRuling: 3 * DAY_SECONDS };

/** @returns where everything is; the sender owns registry and rulings until it hands them over (`transferOwnership`) */
export async function deployContracts(
  sender: Sender,
  artifacts: Readonly<Record<ContractName, Artifact>>,
  terms: NetworkTerms,
): Promise<Deployment> {
  const { token, bond } = terms;
  const owner = sender.address;
  const fromBlock = await sender.height();
  const registry = await sender.deploy(artifacts.StakeRegistry, [token, owner, TIMES]);
  const settlement = await sender.deploy(artifacts.Settlement, [registry, EXIT_SECONDS, ACTIVATION_SECONDS]);
  const evidence = await sender.deploy(artifacts.Evidence, [registry, ANSWER_SECONDS, bond]);
  const drawEvidence = await sender.deploy(artifacts.DrawEvidence, [registry]);
  const sets = [ascending(terms.referees), ascending(terms.appealReferees)];
  const rulings = await sender.deploy(artifacts.Rulings, [registry, owner, WINDOWS, bond, ...sets]);
  // Before anybody has an account: later ones have to be announced for longer than it takes to leave.
  await sender.call(registry, artifacts.StakeRegistry.abi, 'installSlashers', [[evidence, drawEvidence, rulings]]);
  return {
    chainId: sender.chainId,
    token,
    owner,
    fromBlock,
    addresses: {
      StakeRegistry: registry,
      Settlement: settlement,
      Evidence: evidence,
      DrawEvidence: drawEvidence,
      Rulings: rulings,
    },
  };
}

/** The contract wants members in ascending order, so that none is there twice. */
function ascending({ members, threshold }: RefereeSet): RefereeSet {
  const sorted = [...members].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
  return { members: sorted, threshold };
}
