/** What has been released to the client so far, and from whom its log-probabilities come (SPEC.md §12.5). Pure. */
import type { Calibration } from '#protocol/calibration';
import type { Address, Hash } from '#protocol/hash';
import { logprobsAgree, type TokenLogprobs } from '#protocol/logprobs';
import { tolerancesOf } from '../judge/classes.ts';

/** Released tokens, with their log-probabilities where they were ordered. */
export interface ReleasedPart {
  readonly ids: readonly number[];
  readonly logprobs: readonly TokenLogprobs[] | null;
}

/** The part of a member that is read here. */
export interface LogprobsMember {
  readonly seat: { readonly address: Address; readonly numericClass: string };
  readonly tokens: readonly number[];
  readonly openings: readonly { readonly tokenCount: number }[];
  readonly logprobs: readonly TokenLogprobs[];
  /** Random parts of the salts of its opened chunks. */
  readonly innerSalts: readonly Hash[];
}

/** Log-probabilities that were served: whose they are, chunk by chunk. */
export interface ServedLogprobs {
  readonly chunks: { provider: Address; salt: Hash }[];
  readonly tokens: TokenLogprobs[];
}

export class Release {
  readonly #ordered: boolean;
  readonly #ids: number[] = [];
  readonly #chunks: { provider: Address; salt: Hash; numericClass: string; tokenCount: number }[] = [];
  readonly #logprobs: TokenLogprobs[] = [];

  readonly #calibration: Calibration | null;

  /**
   * @param ordered whether the client wants log-probabilities
   * @param calibration of the model; those of uncalibrated classes bear nobody out
   */
  constructor(ordered: boolean, calibration: Calibration | null) {
    this.#ordered = ordered;
    this.#calibration = calibration;
  }

  /** Whether a transcript begins with everything that was released. */
  isStartOf(tokens: readonly number[]): boolean {
    return this.#ids.length <= tokens.length && this.#ids.every((id, at) => tokens[at] === id);
  }

  /** The same of a transcript that may not have come as far: of a member that sits in the place of one that was lost. */
  agreesWith({ tokens, finished }: { readonly tokens: readonly number[]; readonly finished: boolean }): boolean {
    if (tokens.length >= this.#ids.length) return this.isStartOf(tokens);
    return !finished && tokens.every((id, at) => this.#ids[at] === id);
  }

  /** Releases what the followed member has beyond that. @param others members that still count */
  *next(followed: LogprobsMember | undefined, others: readonly LogprobsMember[]): Generator<ReleasedPart> {
    const from = this.#ids.length;
    const ids = followed?.tokens.slice(from) ?? [];
    if (followed === undefined || ids.length === 0) return;
    this.#ids.push(...ids);
    if (!this.#ordered) {
      yield { ids, logprobs: null };
      return;
    }
    const source = this.#bestSource(followed, others, from);
    const { address: provider, numericClass } = source.seat;
    for (let chunk = this.#chunks.length; chunk < source.openings.length; chunk++) {
      const salt = source.innerSalts[chunk]!;
      this.#chunks.push({ provider, salt, numericClass, tokenCount: source.openings[chunk]!.tokenCount });
    }
    const logprobs = source.logprobs.slice(from);
    this.#logprobs.push(...logprobs);
    yield { ids, logprobs };
  }

  /** Null where none were ordered. */
  get served(): ServedLogprobs | null {
    if (!this.#ordered) return null;
    return { chunks: this.#chunks.map(({ provider, salt }) => ({ provider, salt })), tokens: [...this.#logprobs] };
  }

  /** Whether all that was released came from these members: others can be asked for no seal any more. */
  isFrom(members: readonly LogprobsMember[]): boolean {
    const addresses = new Set(members.map(({ seat }) => seat.address));
    return this.#chunks.every(({ provider }) => addresses.has(provider));
  }

  /** How many of the members, the sources among them, have log-probabilities like those that were released. */
  backing(members: readonly LogprobsMember[]): number {
    return members.filter((member) => this.#isBacked(member)).length;
  }

  #isBacked(member: LogprobsMember): boolean {
    if (!this.isStartOf(member.tokens) || member.logprobs.length !== this.#logprobs.length) return false;
    let from = 0;
    return this.#chunks.every(({ numericClass, tokenCount }) => {
      const part = this.#logprobs.slice(from, from + tokenCount);
      from += tokenCount;
      const own = member.logprobs.slice(from - tokenCount, from);
      return this.#agree(part, own, [numericClass, member.seat.numericClass]);
    });
  }

  #agree(a: readonly TokenLogprobs[], b: readonly TokenLogprobs[], classes: readonly [string, string]): boolean {
    const tolerance = tolerancesOf(this.#calibration, ...classes)?.tie;
    if (tolerance === undefined || a.length !== b.length) return false;
    return a.every((item, at) => logprobsAgree(item, b[at]!, tolerance));
  }

  /** Of the members with the same tokens the one that most others bear out; the followed one where several are alike. */
  #bestSource(followed: LogprobsMember, others: readonly LogprobsMember[], from: number): LogprobsMember {
    const same = others.filter((other) => other !== followed && sameTokens(other.tokens, followed.tokens));
    const candidates = [followed, ...same];
    const supportOf = (source: LogprobsMember): number =>
      candidates.filter((other) =>
        this.#agree(source.logprobs.slice(from), other.logprobs.slice(from), [
          source.seat.numericClass,
          other.seat.numericClass,
        ]),
      ).length;
    const support = candidates.map(supportOf);
    return candidates[support.indexOf(Math.max(...support))]!;
  }
}

function sameTokens(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}
