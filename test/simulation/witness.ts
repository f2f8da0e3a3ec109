/** Sees everything that honest processes sign and send, and says where two of their statements contradict each other. */
import { parseAttestation } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import { openedNote } from './note.ts';

export class Witness {
  readonly #said = new Map<string, string>();
  readonly contradictions: string[] = [];

  /** Of one key, one value only. */
  note(key: string, value: string): void {
    const before = this.#said.get(key);
    if (before === undefined) this.#said.set(key, value);
    else if (before !== value) this.contradictions.push(`${key} was signed twice, with different contents`);
  }

  /** What the gateway orders and permits. */
  fetch(fetch: Fetch): Fetch {
    return (url, init) => {
      if (typeof init.body === 'string') this.#order(new URL(url).pathname, init.body);
      return fetch(url, init);
    };
  }

  #order(path: string, body: string): void {
    if (path.endsWith('/reveal')) {
      const { permission } = JSON.parse(body) as { permission: { roundId: string; index: number; roundRoot: string } };
      this.note(`root of round ${permission.roundId} ${permission.index}`, permission.roundRoot);
    } else if (path === '/v1/jobs' || path === '/v1/scores') {
      const order = JSON.parse(body) as { ticket: { jobId: string } };
      this.note(`ticket of job ${order.ticket.jobId}`, canonicalJson(order.ticket));
    }
  }

  /** What a client was given: an attestation, and the checkpoint of its receipt. */
  answer(compact: string, checkpoint: string): void {
    const statement = parseAttestation(compact)?.statement;
    if (!statement) return;
    this.note(`attestation of ${statement.requestId}`, compact);
    const opened = openedNote(checkpoint);
    this.note(`checkpoint of size ${opened.size}`, opened.root);
  }

  /** The stream of an honest provider's job, read as it is written: what has left a process is said, whoever comes to read it. */
  stream(name: string, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = '';
    const pump = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          return;
        }
        text += decoder.decode(value, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop()!;
        for (const block of blocks) this.#event(name, block);
        controller.enqueue(value);
      }
    };
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        // Cancelled from the other side: there is nobody to tell.
        pump(controller).catch(() => undefined);
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }

  #event(name: string, block: string): void {
    const type = /^event: (.*)$/m.exec(block)?.[1];
    if (type !== 'commitment' && type !== 'claim' && type !== 'reveal') return;
    const event = JSON.parse(/^data: (.*)$/m.exec(block)![1]!) as {
      jobId: string;
      index: number;
      commitment: string;
      claim: { jobId: string };
      opening: { jobId: string; index: number };
    };
    if (type === 'commitment') this.note(`${name}'s commitment ${event.jobId} ${event.index}`, event.commitment);
    else if (type === 'claim') this.note(`${name}'s claim ${event.claim.jobId}`, canonicalJson(event.claim));
    else this.note(`${name}'s opening ${event.opening.jobId} ${event.opening.index}`, canonicalJson(event.opening));
  }
}
