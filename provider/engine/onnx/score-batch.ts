/** Lets score orders share runs: whole sequences side by side, each of which keeps its own bits. */
import { setImmediate } from 'node:timers/promises';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { EngineError } from '../engine.ts';
import type { FairQueue } from '../fair-queue.ts';
import type { BatchLayout } from './decode-batch.ts';
import type { LogitRows } from './sequence.ts';
import { cacheTensor, cacheValues, integers, logitsOf } from './tensors.ts';

/** Most of a run that may be padding: what shares a run saves calls, not work, so that padding soon costs more than it saves. */
const PADDING_SHARE_MAX = 1 / 8;
/** Lengths of the probe's sequences: padded, and neither a multiple of anything. */
const PROBE_LENGTHS = [23, 21, 23] as const;
const PROBE_STRIDE = 7;

interface Waiting {
  readonly ids: readonly number[];
  /** Position of the first logits that are wanted. */
  readonly firstWanted: number;
  readonly resolve: (rows: LogitRows) => void;
  readonly reject: (error: unknown) => void;
}

export class ScoreBatcher {
  readonly #session: InferenceSession;
  readonly #layout: BatchLayout;
  readonly #vocabSize: number;
  readonly #queue: FairQueue;
  readonly #tokensMax: number;
  #waiting: Waiting[] = [];
  #scheduled = false;

  /**
   * @param queue shared with everything else that runs the session
   * @param tokensMax tokens of one run, padding included: as many as hold up everybody else for one chunk of a prompt
   */
  constructor(session: InferenceSession, layout: BatchLayout, vocabSize: number, queue: FairQueue, tokensMax: number) {
    this.#session = session;
    this.#layout = layout;
    this.#vocabSize = vocabSize;
    this.#queue = queue;
    this.#tokensMax = tokensMax;
  }

  /** Whether a sequence fits in one run. */
  fits(tokens: number): boolean {
    return tokens <= this.#tokensMax;
  }

  /** Reads a sequence from its beginning. @returns logits from `firstWanted` on @throws EngineError `run_failed` */
  read(ids: readonly number[], firstWanted: number): Promise<LogitRows> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ids, firstWanted, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void this.#queue.run(() => this.#run());
  }

  /** One run of the sequence that has waited longest, and of those that fit beside it. */
  async #run(): Promise<void> {
    // Orders of one request come in together: without this turn the first would run alone.
    await setImmediate();
    this.#scheduled = false;
    const taken = together(this.#waiting, this.#tokensMax);
    this.#waiting = this.#waiting.filter((each) => !taken.includes(each));
    if (this.#waiting.length > 0) this.#schedule();
    try {
      const all = await runTogether(this.#session, this.#layout, this.#vocabSize, taken);
      taken.forEach((each, at) => {
        each.resolve(all[at]!);
      });
    } catch (error) {
      for (const each of taken) each.reject(error);
    }
  }
}

/** The first of the line, and each after it that leaves the run within its limits. */
function together(waiting: readonly Waiting[], tokensMax: number): Waiting[] {
  const taken: Waiting[] = [];
  let [longest, sum] = [0, 0];
  for (const each of waiting) {
    const length = Math.max(longest, each.ids.length);
    const room = length * (taken.length + 1);
    const used = sum + each.ids.length;
    if (taken.length > 0 && (room > tokensMax || used < room * (1 - PADDING_SHARE_MAX))) continue;
    taken.push(each);
    [longest, sum] = [length, used];
  }
  return taken;
}

/** Shorter sequences are padded behind, where the mask hides it and no token looks. */
async function runTogether(
  session: InferenceSession,
  layout: BatchLayout,
  vocabSize: number,
  taken: readonly Pick<Waiting, 'ids' | 'firstWanted'>[],
): Promise<LogitRows[]> {
  const rows = taken.length;
  const width = Math.max(...taken.map(({ ids }) => ids.length));
  const kept = width - Math.min(...taken.map(({ firstWanted }) => firstWanted));
  const grid = (value: (ids: readonly number[], at: number) => number) =>
    taken.flatMap(({ ids }) => Array.from({ length: width }, (_, at) => value(ids, at)));
  const feeds: Record<string, Tensor> = {
    [layout.ids.name]: integers(
      layout.ids.type,
      grid((ids, at) => ids[at] ?? 0),
      [rows, width],
    ),
    [layout.mask.name]: integers(
      layout.mask.type,
      grid((ids, at) => (at < ids.length ? 1 : 0)),
      [rows, width],
    ),
    [layout.positions.name]: integers(
      layout.positions.type,
      grid((_, at) => at),
      [rows, width],
    ),
  };
  for (const { input, type, emptyDims } of layout.cache) {
    feeds[input] = cacheTensor(type, cacheValues(type, 0), [rows, ...emptyDims.slice(1)]);
  }
  if (layout.logitsToKeep) {
    feeds[layout.logitsToKeep.name] = integers(layout.logitsToKeep.type, [kept], []);
  }
  let logits: Tensor;
  try {
    logits = (await session.run(feeds, [layout.logits.name]))[layout.logits.name] as Tensor;
  } catch (cause) {
    throw new EngineError('run_failed', `a run of ${rows} sequences of ${width} tokens failed`, { cause });
  }
  const [gotRows, given = 0, gotWidth] = logits.dims;
  if (gotRows !== rows || given < kept || gotWidth !== vocabSize) {
    throw new EngineError('run_failed', `logits have the shape [${logits.dims.join(', ')}]`);
  }
  return taken.map(({ ids, firstWanted }, row) => ({
    count: ids.length - firstWanted,
    row: (index) => {
      const at = row * given + (given - width) + firstWanted + index;
      return logitsOf(logits, at * vocabSize, (at + 1) * vocabSize);
    },
  }));
}

/** Whether this model's sequences keep their bits beside others, tried on the model itself: graphs differ in what they do with masks. */
export async function sequencesKeepBits(
  session: InferenceSession,
  layout: BatchLayout,
  vocabSize: number,
): Promise<boolean> {
  const probes = PROBE_LENGTHS.map((length, at) => ({
    ids: Array.from({ length }, (_, index) => (PROBE_STRIDE * (index + length + at)) % vocabSize),
    firstWanted: 0,
  }));
  const shared = await runTogether(session, layout, vocabSize, probes);
  for (const [at, probe] of probes.entries()) {
    const [alone] = await runTogether(session, layout, vocabSize, [probe]);
    for (let index = 0; index < probe.ids.length; index++) {
      const [a, b] = [shared[at]!.row(index), alone!.row(index)];
      if (a.some((value, v) => value !== b[v])) return false;
    }
  }
  return true;
}
