/** The breakers of all providers: fed by jobs, logged before a draw passes anybody over for one (DESIGN §4.3, SPEC.md §6.5). */
import { canonicalJson } from '#protocol/canonical';
import type { Clock } from '#protocol/env';
import { type Address, type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Store } from '../store/handle.ts';
import {
  admits,
  afterEvent,
  type Breaker,
  type BreakerEvent,
  breakerAt,
  NEW_BREAKER,
  type OpenBreaker,
} from './breaker.ts';
import type { CandidateSkip } from './capability-skips.ts';

/** Why a provider with an open breaker is passed over. */
export const BREAKER_OPEN = 'breaker:open';

/** What becomes of one job, told once; the rest is ignored. */
export interface JobReport {
  answered(): void;
  failed(): void;
  /** It ended without saying anything about the provider: the client has left, say. */
  dropped(): void;
}

export interface BreakersDeps {
  readonly store: Store;
  readonly log: Pick<LogKeeper, 'append'>;
  readonly clock: Clock;
  /** Receives the logging of an opening, which goes on behind the request. */
  readonly background: (work: Promise<void>) => void;
  readonly onChange?: (provider: Address, state: Breaker['kind']) => void;
}

/** What the public is shown. */
export interface BreakerView {
  readonly state: Breaker['kind'];
  readonly opens: number;
  readonly open_until_ms: number | null;
  /** The log's entry of the last opening. */
  readonly log_index: number | null;
}

export class Breakers {
  readonly #deps: BreakersDeps;
  readonly #breakers = new Map<Address, Breaker>();
  readonly #entries = new Map<Address, { readonly sinceMs: number; readonly logIndex: number }>();
  /** Jobs that were sent to a provider, and of which nothing was told yet. */
  readonly #running = new Map<Address, number>();

  constructor(deps: BreakersDeps) {
    this.#deps = deps;
  }

  /** Tells that a job was sent to a provider. */
  sent(provider: Address): JobReport {
    this.#after(provider, 'sent');
    this.#running.set(provider, this.runningAt(provider) + 1);
    let told = false;
    const tell = (event: BreakerEvent) => () => {
      if (told) return;
      told = true;
      this.#running.set(provider, this.runningAt(provider) - 1);
      this.#after(provider, event);
    };
    return { answered: tell('answered'), failed: tell('failed'), dropped: tell('dropped') };
  }

  /** Jobs of this gateway that a provider is at: its scores and its answers. */
  runningAt(provider: Address): number {
    return this.#running.get(provider) ?? 0;
  }

  /** Who is not asked now, for a reason that the log holds: nobody before the opening is durable. */
  skips(): CandidateSkip[] {
    const nowMs = this.#deps.clock.nowMs();
    return [...this.#breakers].flatMap(([provider, breaker]): CandidateSkip[] => {
      const entry = this.#entries.get(provider);
      if (entry === undefined || admits(breaker, nowMs)) return [];
      // INVARIANT: the entry is of this very opening, or of the one that the probing follows.
      if (breaker.kind === 'open' && breaker.sinceMs !== entry.sinceMs) return [];
      return [{ provider, reason: BREAKER_OPEN, logIndex: entry.logIndex }];
    });
  }

  /** Providers whose open time is over and which nobody has tried since. */
  due(): Address[] {
    const nowMs = this.#deps.clock.nowMs();
    return [...this.#breakers]
      .filter(([, breaker]) => breaker.kind === 'open' && nowMs >= breaker.untilMs)
      .map(([provider]) => provider);
  }

  view(provider: Address): BreakerView {
    const breaker = breakerAt(this.#breakers.get(provider) ?? NEW_BREAKER, this.#deps.clock.nowMs());
    return {
      state: breaker.kind,
      opens: breaker.opens,
      open_until_ms: breaker.kind === 'open' ? breaker.untilMs : null,
      log_index: this.#entries.get(provider)?.logIndex ?? null,
    };
  }

  #after(provider: Address, event: BreakerEvent): void {
    const before = this.#breakers.get(provider) ?? NEW_BREAKER;
    const after = afterEvent(before, event, this.#deps.clock.nowMs());
    this.#breakers.set(provider, after);
    if (after.kind === before.kind && !(after.kind === 'open' && after !== before)) return;
    this.#deps.onChange?.(provider, after.kind);
    if (after.kind === 'open') this.#deps.background(this.#logOpening(provider, after));
  }

  async #logOpening(provider: Address, breaker: OpenBreaker): Promise<void> {
    const { store, log } = this.#deps;
    const { sinceMs } = breaker;
    const evidenceHash = breakerEvidence(provider, breaker);
    const entry = { type: 'skip' as const, provider, reason: BREAKER_OPEN, evidenceHash, atMs: sinceMs };
    const logIndex = await store.withTx((tx) => log.append(tx, entry));
    this.#entries.set(provider, { sinceMs, logIndex });
  }
}

/** What the entry of an opening commits to: how often in a row, and until when nobody asks. */
export function breakerEvidence(provider: Address, { opens, sinceMs, untilMs }: OpenBreaker): Hash {
  return toHex(sha256(utf8(canonicalJson({ opens, provider, sinceMs, untilMs }))));
}
