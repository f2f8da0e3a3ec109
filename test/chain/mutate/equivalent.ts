/** Mutants that no test can tell from the contract, with the reason. Whoever changes the line has to look again. */
import type { Mutant } from './operators.ts';

interface Equivalent {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

const EQUIVALENT: readonly Equivalent[] = [];

/** Why nothing can notice a mutant, or null where something should. */
export function reasonFor({ file, before, after }: Mutant): string | null {
  const found = EQUIVALENT.find((one) => file.endsWith(one.file) && one.before === before && one.after === after);
  return found?.reason ?? null;
}
