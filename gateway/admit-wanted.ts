/** Admitting the providers that a network begins with, each with its first stake. */
import type { Clock } from '#protocol/env';
import type { SigningKeys } from './attest/signing-keys.ts';
import type { KeyAnnouncer } from './committee/key-announcer.ts';
import type { Registry } from './committee/registry.ts';
import type { EvidenceDesk } from './evidence/evidence-desk.ts';
import { RESERVE, stakeAccount } from './ledger/accounts.ts';
import { depositOnce } from './store/grants.ts';
import type { Store } from './store/handle.ts';

/** Money that an embedded network begins with; each deposit happens once, however often it is asked for. */
export interface Genesis {
  readonly reserveNano: bigint;
  readonly stakeNano: bigint;
}

export interface AdmitDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly evidence: EvidenceDesk;
  readonly announcer: KeyAnnouncer;
  readonly signingKeys: SigningKeys;
  readonly stopping: AbortSignal;
}

/** Admits providers and fills the reserve. @returns URLs that could not be admitted */
export async function admitWanted(
  { store, clock, registry, evidence, announcer, signingKeys, stopping }: AdmitDeps,
  urls: readonly { url: string; role: 'member' | 'referee' }[],
  genesis: Genesis,
): Promise<string[]> {
  const failed: string[] = [];
  await store.withTx((tx) => depositOnce(tx, 'genesis:reserve', RESERVE, genesis.reserveNano, clock.nowMs()));
  for (const { url, role } of urls) {
    const admitted = await registry.admit(url, role, stopping);
    if ('problem' in admitted) {
      // One that an operator has removed is not waited for.
      if (admitted.problem !== 'removed') failed.push(url);
      continue;
    }
    const { address } = admitted;
    if (admitted.isNew) await evidence.inherit(address);
    await announcer.retell({ address, url }, await signingKeys.chain(), stopping);
    await store.withTx((tx) =>
      depositOnce(tx, `genesis:stake:${address}`, stakeAccount(address), genesis.stakeNano, clock.nowMs()),
    );
  }
  return failed;
}
