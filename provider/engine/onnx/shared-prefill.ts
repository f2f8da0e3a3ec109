/** Reads a prompt once for all answers that begin with it at the same time, such as the choices of one request. */

import type { Tensor } from 'onnxruntime-common';

/** A prompt that has been read. */
export interface ReadPrompt {
  /** By the names of the cache's inputs. */
  readonly cache: ReadonlyMap<string, Tensor>;
  readonly length: number;
  /** Logits of the first answer token. */
  readonly logits: Float32Array;
}

/** One caller's hold on a prompt. */
export interface PromptUse {
  readonly ready: Promise<ReadPrompt>;
  /** The last one to let go ends a reading that nobody waits for, and frees it. */
  release(): void;
}

/** Prompts that somebody holds; nothing outlives its last user. */
export class SharedPrefill {
  readonly #read: (ids: readonly number[], signal: AbortSignal) => Promise<ReadPrompt>;
  readonly #held = new Map<string, { users: number; ready: Promise<ReadPrompt>; abandon: AbortController }>();

  constructor(read: (ids: readonly number[], signal: AbortSignal) => Promise<ReadPrompt>) {
    this.#read = read;
  }

  use(ids: readonly number[]): PromptUse {
    const key = ids.join();
    let held = this.#held.get(key);
    if (held === undefined) {
      const abandon = new AbortController();
      held = { users: 0, ready: this.#read(ids, abandon.signal), abandon };
      this.#held.set(key, held);
    }
    const mine = held;
    mine.users += 1;
    return {
      ready: mine.ready,
      release: () => {
        mine.users -= 1;
        if (mine.users > 0) return;
        this.#held.delete(key);
        mine.abandon.abort();
      },
    };
  }
}
