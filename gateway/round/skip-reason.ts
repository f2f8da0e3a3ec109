/** Why a candidate of a draw was passed over, as the log says it (SPEC.md §6.5). */
import type { Domain } from '#protocol/eip712';
import { ERROR_CODES } from '#protocol/errors';
import type { Recover } from '#protocol/signer';
import { digests } from '#protocol/typed';
import type { IssuedTicket } from './plan.ts';
import type { ProviderFailure } from './provider-failure.ts';

/** Only what the provider has signed about this very ticket, by a code of ours, is logged as its refusal. */
export function skipReason(
  { domain, recover }: { readonly domain: Domain; readonly recover: Recover },
  { ticket, ticketHash }: IssuedTicket,
  failure: ProviderFailure,
): string {
  const { refusal } = failure;
  if (!refusal || !ERROR_CODES.some((code) => code === refusal.code)) return failure.code;
  const { code, atMs, signature } = refusal;
  const digest = digests.refusal(domain, { jobId: ticket.jobId, ticketHash, code, atMs });
  return recover(digest, signature) === ticket.provider ? `refused:${code}` : failure.code;
}
