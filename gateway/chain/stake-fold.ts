/** A stake account, event by event, as the registry keeps it (spec-chain.md C4). Pure; amounts are base units. */

export interface StakeState {
  readonly active: bigint;
  /** On its way out, and still slashable. */
  readonly queued: bigint;
  readonly slashed: bigint;
  readonly convicted: boolean;
}

export const NO_STAKE: StakeState = { active: 0n, queued: 0n, slashed: 0n, convicted: false };

export const STAKE_EVENTS = [
  'StakeAdded',
  'UnbondingQueued',
  'StakeWithdrawn',
  'StakeSlashed',
  'AccountConvicted',
] as const;
export type StakeEvent = (typeof STAKE_EVENTS)[number];

/** @param amount of the event; 0 for a conviction, which takes stake later */
export function afterEvent(state: StakeState, event: StakeEvent, amount: bigint): StakeState {
  switch (event) {
    case 'StakeAdded':
      return { ...state, active: state.active + amount };
    case 'UnbondingQueued':
      return { ...state, active: state.active - amount, queued: state.queued + amount };
    case 'StakeWithdrawn':
      return { ...state, queued: state.queued - amount };
    case 'StakeSlashed': {
      // Active stake first, then the queue from its end.
      const fromActive = amount < state.active ? amount : state.active;
      return {
        ...state,
        active: state.active - fromActive,
        queued: state.queued - (amount - fromActive),
        slashed: state.slashed + amount,
      };
    }
    case 'AccountConvicted':
      return { ...state, convicted: true };
  }
}

/**
 * Stake that counts in draws: what is active, none once convicted. A share that is only frozen counts: who opens a case must not take
 * weight from a rival before anybody has judged it.
 */
export function countedStake({ active, convicted }: StakeState): bigint {
  return convicted ? 0n : active;
}
