/** What a command may do to the world outside its arguments; handed in by the root. */
import type { Clock, Rng } from '#protocol/env';

/** Where a command writes. */
export interface CliIo {
  /** One line on standard output. */
  readonly print: (line: string) => void;
  /** One line on standard error. */
  readonly fail: (line: string) => void;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** The text of a caught failure, for one line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : 'failed';
}
