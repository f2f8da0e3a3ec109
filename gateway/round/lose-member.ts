/** How a member leaves the count: with the fault that its failure is. */
import type { Fault } from '#protocol/verdict';
import { DeadlineError } from './deadline.ts';
import { MemberFault, type SealedMember } from './member.ts';
import { ProviderFailure } from './provider-failure.ts';

/** Whether the member is to blame, and not we. */
export function isMembersFailure(error: unknown): boolean {
  return error instanceof MemberFault || error instanceof ProviderFailure || error instanceof DeadlineError;
}

/** Closes its stream. @throws what is our own failure, not the member's */
export function loseMember(member: SealedMember, error: unknown, faultWhenLate: Fault): void {
  member.close();
  if (error instanceof DeadlineError) {
    member.standing = 'late';
    member.fault = faultWhenLate;
  } else if (error instanceof MemberFault) {
    member.standing = 'failed';
    member.fault = error.fault;
    member.contradiction = error.evidence;
  } else if (error instanceof ProviderFailure) {
    member.standing = 'failed';
    member.fault = error.code === 'provider_malformed' ? 'malformed' : faultWhenLate;
  } else {
    throw error;
  }
}
