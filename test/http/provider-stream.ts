/** A job's event stream, read event by event over a real socket, and jobs run to their claim. */
import request from 'supertest';
import type { Hash } from '#protocol/hash';
import {
  type ClaimEvent,
  type CommitmentEvent,
  type JobOrderWire,
  type PermissionOrder,
  type RevealEvent,
  zClaimEvent,
  zCommitmentEvent,
  zRevealEvent,
} from '#protocol/messages';
import { permit } from './provider-fixture.ts';

export type StreamEvent = { readonly event: string; readonly data: Record<string, unknown> };

/** The event stream of an order, read event by event. */
export class JobStream {
  /** All bytes that arrived. */
  text = '';
  readonly #request: request.Test;
  #events: StreamEvent[] = [];
  #taken = 0;
  #ended = false;
  #wake: () => void = () => {};

  constructor(url: string, order: JobOrderWire) {
    this.#request = request(url)
      .post('/v1/jobs')
      .send(order)
      .buffer(true)
      .parse((response, done) => {
        const stream = response as unknown as NodeJS.ReadableStream;
        stream.setEncoding('utf8');
        stream.on('data', (piece: string) => this.#take(piece));
        stream.on('end', () => done(null, null));
        // superagent reports it itself.
        stream.on('error', () => {});
      });
    this.#request.end(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  #take(piece: string): void {
    this.text += piece;
    const blocks = this.text.split('\n\n').slice(0, -1);
    this.#events = blocks.map((block) => {
      const match = /^event: (\w+)\ndata: (.*)$/.exec(block);
      if (match === null) throw new Error('not an event');
      return { event: match[1]!, data: JSON.parse(match[2]!) as Record<string, unknown> };
    });
    this.#wake();
  }

  /** The next event, or null at the end of the stream. */
  async next(): Promise<StreamEvent | null> {
    while (this.#taken >= this.#events.length && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#events[this.#taken++] ?? null;
  }

  /** Events that arrived and were not taken yet. */
  get pending(): readonly StreamEvent[] {
    return this.#events.slice(this.#taken);
  }

  async #expect(name: string): Promise<unknown> {
    const event = await this.next();
    if (event?.event !== name) throw new Error(`expected ${name}, got ${event?.event} ${JSON.stringify(event?.data)}`);
    return event.data;
  }

  async commitment(): Promise<CommitmentEvent> {
    return zCommitmentEvent.parse(await this.#expect('commitment'));
  }

  async reveal(): Promise<RevealEvent> {
    return zRevealEvent.parse(await this.#expect('reveal'));
  }

  async claim(): Promise<ClaimEvent> {
    return zClaimEvent.parse(await this.#expect('claim'));
  }

  async error(): Promise<string> {
    return String(((await this.#expect('error')) as { code: unknown }).code);
  }

  close(): void {
    this.#request.abort();
  }
}

export const reveal = (url: string, jobId: Hash, order: PermissionOrder) =>
  request(url).post(`/v1/jobs/${jobId}/reveal`).send(order);

/** Runs an order to its claim, opening every chunk. */
export async function runToClaim(url: string, order: JobOrderWire) {
  const stream = new JobStream(url, order);
  const commitments: CommitmentEvent[] = [];
  const reveals: RevealEvent[] = [];
  const roots: Hash[] = [];
  for (;;) {
    const commitment = await stream.commitment();
    commitments.push(commitment);
    const permission = permit(commitment);
    roots.push(permission.permission.roundRoot);
    await reveal(url, commitment.jobId, permission).expect(200);
    const opened = await stream.reveal();
    reveals.push(opened);
    if (!opened.opening.last) continue;
    const claim = await stream.claim();
    const end = await stream.next();
    return { commitments, reveals, roots, claim, end, text: stream.text };
  }
}
