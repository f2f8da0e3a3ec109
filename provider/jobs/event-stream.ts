/** A job's events as `text/event-stream` (WHATWG HTML §9.2); closing the stream takes the listener away. */
import type { Listener, SealedJob } from './sealed-job.ts';

const HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' };

/** The stream of `job`: all events so far, then those to come, until the job ends. */
export function jobStream(job: SealedJob): Response {
  const encoder = new TextEncoder();
  let listener: Listener | null = null;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      listener = {
        event: ({ type, data }) =>
          controller.enqueue(encoder.encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`)),
        end: () => controller.close(),
      };
      job.attach(listener);
    },
    cancel() {
      if (listener !== null) job.detach(listener);
    },
  });
  return new Response(body, { status: 200, headers: HEADERS });
}
