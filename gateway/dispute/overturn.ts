/** Whether a ruling takes back an answer that was given (DESIGN §4, spec-judge.md §7.9). Pure. */
import type { Ruling } from '../ledger/dispute-money.ts';
import type { DisputeBundle } from './bundle.ts';

/**
 * An upheld accusation of wrong output against the very transcript that was served says that the client was told something
 * wrong. Other faults of a member that told the truth do not, nor a broken form of one that wrote the same tokens: its end alone was false.
 */
export function overturns({ fault, reason, accused, served }: DisputeBundle, ruling: Ruling): boolean {
  if (ruling !== 'upheld' || served === null) return false;
  if (fault !== 'wrong_output' && fault !== 'bad_evidence') return false;
  if (reason.startsWith('shape:') && accused.provider !== served.provider) return false;
  return served.tokens.length === accused.tokens.length && served.tokens.every((id, i) => accused.tokens[i] === id);
}
