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

/** What a copier meets: shares of its requests, and whether it minds how they are to be sampled. */
export interface Copies {
  /** Of its prompts, those that it has seen another's answer to: as an auditor, a witness or an accomplice. */
  readonly seen: number;
  /** Of all requests, those at temperature 0, where a copy is what the model itself writes. */
  readonly greedy: number;
  /** Whether it copies at temperature 0 alone. */
  readonly looks: boolean;
}

/** Answers of a pool that is put together of two, to a thousandth. */
const MIXED_ANSWERS = 1_000;

/**
 * Copies a peer's answer where it has one, and computes the others. At temperature 0 the judge sees an honest answer; above it one under another seed.
 * @param replayed answers under other seeds, as the judge sees them
 */
export function copying(honestPool: AnswerPool, replayed: Cheaper, { seen, greedy, looks }: Copies): Strategy {
  const mixed = replayed.pool.map((copies, length) =>
    Array.from({ length: MIXED_ANSWERS }, (_, at) => {
      const from = at < greedy * MIXED_ANSWERS ? honestPool[length]! : copies;
      return from[at % from.length]!;
    }),
  );
  const share = looks ? seen * greedy : seen;
  return {
    name: looks ? 'copying at temperature 0 alone' : 'copying',
    pool: looks ? honestPool : mixed,
    savedPpm: replayed.savedPpm,
    cheats: (_, rng) => rng.unit() < share,
  };
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
