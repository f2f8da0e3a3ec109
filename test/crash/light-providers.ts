/** Five members and a referee that speak the real protocol over sockets; what the gateway sends them is written down. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { createClock } from '#protocol/clock';
import type { Address, Hash } from '#protocol/hash';
import { sha256, utf8 } from '#protocol/hash';
import type { JobOrderWire, PermissionOrder } from '#protocol/messages';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import type { TextModel } from '#protocol/text';
import type { Engine } from '../../provider/engine/engine.ts';
import { createLightEngine } from '../fixtures/light-engine.ts';
import { makeProvider } from '../fixtures/network.ts';
import type { SeededRng } from '../simulation/seeded-rng.ts';
import type { GatewayEvent } from './kill-points.ts';
import type { Witness } from './witness.ts';

/** How often the cheat among the members answers with another model. */
const CHEATS_SHARE = 0.3;
const MEMBERS = 5;
/** Which event of a job's stream counts as what. */
const STREAM_EVENTS: readonly [string, GatewayEvent][] = [
  ['event: reveal\n', 'reveal'],
  ['event: claim\n', 'claim'],
];

export interface LightNetwork {
  readonly members: readonly string[];
  readonly referee: string;
  close(): Promise<void>;
}

export interface LightOptions {
  readonly seed: SeededRng;
  readonly modelId: string;
  readonly digest: Hash;
  readonly text: TextModel;
  readonly gateway: Address;
  readonly witness: () => Witness;
  /** Told of what the gateway sends and gets, as it happens. */
  readonly saw: (event: GatewayEvent) => void;
}

const clock = createClock({
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
});

export async function startLightNetwork(options: LightOptions): Promise<LightNetwork> {
  const { seed, text } = options;
  const honest = createLightEngine(text);
  const cheat = sometimes(honest, createLightEngine(text, 'another'), seed.branch('cheat'));
  const servers: Server[] = [];
  const start = async (name: string, role: 'member' | 'referee', engine: Engine): Promise<string> => {
    const provider = makeProvider({
      clock,
      recover: recoverNative,
      rng: (branch) => seed.branch(branch),
      name,
      role,
      signer: nativeSigner(sha256(utf8(`crash ${name}`))),
      gateway: options.gateway,
      digest: options.digest,
      modelId: options.modelId,
      engine,
    });
    const handle = async (request: Request) =>
      watched(await noted(request, options), await provider.app.fetch(request), options);
    const server = serve({ fetch: (request) => handle(request), hostname: '127.0.0.1', port: 0 }) as Server;
    servers.push(server);
    await new Promise<void>((resolve) => server.once('listening', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const members = await Promise.all(
    Array.from({ length: MEMBERS }, (_, i) => start(`p${i}`, 'member', i === MEMBERS - 1 ? cheat : honest)),
  );
  const referee = await start('referee', 'referee', honest);
  const close = async () => {
    await Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  };
  return { members, referee, close };
}

/** Generates with another model now and then; scores are honest. */
function sometimes(engine: Engine, other: Engine, rng: SeededRng): Engine {
  return {
    ...engine,
    generate: (request) => (rng.chance(CHEATS_SHARE) ? other : engine).generate(request),
  };
}

/** Writes down what came under the gateway's signature, before the provider acts on it. */
async function noted(request: Request, { witness, saw }: LightOptions): Promise<'job' | 'other'> {
  const { pathname } = new URL(request.url);
  const isOrder = pathname === '/v1/jobs' || pathname === '/v1/scores';
  if (!isOrder && !pathname.endsWith('/reveal')) return 'other';
  const body = (await request.clone().json()) as JobOrderWire | PermissionOrder;
  if ('ticket' in body) {
    witness().ticket(body.ticket);
    saw(pathname === '/v1/scores' ? 'score_order' : 'ticket');
  } else {
    witness().permission(body);
    saw('permission');
  }
  return pathname === '/v1/jobs' ? 'job' : 'other';
}

/** Counts the events of a job's stream as they go out. */
function watched(kind: 'job' | 'other', response: Response, { saw }: LightOptions): Response {
  if (kind === 'other' || response.body === null) return response;
  const decoder = new TextDecoder();
  const counting = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      controller.enqueue(piece);
      const text = decoder.decode(piece, { stream: true });
      for (const [mark, event] of STREAM_EVENTS) if (text.includes(mark)) saw(event);
    },
  });
  return new Response(response.body.pipeThrough(counting), { status: response.status, headers: response.headers });
}
