/** Requests of one kind to one server for a time, by connections that each wait for their answer. For load generators only. */
import { type RawAnswer, RawClient } from './raw-client.ts';

export interface Load {
  /** Of the chat completions endpoint. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fields: object;
  readonly concurrency: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** From an answer to the next request of its connection; nothing where it is left out. */
  readonly pauseMs?: number;
  /** False counts only: for runs whose samples would not fit into memory. */
  readonly keepsSamples?: boolean;
}

/** One answer: [key, sent, first text, done], times in nanoseconds. The key finds what the mocks noted about it. */
export type Sample = readonly [key: string, sentAtNs: number, firstAtNs: number, doneAtNs: number];

export interface LoadResult {
  /** Answers of the measured time, and all with those of the warm-up. */
  readonly count: number;
  readonly total: number;
  readonly samples: readonly Sample[];
  readonly failures: readonly string[];
}

/** Most samples with their text kept: enough for percentiles, little enough for memory. */
const SAMPLES_MAX = 200_000;

/** Called where the measured time begins, and where it ends. */
export interface LoadMarks {
  readonly begun: () => void;
  readonly ended: () => void;
}

/** Sends the load; failures are answers that are none, of which the first few are kept. */
export async function runLoad(load: Load, { begun, ended }: LoadMarks): Promise<LoadResult> {
  const url = new URL(load.url);
  const lines = Object.entries({ ...load.headers, host: url.host, 'content-type': 'application/json' });
  const head = `POST ${url.pathname} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`;
  const samples: Sample[] = [];
  const texts: string[] = [];
  const failures: string[] = [];
  let asked = 0;
  let answered = 0;
  const clients = await Promise.all(Array.from({ length: load.concurrency }, () => RawClient.open(url)));
  const sendFor = async (seconds: number, take: (key: string, answer: RawAnswer) => void): Promise<void> => {
    const endMs = performance.now() + seconds * 1000;
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() < endMs) {
          const key = `r${asked++}`;
          const body = JSON.stringify({ ...load.fields, user: key });
          take(key, await client.send(`${head}content-length: ${body.length}\r\n\r\n${body}`));
          if (load.pauseMs) await new Promise((resolve) => setTimeout(resolve, load.pauseMs));
        }
      }),
    );
  };
  await sendFor(load.warmupSeconds, () => undefined);
  begun();
  await sendFor(load.seconds, (key, answer) => {
    if (answer.status !== 200 || answer.text.includes('"error":{'))
      failures.push(`${answer.text.slice(0, 40)} ... ${answer.text.slice(-400)}`);
    else answered += 1;
    if (failures.length === 0 && load.keepsSamples !== false && samples.length < SAMPLES_MAX) {
      samples.push([key, answer.sentAtNs, answer.firstAtNs, answer.doneAtNs]);
      texts.push(attestationIn(answer.text));
    }
  });
  ended();
  for (const client of clients) client.close();
  const keyed = samples.map(([key, ...times], i): Sample => [roundIdIn(texts[i]!) ?? key, ...times]);
  return { count: answered, total: asked, samples: keyed, failures: failures.slice(0, 5) };
}

/** The part of our answers that names the round; chunked framing may cut it, which the decoder below forgives. */
function attestationIn(text: string): string {
  const at = text.indexOf('"attestation":"v1.');
  return at < 0 ? '' : text.slice(at + 18, text.indexOf('"', at + 18));
}

function roundIdIn(attestation: string): string | null {
  if (attestation === '') return null;
  const json = Buffer.from(attestation.replaceAll(/\r\n[0-9a-f]+\r\n/g, ''), 'base64url').toString('latin1');
  return /"roundId":"(0x[0-9a-f]{64})"/.exec(json)?.[1] ?? null;
}
