/** What a chain's referees sign about a case, taken over HTTP and kept until it is enough (spec-chain.md C7, C9.8). */
import { z } from 'zod';
import { chainDigests, rightHash } from '#protocol/chain-messages';
import type { Domain } from '#protocol/eip712';
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import { zSignature } from '#protocol/schema';
import type { Recover } from '#protocol/signer';
import { type CaseRow, caseByDispute, caseIdOf, putVoice } from '../store/chain-cases-repo.ts';
import type { Store } from '../store/handle.ts';
import { OUTCOME_NUMBERS } from './case-calls.ts';
import { divisionIn } from './cases.ts';
import type { ChainClient } from './chain-client.ts';

export const zVoice = z.strictObject({
  instance: z.union([z.literal(0), z.literal(1)]),
  outcome: z.enum(['upheld', 'rejected']),
  signature: zSignature,
});
export type VoiceWire = z.output<typeof zVoice>;

export interface VoiceDeps {
  readonly store: Store;
  readonly client: Pick<ChainClient, 'isReferee'>;
  readonly clock: Clock;
  readonly domain: Domain;
  readonly recover: Recover;
}

/**
 * Takes one referee's voice; its next one replaces it.
 * @throws {ProtocolError} not_found, invalid_request where nobody is asked now or no referee has signed it
 */
export async function takeVoice(deps: VoiceDeps, disputeId: string, wire: VoiceWire): Promise<void> {
  const { store, client, clock, domain, recover } = deps;
  const row = await store.read((handle) => caseByDispute(handle, disputeId));
  if (row === null) throw new ProtocolError('not_found', 'There is no such case.');
  const { instance, outcome, signature } = wire;
  if (row.setVersion === null || row.state !== (instance === 0 ? 'opened' : 'appealed')) {
    throw new ProtocolError('invalid_request', 'The case does not wait for that.', { param: 'instance' });
  }
  const { client: refunded, refund, right } = divisionIn(row);
  const ruling = {
    ...{ caseId: caseIdOf(row), instance, outcome: OUTCOME_NUMBERS[outcome], client: refunded, refund },
    rightHash: rightHash(right),
  };
  const referee = recover(chainDigests.ruling(domain, ruling), signature);
  if (referee === null || !(await client.isReferee(row.setVersion, instance, referee))) {
    throw new ProtocolError('invalid_request', 'That is no referee of the case.', { param: 'signature' });
  }
  const voice = { caseId: row.caseId, instance, referee, outcome, signature, atMs: clock.nowMs() };
  await store.withTx((tx) => putVoice(tx, voice));
}

/** Whether somebody judges a case, in either instance. */
export async function judges(client: VoiceDeps['client'], row: CaseRow, who: Address): Promise<boolean> {
  if (row.setVersion === null) return false;
  return (await client.isReferee(row.setVersion, 0, who)) || (await client.isReferee(row.setVersion, 1, who));
}
