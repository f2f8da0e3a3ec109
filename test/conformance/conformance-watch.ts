/** Lets no response of a test's gateway leave unvalidated: whatever the test looks at, the schemas look at all of it. */
import { type OfficialSchemas, officialSchemas } from './official-schemas.ts';
import { problemsOf } from './response-rules.ts';

type AppFetch = (request: Request) => Response | Promise<Response>;

export interface ConformanceWatch {
  readonly fetch: AppFetch;
  /** Responses that were looked at. */
  readonly count: () => number;
  /** @throws {Error} naming every rule that a response broke since the start */
  assertClean(): void;
}

/** Passes responses on as they are, at the pace of their readers. Without the official schemas nothing is looked at. */
export function watchConformance(
  fetch: AppFetch,
  schemas: OfficialSchemas | null = officialSchemas(),
): ConformanceWatch {
  const found: string[] = [];
  let count = 0;
  const look = (request: Request, response: Response, text: string): void => {
    count++;
    const { pathname } = new URL(request.url);
    const { status, headers } = response;
    const place = `${request.method} ${pathname} -> ${status}`;
    const seen = { method: request.method, path: pathname, status, headers, text };
    found.push(...problemsOf(schemas!, seen).map((problem) => `${place}: ${problem}`));
  };
  return {
    async fetch(request) {
      const response = await fetch(request);
      if (schemas === null || response.body === null) return response;
      return new Response(
        tapped(response.body, (text) => look(request, response, text)),
        response,
      );
    },
    count: () => count,
    assertClean() {
      if (found.length > 0) throw new Error(`responses break OpenAI's contract:\n${[...new Set(found)].join('\n')}`);
    },
  };
}

/** The same bytes, one by one as they are pulled; `onEnd` has the text up to the end or to where the reader left. */
function tapped(body: ReadableStream<Uint8Array>, onEnd: (text: string) => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) {
          onEnd(text);
          controller.close();
          return;
        }
        text += decoder.decode(value, { stream: true });
        controller.enqueue(value);
      },
      async cancel(reason) {
        // Who leaves has read no whole answer; of a stream, perhaps whole frames.
        const whole = text.lastIndexOf('\n\n') + 2;
        if (whole > 1 && text.startsWith('data: ')) onEnd(text.slice(0, whole));
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
