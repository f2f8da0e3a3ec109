/** The gateway's HTTP listener. */
import { type AddressInfo, createServer } from 'node:net';
import { serve } from '@hono/node-server';
import type { Clock } from '#protocol/env';

/** How long clients may take to read what they were sent, once nothing runs any more. */
const LINGER_MS = 1_000;

export interface ListenOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly clock: Clock;
}

export interface Listener {
  readonly url: string;
  /** Takes no more connections, and ends those that are still open after a while. */
  close(): Promise<void>;
}

/** @throws {Error} `… is taken by another program` among others */
export async function listen(
  fetch: Parameters<typeof serve>[0]['fetch'],
  { host, port, clock }: ListenOptions,
): Promise<Listener> {
  const server = serve({ fetch, hostname: host, port });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new Error(takenText({ host, port })) : error);
    });
  });
  const { port: chosen } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${chosen}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = new AbortController();
      await Promise.race([closed, clock.sleep(LINGER_MS, late.signal).catch(() => undefined)]);
      late.abort();
      if ('closeAllConnections' in server) server.closeAllConnections();
    },
  };
}

/** Why nothing could listen there now; null where it could. Spares starting a network that cannot be reached. */
export function portProblem(place: { readonly host: string; readonly port: number }): Promise<string | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'EADDRINUSE' ? takenText(place) : error.message);
    });
    probe.listen(place.port, place.host, () => probe.close(() => resolve(null)));
  });
}

function takenText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `port ${port} of ${host} is taken by another program`;
}
