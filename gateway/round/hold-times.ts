/** When permissions leave: beside others when the last of them has sealed, alone when the last of a committee that was had (SPEC.md §5.7). */
import type { Clock, Rng } from '#protocol/env';
import { type Covers, fractionOf } from '../committee/covers.ts';
import type { SealedMember } from './member.ts';
import type { AttemptPlan } from './plan.ts';

/** Whose delays are drawn, and how long they may be. */
export interface CoverSource {
  readonly covers: Covers;
  /** Longest delay in milliseconds; 0 covers nobody. */
  readonly maxMs: number;
}

export interface HoldDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly cover?: CoverSource;
}

/** Orders whose committees are alike: of one model, streamed or not. */
export function coverKind({ modelDigest, chunkSizes }: Pick<AttemptPlan, 'modelDigest' | 'chunkSizes'>): string {
  return `${modelDigest}/${chunkSizes.length === 1 ? 'whole' : 'stream'}`;
}

/** Of so many members one leaves a trace: the others have met nearly the same. */
const MEMBERS_OF_TRACE = 3;

interface Held {
  /** When its order, then its last permission, left. */
  sinceMs: number;
  sealedMs: number | null;
  readonly ownMs: number[];
  readonly othersMs: number[];
}

export class HoldTimes {
  readonly #deps: HoldDeps;
  readonly #kind: string;
  readonly #promptTokens: number;
  readonly #held = new Map<SealedMember, Held>();
  /** Of this round, for a member that has no others. */
  #drawn: number | null = null;

  constructor(deps: HoldDeps, plan: AttemptPlan) {
    this.#deps = deps;
    this.#kind = coverKind(plan);
    this.#promptTokens = plan.promptIds.length;
  }

  /** Its order leaves now. */
  ordered(member: SealedMember): void {
    this.#held.set(member, { sinceMs: this.#deps.clock.nowMs(), sealedMs: null, ownMs: [], othersMs: [] });
  }

  /** Its seal is there. */
  sealed(member: SealedMember): void {
    const held = this.#held.get(member)!;
    held.sealedMs = this.#deps.clock.nowMs();
  }

  /** Waits for the others of a member that has none. */
  async cover(member: SealedMember, signal: AbortSignal): Promise<void> {
    const { clock, rng, cover } = this.#deps;
    const held = this.#held.get(member)!;
    if (cover === undefined || cover.maxMs === 0 || held.sealedMs === null) return;
    const ownMs = [...held.ownMs, held.sealedMs - held.sinceMs];
    const othersMs = cover.covers.draw(
      this.#kind,
      { promptTokens: this.#promptTokens, ownMs, othersMs: held.othersMs },
      rng,
    );
    if (othersMs === null) return;
    this.#drawn = othersMs;
    const waitMs = held.sinceMs + othersMs - clock.nowMs();
    if (waitMs > 0) await clock.sleep(Math.min(waitMs, cover.maxMs), signal);
  }

  /** Permissions of the round leave now, for those that have sealed. */
  permitted(): void {
    const nowMs = this.#deps.clock.nowMs();
    const sealed = [...this.#held.values()].filter(({ sealedMs }) => sealedMs !== null);
    const times = sealed.map((held) => {
      const others = sealed.flatMap((other) => (other === held ? [] : [other.sealedMs!]));
      const last = Math.max(0, ...others);
      return last > held.sealedMs! ? nowMs - held.sinceMs : Math.max(0, last - held.sinceMs);
    });
    for (const [at, held] of sealed.entries()) {
      held.ownMs.push(held.sealedMs! - held.sinceMs);
      held.othersMs.push(sealed.length > 1 ? times[at]! : (this.#drawn ?? 0));
      held.sinceMs = nowMs;
      held.sealedMs = null;
    }
    this.#drawn = null;
  }

  /** Remembers what members have met, where there were several: of a third of them, whichever, so that large committees count as their members do. */
  end(): void {
    const met = [...this.#held.values()].filter(({ ownMs }) => ownMs.length > 0);
    this.#held.clear();
    const { cover, rng } = this.#deps;
    if (met.length < 2 || cover === undefined) return;
    const kept = met.map((held) => ({ held, at: rng.bytes(4).join() })).sort((a, b) => (a.at < b.at ? -1 : 1));
    const promptTokens = this.#promptTokens;
    const count = Math.floor(met.length / MEMBERS_OF_TRACE + fractionOf(rng));
    const traces = kept.slice(0, count).map(({ held: { ownMs, othersMs } }) => ({ ownMs, othersMs, promptTokens }));
    if (traces.length > 0) cover.covers.record(this.#kind, traces);
  }
}
