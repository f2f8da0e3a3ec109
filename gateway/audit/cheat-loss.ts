/** What cheats lose by each answer, at a rate: what a quote says of a lone provider (spec-money.md §11.12). Pure. */
import { isForfeiting } from '../ledger/retained.ts';
import type { DetectionTable } from './detection.ts';
import { checkIncentive, type Incentive, lossByAnswerNano } from './equilibrium.ts';
import { examinedLossNano } from './examined-loss.ts';

/** What a rate is worth against one provider. */
export interface AuditWorth {
  /** What the cheat that loses least is expected to lose by each answer that it cheats on; negative where it pays. */
  readonly lossNano: bigint;
  /** Cheats that lose nothing, so that nobody takes the rate for more than it is. */
  readonly undeterred: readonly string[];
}

/**
 * Over the cheats of a table that save anything. Of who was never examined all pay waits for that, and the loss is the one until then; of others it is what audits alone bring, with
 * the pay that is retained now: whoever goes on is examined no more.
 * @throws {RangeError} on figures out of range
 */
export function worthOf(incentive: Incentive, { cheats }: DetectionTable, ratePpm: number): AuditWorth {
  checkIncentive(incentive);
  const { waiting } = incentive;
  const losses = cheats
    .filter(({ savedPpm }) => savedPpm > 0)
    .map((cheat) => {
      const isExamined = waiting !== undefined && isForfeiting(cheat.fault);
      const lossNano = isExamined
        ? examinedLossNano(incentive, cheat, ratePpm, waiting)
        : lossByAnswerNano(incentive, cheat, ratePpm);
      return { lossNano, undeterred: lossNano > 0n ? [] : [cheat.cheat] };
    });
  return leastWorth(losses);
}

/** Of several providers, or cheats: what the one that loses least is worth; nothing where there is none. */
export function leastWorth(worths: readonly AuditWorth[]): AuditWorth {
  const lossNano = worths.reduce(
    (least, one) => (one.lossNano < least ? one.lossNano : least),
    worths[0]?.lossNano ?? 0n,
  );
  return { lossNano, undeterred: [...new Set(worths.flatMap(({ undeterred }) => undeterred))] };
}
