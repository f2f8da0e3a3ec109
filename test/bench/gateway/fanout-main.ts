/**
 * The floor: a bare node:http server that asks three upstreams through undici and answers when at least two contents agree. It signs,
 * stores and proves nothing. Arguments: upstream URLs. Ends when its standard input closes.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const pools = process.argv.slice(2).map((url) => new Pool(url, { connections: 64 }));

const server = createServer((request, response) => {
  readAll(request)
    .then((body) => (body.includes('"stream":true') ? streamed(body, response) : plain(body, response)))
    .catch(() => response.writeHead(502).end());
});
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`);
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

async function plain(body: string, response: ServerResponse): Promise<void> {
  const texts = await Promise.all(pools.map(async (pool) => (await ask(pool, body)).text()));
  const contents = texts.map(
    (text) => (JSON.parse(text) as { choices: { message: { content: string } }[] }).choices[0]!.message.content,
  );
  const winner = agreed(contents);
  if (winner < 0) response.writeHead(502).end();
  else response.writeHead(200, { 'content-type': 'application/json' }).end(texts[winner]);
}

/** Releases a frame once two upstreams have sent it. */
async function streamed(body: string, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const seen = pools.map(() => '');
  let released = 0;
  await Promise.all(
    pools.map(async (pool, at) => {
      for await (const piece of await ask(pool, body)) {
        seen[at] += String(piece);
        const lengths = seen.map((text) => text.length).sort((a, b) => a - b);
        const common = lengths[1]!;
        if (common <= released) continue;
        const ready = seen.filter((text) => text.length >= common).map((text) => text.slice(released, common));
        if (agreed(ready) < 0) throw new Error('the upstreams differ');
        response.write(ready[0]);
        released = common;
      }
    }),
  );
  response.end();
}

async function ask(pool: Pool, body: string) {
  const headers = { 'content-type': 'application/json' };
  return (await pool.request({ path: '/v1/chat/completions', method: 'POST', headers, body })).body;
}

function agreed(texts: readonly string[]): number {
  return texts.findIndex((text) => texts.filter((other) => other === text).length >= 2);
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = '';
  request.setEncoding('utf8');
  for await (const piece of request) text += String(piece);
  return text;
}
