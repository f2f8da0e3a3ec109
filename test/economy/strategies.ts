/** Ways to cheat where nobody may be looking. */
import { type AnswerPool, LENGTHS } from './answers.ts';
import type { Strategy } from './world.ts';

/** What a strategy runs. */
export interface Cheaper {
  readonly name: string;
  readonly pool: AnswerPool;
  readonly savedPpm: number;
}

export function honest(pool: AnswerPool): Strategy {
  return { name: 'honest', pool, savedPpm: 0, cheats: () => false };
}

/** Always. */
export function always(cheaper: Cheaper): Strategy {
  return { ...cheaper, name: `always ${cheaper.name}`, cheats: () => true };
}

/** On a share of its requests. */
export function sometimes(cheaper: Cheaper, share: number): Strategy {
  return { ...cheaper, name: `${cheaper.name} on ${share}`, cheats: (_, rng) => rng.unit() < share };
}

/** Only where it saves most. */
export function onLong(cheaper: Cheaper): Strategy {
  const longest = LENGTHS.length - 1;
  return { ...cheaper, name: `${cheaper.name} on the longest`, cheats: ({ length }) => length === longest };
}

/**
 * Only where it thinks itself unwatched, by a hint that is right with this probability.
 * @param accuracy 0.5 is no hint at all
 */
export function unwatched(cheaper: Cheaper, accuracy: number): Strategy {
  return {
    ...cheaper,
    name: `${cheaper.name} if it thinks itself unwatched (${accuracy})`,
    cheats: ({ audited }, rng) => (rng.unit() < accuracy ? !audited : audited),
  };
}

/** Builds a record first. */
export function later(cheaper: Cheaper, after: number): Strategy {
  return { ...cheaper, name: `${cheaper.name} after ${after} honest answers`, cheats: ({ at }) => at >= after };
}

/** Cheats until it asks for its stake. */
export function hitAndRun(cheaper: Cheaper, answers: number): Strategy {
  const name = `${cheaper.name}, leaves after ${answers}`;
  return { ...cheaper, name, cheats: () => true, leaves: (at) => at >= answers, repents: true };
}

/** Honest as soon as it is in quarantine, so that no probe finds more. */
export function repenting(cheaper: Cheaper): Strategy {
  return { ...always(cheaper), name: `${cheaper.name} until in quarantine`, repents: true };
}

/** Honest, then cheats, then honest again until it asks for its stake: how many answers of each. */
export interface Phases {
  readonly before: number;
  readonly cheated: number;
  readonly after: number;
}

/** Builds a record first, or lets other answers grow over those that it cheats on. */
export function churning(cheaper: Cheaper, { before, cheated, after }: Phases): Strategy {
  const end = before + cheated;
  const name = `${cheaper.name} on ${cheated}, ${before} honest answers before and ${after} after it, leaves`;
  const cheats: Strategy['cheats'] = ({ at }) => at >= before && at < end;
  return { ...cheaper, name, cheats, leaves: (at) => at >= end + after, repents: true };
}
