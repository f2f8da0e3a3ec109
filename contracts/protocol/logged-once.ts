/** Entries of the log about one choice of an answer, of which there may be one, after the answer's own (SPEC.md §8.2). Pure. */
import type { LogEntry } from './log.ts';
import type { OpenLog } from './log-copy.ts';

type AboutChoice = 'audited' | 'trial';

/** An entry and its index. */
export interface Place<T extends AboutChoice> {
  readonly entry: Extract<LogEntry, { type: T }>;
  readonly at: number;
}

/** All of this type about a choice, in the log's order. */
export function placesOf<T extends AboutChoice>(
  log: OpenLog,
  type: T,
  about: { readonly requestId: string; readonly choice: number },
): Place<T>[] {
  const isAbout = (entry: LogEntry): entry is Place<T>['entry'] =>
    entry.type === type && 'choice' in entry && entry.requestId === about.requestId && entry.choice === about.choice;
  return log.entries.flatMap((entry, at) => (isAbout(entry) ? [{ entry, at }] : []));
}

/** Why these are not one entry after the answer's. @param name what they are called */
export function placeProblem(
  places: readonly { readonly at: number }[],
  answerAt: number,
  name: string,
): string | null {
  if (places.length > 1) return `the ${name} is there twice`;
  return places.some(({ at }) => at < answerAt) ? `the ${name} was logged before the answer` : null;
}
