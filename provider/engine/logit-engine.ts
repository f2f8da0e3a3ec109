/** An engine over anything that gives logits: one token loop, one sampler and one kind of evidence for all of them (SPEC.md, "Sampling"). */
import { setImmediate } from 'node:timers/promises';
import type { TokenEvidence } from '#protocol/evidence';
import type { TextModel } from '#protocol/text';
import {
  checkSignal,
  checkTokens,
  type Engine,
  EngineError,
  type EngineInfo,
  type GeneratedToken,
  type GenerateRequest,
  type ScoreRequest,
} from './engine.ts';
import { TranscriptScorer, TranscriptWriter } from './transcript.ts';

/** Logits that a score turns into evidence before it lets others have the thread: 2^20 take some 40 ms. */
const SCORED_LOGITS_MAX = 2 ** 20;

/** An answer after its prompt; one call at a time, none after `leave`. */
export interface Steps {
  /** Of the first token. */
  readonly logits: Float32Array;
  /** Reads a token and gives the logits of the next; they stay valid. @throws EngineError */
  readonly next: (id: number) => Promise<Float32Array>;
  readonly leave: () => void;
}

/** A model that reads tokens and gives logits; calls may overlap and do not change one another's results. */
export interface Decoder {
  /** Reads a prompt. @throws EngineError */
  start(promptIds: readonly number[], signal: AbortSignal | undefined): Promise<Steps>;
  /**
   * Reads tokens and hands out the logits of every position from `firstWanted` on, in order; each is valid until its visit ends.
   * @throws EngineError
   */
  read(
    ids: readonly number[],
    firstWanted: number,
    signal: AbortSignal | undefined,
    visit: (logits: Float32Array) => Promise<void>,
  ): Promise<void>;
  /** Frees the model after the run under way. */
  close(): Promise<void>;
}

/** The engine of a decoder, which it owns. */
export class LogitEngine implements Engine {
  readonly info: EngineInfo;
  readonly text: TextModel;
  readonly #decoder: Decoder;
  #closed: Promise<void> | undefined;

  constructor(info: EngineInfo, text: TextModel, decoder: Decoder) {
    this.info = info;
    this.text = text;
    this.#decoder = decoder;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GeneratedToken, void, void> {
    const { promptIds, maxTokens, signal } = request;
    checkTokens(this.info, promptIds, [], maxTokens);
    if (maxTokens === 0) return;
    this.#checkRunning(signal);
    const writer = new TranscriptWriter(request, this.text);
    const steps = await this.#decoder.start(promptIds, signal);
    try {
      let { logits } = steps;
      while (true) {
        const token = writer.next(logits);
        yield token;
        if (token.finish !== null) return;
        this.#checkRunning(signal);
        logits = await steps.next(token.id);
      }
    } finally {
      steps.leave();
    }
  }

  async score(request: ScoreRequest): Promise<TokenEvidence[]> {
    const { promptIds, outputIds, sampling, seed, signal } = request;
    checkTokens(this.info, promptIds, outputIds, outputIds.length);
    const scorer = new TranscriptScorer(sampling, seed, outputIds);
    if (outputIds.length === 0) return scorer.evidence;
    this.#checkRunning(signal);
    // The last claimed token is scored by the position before it and need not be read.
    const read = [...promptIds, ...outputIds.slice(0, -1)];
    const rowsAtOnce = Math.ceil(SCORED_LOGITS_MAX / this.info.vocabSize);
    await this.#decoder.read(read, promptIds.length - 1, signal, async (logits) => {
      scorer.score(logits);
      if (scorer.evidence.length % rowsAtOnce === 0) await setImmediate();
    });
    return scorer.evidence;
  }

  close(): Promise<void> {
    this.#closed ??= this.#decoder.close();
    return this.#closed;
  }

  #checkRunning(signal: AbortSignal | undefined): void {
    checkSignal(signal);
    if (this.#closed !== undefined) throw new EngineError('closed', 'the engine is closed');
  }
}
