/** The gateway's own account on the chain: opened, its log named, its signing keys added, each by one transaction (spec-chain.md C9.2). */
import { chainDigests } from '#protocol/chain-messages';
import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import { type Address, keccak256, toHex, utf8 } from '#protocol/hash';
import type { Signer } from '#protocol/signer';
import { enqueueIntent, type Intent } from '../store/chain-outbox-repo.ts';
import type { Store } from '../store/handle.ts';
import { addSigningKey, type Contracts, nameLog, openAccount } from './calls.ts';
import type { AccountState, ChainClient } from './chain-client.ts';

export interface RegistrationDeps {
  readonly store: Store;
  readonly client: ChainClient;
  readonly clock: Clock;
  readonly domain: Domain;
  readonly contracts: Contracts;
  readonly account: Address;
  readonly origin: string;
  /** All keys that this gateway signs with, the log's among them. */
  readonly signers: () => Promise<readonly Signer[]>;
}

/** Why the chain does not know this gateway yet; a closed list. */
export type RegistrationProblem =
  | 'not_open'
  | 'not_operator'
  | 'log_not_named'
  | 'other_log'
  | 'key_not_added'
  | 'foreign_key';

/** What is missing, as of a confirmed block, and enters what adds it; only an account's operator can. @returns null once all is there */
export async function register(deps: RegistrationDeps, blockNumber: number): Promise<RegistrationProblem | null> {
  const { client, account, origin, contracts, domain } = deps;
  const state = await client.account(account, blockNumber);
  const isOwn = client.sender === account;
  const missing: Intent[] = [];
  let problem = accountProblem(state, client.sender, isOwn, origin);
  if (!state.isOpen) missing.push(openAccount(contracts));
  if (state.logOriginHash === NO_ORIGIN) missing.push(nameLog(contracts, account, origin));
  for (const signer of await deps.signers()) {
    const owner = await client.keyOwner(signer.address, blockNumber);
    if (owner !== null && (owner.account !== account || owner.isRetired)) problem ??= 'foreign_key';
    if (owner !== null) continue;
    problem ??= 'key_not_added';
    const proof = signer.sign(chainDigests.signingKey(domain, { account, key: signer.address }));
    missing.push(addSigningKey(contracts, account, signer.address, proof));
  }
  if (missing.length > 0 && isOwn && (!state.isOpen || state.operator === account)) await enter(deps, missing);
  return problem;
}

const NO_ORIGIN = `0x${'00'.repeat(32)}`;

function accountProblem(
  state: AccountState,
  sender: Address,
  isOwn: boolean,
  origin: string,
): RegistrationProblem | null {
  if (!state.isOpen) return isOwn ? 'not_open' : 'not_operator';
  if (state.logOriginHash === NO_ORIGIN) return state.operator === sender ? 'log_not_named' : 'not_operator';
  return state.logOriginHash === toHex(keccak256(utf8(origin))) ? null : 'other_log';
}

async function enter({ store, clock }: RegistrationDeps, intents: readonly Intent[]): Promise<void> {
  await store.withTx(async (tx) => {
    for (const intent of intents) await enqueueIntent(tx, intent, clock.nowMs());
  });
}
