/** A whole answer by one member under seals of its own: of audits, and of rounds that look for copies. */
import type { Seat } from '../committee/seat.ts';
import type { SealedMember } from './member.ts';
import type { Wave } from './wave.ts';

/** @returns null where it could not be had */
export async function transcriptIn(wave: Wave, seat: Seat): Promise<SealedMember | null> {
  if ((await wave.seat([seat], 1)) === 0) return null;
  for (;;) {
    await wave.round();
    const [member] = wave.counted;
    if (member === undefined) return null;
    if (member.finished) break;
  }
  await wave.claims(wave.counted);
  return wave.counted[0] ?? null;
}
