/**
 * The load generator: one cell of the gateway's benchmark in a process of its own. Reads one JSON line of `Load` from its argument;
 * prints `begin` and `end` around the measured time, then one JSON line of samples.
 */
import { RawClient } from './raw-client.ts';

export interface Load {
  /** Of the chat completions endpoint. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fields: object;
  readonly concurrency: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
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

const load = JSON.parse(process.argv[2]!) as Load;
const url = new URL(load.url);
const lines = Object.entries({ ...load.headers, host: url.host, 'content-type': 'application/json' });
const head = `POST ${url.pathname} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`;
const samples: Sample[] = [];
const texts: string[] = [];
const failures: string[] = [];
let asked = 0;
let answered = 0;

const clients = await Promise.all(Array.from({ length: load.concurrency }, () => RawClient.open(url)));
await sendFor(load.warmupSeconds, () => undefined);
process.stdout.write('begin\n');
await sendFor(load.seconds, (key, answer) => {
  if (answer.status !== 200 || answer.text.includes('"error":{'))
    failures.push(`${answer.text.slice(0, 40)} ... ${answer.text.slice(-400)}`);
  else answered += 1;
  if (failures.length === 0 && load.keepsSamples !== false && samples.length < SAMPLES_MAX) {
    samples.push([key, answer.sentAtNs, answer.firstAtNs, answer.doneAtNs]);
    texts.push(attestationIn(answer.text));
  }
});
process.stdout.write('end\n');
for (const client of clients) client.close();
const keyed = samples.map(([key, ...times], i): Sample => [roundIdIn(texts[i]!) ?? key, ...times]);
const result: LoadResult = { count: answered, total: asked, samples: keyed, failures: failures.slice(0, 5) };
process.stdout.write(`${JSON.stringify(result)}\n`);

async function sendFor(
  seconds: number,
  take: (key: string, answer: Awaited<ReturnType<RawClient['send']>>) => void,
): Promise<void> {
  const endMs = performance.now() + seconds * 1000;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < endMs) {
        const key = `r${asked++}`;
        const body = JSON.stringify({ ...load.fields, user: key });
        take(key, await client.send(`${head}content-length: ${body.length}\r\n\r\n${body}`));
      }
    }),
  );
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
