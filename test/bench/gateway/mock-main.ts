/**
 * One mock provider process, for every row of the gateway's benchmark: it answers OpenAI's chat completions for the rows without
 * verification, and Assay's own protocol for ours. Arguments: name, role, model digest, model, size of its vocabulary, `MockPace` as
 * JSON. Ends when its standard input closes.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Hash, sha256, utf8 } from '#protocol/hash';
import { nativeSigner } from '#protocol/signer-native';
import { type Hold, LightMember } from '../../fixtures/light-member.ts';
import { SeededRng } from '../../simulation/seeded-rng.ts';
import type { MockPace } from './bench.ts';

const [name = '', role = 'member', digest = '', modelId = '', vocabSize = '0', paceJson = 'null'] =
  process.argv.slice(2);
const pace = JSON.parse(paceJson) as MockPace | null;
/** Ordinary words of the vocabulary: neither special nor ending an answer. */
const TOKENS = Array.from({ length: 32 }, (_, i) => 300 + i);
/** One answer of 16 words, and the frames of a stream of 64, as an OpenAI-compatible server sends them. */
const PLAIN = completion('word '.repeat(16));
const FRAMES = [...Array.from({ length: 64 }, () => frame({ content: 'word ' }, null)), frame({}, 'length')];

/** When requests of OpenAI's protocol came in and were answered, by the `user` member that the load generator numbers. */
let openaiHolds: Hold[] = [];
const nowNs = () => Number(process.hrtime.bigint());
const member = new LightMember({
  signer: nativeSigner(sha256(utf8(`bench member ${name}`))),
  operator: `operator-${name}`,
  role: role === 'referee' ? 'referee' : 'member',
  model: { id: modelId, digest: digest as Hash },
  tokens: TOKENS,
  vocabSize: Number(vocabSize),
  ...(pace === null ? {} : { numericClass: pace.numericClass, paceMs: pacer(pace) }),
  nowNs,
});

const server = createServer((request, response) => {
  if (request.url === '/bench/holds') {
    const holds = [...member.takeHolds(), ...openaiHolds];
    openaiHolds = [];
    response.end(JSON.stringify(holds));
  } else if (request.url === '/v1/chat/completions') answerOpenai(request, response);
  else if (!member.handle(request, response)) response.writeHead(404).end();
});
// Longer than any pause of the benchmark: a connection that the mock closes first would be a failed request.
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`);
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

/** At least half of the mean, and as much again on average, with a long tail: what a machine takes that others use too. */
function pacer({ meanMs, seed }: MockPace): () => number {
  const rng = new SeededRng(`${seed}/${name}`);
  return () => meanMs * (0.5 - 0.5 * Math.log(1 - rng.unit()));
}

function answerOpenai(request: IncomingMessage, response: ServerResponse): void {
  const arrivedNs = nowNs();
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (piece: string) => {
    body += piece;
  });
  request.on('end', () => {
    let firstNs = 0;
    if (body.includes('"stream":true')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const [at, text] of FRAMES.entries()) {
        response.write(text);
        if (at === 0) firstNs = nowNs();
      }
      response.end('data: [DONE]\n\n');
    } else response.writeHead(200, { 'content-type': 'application/json' }).end(PLAIN);
    const endNs = nowNs();
    const key = /"user":"([^"]*)"/.exec(body)?.[1] ?? '';
    const chunkNs = firstNs || endNs;
    openaiHolds.push({ key, holdsNs: [endNs - arrivedNs], waitsNs: [], sealedAtNs: chunkNs, openedAtNs: chunkNs });
  });
}

function completion(content: string): string {
  return JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1,
    model: modelId,
    choices: [
      { index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: 'length' },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 16, total_tokens: 26 },
  });
}

function frame(delta: object, finish_reason: string | null): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason }];
  return `data: ${JSON.stringify({ id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1, model: modelId, choices })}\n\n`;
}
