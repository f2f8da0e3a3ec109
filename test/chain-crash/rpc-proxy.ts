/** What stands between a gateway and its node: passes every call on, and tells of it before and after, so that the gateway can be killed right there. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A call of the gateway that may be its last. */
export interface SeenCall {
  /** `eth_sendRawTransaction` and the like. */
  readonly method: string;
  readonly when: 'before' | 'after';
}

export interface RpcProxy {
  readonly url: string;
  /** Told of every call; what it does is done before the call goes on. */
  onCall: (call: SeenCall) => void;
  close(): Promise<void>;
}

/** @param target URL of the node */
export async function startRpcProxy(target: string): Promise<RpcProxy> {
  const server: Server = createServer((request, response) => {
    void pass(request).then(
      (text) => response.setHeader('content-type', 'application/json').end(text),
      () => response.writeHead(502).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: RpcProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    onCall: () => {},
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  async function pass(request: IncomingMessage): Promise<string> {
    const body = await textOf(request);
    const { method } = JSON.parse(body) as { method: string };
    proxy.onCall({ method, when: 'before' });
    const headers = { 'content-type': 'application/json' };
    const text = await (await fetch(target, { method: 'POST', headers, body })).text();
    proxy.onCall({ method, when: 'after' });
    return text;
  }
  return proxy;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}
