/** Letting running answers end while no new ones begin (DESIGN §13). */
import type { Clock } from '#protocol/env';
import { ProtocolError } from '#protocol/errors';
import type { AnswerEvent, AnswerPipeline, AnswerRequest } from '../openai/answer.ts';

export class Drain {
  #draining = false;
  #running = 0;
  #onIdle: () => void = () => undefined;

  get draining(): boolean {
    return this.#draining;
  }

  /** The pipeline, counted; it refuses what begins after the draining has. */
  over<P extends AnswerPipeline>(pipeline: P): P {
    return { ...pipeline, answer: (request) => this.#answer(pipeline, request) };
  }

  /**
   * Refuses new answers from now on and waits for the running ones.
   * @param patienceMs longest wait in milliseconds
   * @returns whether all have ended
   */
  async drain(clock: Clock, patienceMs: number): Promise<boolean> {
    this.#draining = true;
    if (this.#running === 0) return true;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    const timer = new AbortController();
    await Promise.race([idle, clock.sleep(patienceMs, timer.signal).catch(() => undefined)]);
    timer.abort();
    return this.#running === 0;
  }

  async *#answer(pipeline: AnswerPipeline, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
    if (this.#draining) throw new ProtocolError('shutting_down', 'The gateway is stopping.', { retryable: true });
    this.#running++;
    try {
      yield* pipeline.answer(request);
    } finally {
      this.#running--;
      if (this.#running === 0) this.#onIdle();
    }
  }
}
