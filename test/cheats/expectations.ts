/** What every cheat must come to: what is recorded, how it is ruled, what it costs (SPEC.md §7; DESIGN §7). */
import type { Fault } from '#protocol/verdict';
import type { CheatName } from '../fixtures/cheats.ts';

export interface Expectation {
  /** The fault in the attestation. */
  readonly fault: Fault;
  /** Asked in one piece: in a stream the same lie already breaks the chunk schedule, and is merely `malformed`. */
  readonly plainOnly?: boolean;
  /** Null where the fault opens no dispute. */
  readonly ruling: 'upheld' | 'abandoned' | null;
  /** Reasons that the ruling may name; empty where it names none. */
  readonly reasons: readonly string[];
  /** Share of the stake that is lost, in basis points. */
  readonly slashBps: bigint;
  /** Whether the lie needs noise: at temperature 0 there is no seed to change. */
  readonly sampled?: boolean;
}

/** A wrong output is lost with a fifth of the stake; two signatures against each other cost all of it. */
const WRONG = 2_000n;
const SIGNED = 10_000n;
const NO_STAKE = { ruling: null, reasons: [], slashBps: 0n } as const;

export const EXPECTATIONS: Readonly<Record<Exclude<CheatName, 'lying_scorer'>, Expectation>> = {
  smaller_model: { fault: 'wrong_output', ruling: 'upheld', reasons: ['evidence_far_off'], slashBps: WRONG },
  other_seed: {
    fault: 'wrong_output',
    ruling: 'upheld',
    reasons: ['self_contradiction'],
    slashBps: WRONG,
    sampled: true,
  },
  other_temperature: { fault: 'wrong_output', ruling: 'upheld', reasons: ['self_contradiction'], slashBps: WRONG },
  cut_prompt: { fault: 'wrong_output', ruling: 'upheld', reasons: ['evidence_far_off'], slashBps: WRONG },
  early_stop: { fault: 'wrong_output', ruling: 'upheld', reasons: ['shape:stop_string_absent'], slashBps: WRONG },
  // One forged token is not enough to convict: honest tokens are sometimes as surprising.
  early_eos: { fault: 'wrong_output', ruling: 'abandoned', reasons: [], slashBps: 0n },
  past_end: {
    fault: 'wrong_output',
    ruling: 'upheld',
    reasons: ['shape:tokens_past_end', 'shape:not_ended'],
    plainOnly: true,
    slashBps: WRONG,
  },
  prefill_evidence: { fault: 'wrong_output', ruling: 'upheld', reasons: ['self_contradiction'], slashBps: WRONG },
  raised_evidence: { fault: 'wrong_output', ruling: 'upheld', reasons: ['evidence_far_off'], slashBps: WRONG },
  shifted_evidence: { fault: 'wrong_output', ruling: 'upheld', reasons: ['evidence_far_off'], slashBps: WRONG },
  other_opened_evidence: { fault: 'wrong_output', ruling: 'upheld', reasons: ['evidence_refused'], slashBps: WRONG },
  refused_evidence: { fault: 'wrong_output', ruling: 'upheld', reasons: ['evidence_refused'], slashBps: WRONG },
  missing_evidence: { fault: 'bad_evidence', ...NO_STAKE },
  padded_evidence: { fault: 'bad_evidence', ...NO_STAKE },
  two_commitments: { fault: 'equivocation', ruling: 'upheld', reasons: ['two_commitments'], slashBps: SIGNED },
  two_claims: { fault: 'equivocation', ruling: 'upheld', reasons: ['two_claims'], slashBps: SIGNED },
  no_reveal: { fault: 'non_reveal', ...NO_STAKE },
  silence: { fault: 'non_reveal', ...NO_STAKE },
  wrong_opening: { fault: 'bad_opening', ruling: 'upheld', reasons: ['opening_does_not_fit'], slashBps: SIGNED },
  other_tokens: { fault: 'malformed', ...NO_STAKE },
  forged_claim: { fault: 'malformed', ...NO_STAKE },
};

export const EXPECTED_NAMES = Object.keys(EXPECTATIONS) as (keyof typeof EXPECTATIONS)[];
