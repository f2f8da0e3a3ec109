/** The two ways in which an attempt ends without an answer (DESIGN §13). */
import { ProtocolError } from '#protocol/errors';

/** Worth another try only where the registry has enough operators for the policy at all. */
export function unavailable(have: number, need: number, known: number): ProtocolError {
  return new ProtocolError('committee_unavailable', 'Too few providers are available for this policy.', {
    ...(known >= need ? { retryable: true, retryAfterMs: 1000 } : {}),
    details: { have, need },
  });
}

export function inconclusive(): ProtocolError {
  return new ProtocolError('inconclusive', 'The committee could not agree on an answer. Nothing was charged.');
}
