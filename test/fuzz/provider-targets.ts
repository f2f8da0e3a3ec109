/** Both ends of the wire between gateway and provider: orders as a provider parses them, replies as the gateway's client does. */
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Hash } from '#protocol/hash';
import { zJobOrder } from '#protocol/messages';
import { sealRound } from '#protocol/round';
import { digests } from '#protocol/typed';
import { createProviderClient, type ProviderClient } from '../../gateway/round/provider-client.ts';
import { ProviderFailure } from '../../gateway/round/provider-failure.ts';
import { createProvider, type Provider } from '../../provider/app.ts';
import { DEFAULT_LIMITS } from '../../provider/deps.ts';
import type { Log } from '../../provider/log.ts';
import { createMemoryStore } from '../../provider/store/memory.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { TOY_MODEL, toyMachine } from '../simulation/toy-machine.ts';
import { START_MS } from '../simulation/virtual-clock.ts';
import { sampleOf } from './mutate.ts';
import { RECORDED, type Recorded } from './recorded.ts';
import {
  cleanError,
  type Fate,
  judgeResponse,
  refuseCanary,
  type Target,
  type Targets,
  textOf,
  Violation,
} from './target.ts';

/** When the orders were issued, about: their tickets must not have expired. */
const NOW_MS = START_MS + 4_000;
const JOB_ID = `0x${'ab'.repeat(32)}` as const;
/** What a provider may answer although nothing is wrong with it. */
const BUSY = ['queue_full'];
const REPLY_CODES = ['provider_malformed', 'provider_refused', 'provider_unreachable'] as const;

export async function providerTargets(recorded: Recorded): Promise<Targets> {
  const leaks: string[] = [];
  const provider = createProvider({
    models: new Map([[TOY_MODEL.digest, { id: TOY_MODEL.id, engine: toyMachine() }]]),
    manifest: { operator: 'fuzzed', role: 'member', region: 'test' },
    signer: recorded.run.keys.signer(RECORDED),
    recover: recorded.run.keys.recover,
    domain: LOCAL_DOMAIN,
    gatewayAddresses: new Set([recorded.run.gatewayAddress]),
    store: createMemoryStore(),
    clock: new HandClock(NOW_MS),
    rng: new SeededRng('fuzzed provider'),
    log: leakyLog(leaks),
    limits: DEFAULT_LIMITS,
  });
  const post =
    (path: string) =>
    async (input: Uint8Array): Promise<Fate> => {
      const headers = { 'content-type': 'application/json' };
      const request = new Request(`http://provider${path}`, { method: 'POST', headers, body: input.slice() });
      const fate = await judgeResponse(await provider.app.fetch(request), BUSY);
      for (const line of leaks.splice(0)) refuseCanary(line, 'a log');
      return fate;
    };
  const orders = (name: string) => (recorded.orders.get(name) ?? []).map(sampleOf);
  const { jobId, permission } = await openedJob(recorded, provider);
  const list: Target[] = [
    { name: 'provider: job order', weight: 2, samples: orders('jobs'), run: post('/v1/jobs') },
    { name: 'provider: score order', weight: 2, samples: scoreOrders(recorded), run: post('/v1/scores') },
    {
      name: 'provider: permission',
      weight: 2,
      samples: [sampleOf(permission), ...orders('reveal')],
      run: post(`/v1/jobs/${jobId}/reveal`),
    },
    {
      name: 'provider: evidence order',
      weight: 2,
      samples: [sampleOf('{"positions":[0,1,2]}')],
      run: post(`/v1/jobs/${jobId}/evidence`),
    },
    { name: 'provider: cancellation', weight: 2, samples: [sampleOf('{}')], run: post(`/v1/jobs/${jobId}/cancel`) },
    ...clientTargets(recorded),
  ];
  return { list, close: async () => provider.close() };
}

function leakyLog(lines: string[]): Log {
  const write = (event: string, fields?: unknown) => void lines.push(`${event} ${JSON.stringify(fields)}`);
  return { debug: write, info: write, warn: write, error: write };
}

/** A job whose first chunk is sealed and opened, and the permission that opened it. */
async function openedJob({ orders, run }: Recorded, provider: Provider): Promise<{ jobId: Hash; permission: string }> {
  const text = orders.get('jobs')![0]!;
  const { jobId, roundId } = zJobOrder.parse(JSON.parse(text)).ticket;
  const send = async (path: string, body: string) =>
    provider.app.fetch(new Request(`http://provider${path}`, { method: 'POST', body }));
  const reader = (await send('/v1/jobs', text)).body!.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  const { commitment } = JSON.parse(/^data: (.*)$/m.exec(first)![1]!) as { commitment: Hash };
  const slot = 3;
  const { root, path } = sealRound(roundId, 0, JOB_ID, new Map([[slot, commitment]]));
  const permission = { roundId, index: 0, roundRoot: root };
  const signature = run.keys.signer('gateway').sign(digests.permission(LOCAL_DOMAIN, permission));
  const order = JSON.stringify({ permission, signature, slot, path: path(slot) });
  const opened = await send(`/v1/jobs/${jobId}/reveal`, order);
  if (!opened.ok) throw new Error(`the sample job was not opened: ${await opened.text()}`);
  await reader.cancel();
  return { jobId, permission: order };
}

/** Where this provider was never asked for a score, its job orders with tokens to score have the same shape. */
function scoreOrders({ orders }: Recorded) {
  const scores = orders.get('scores') ?? [];
  const made = (orders.get('jobs') ?? []).map((text) => {
    const { chunkSizes: _chunkSizes, ...terms } = JSON.parse(text) as Record<string, unknown>;
    return JSON.stringify({ ...terms, outputIds: [1, 2, 3] });
  });
  return [...scores, ...made].map(sampleOf);
}

type Call = (client: ProviderClient, signal: AbortSignal) => Promise<unknown>;

function clientTargets({ replies, orders }: Recorded): Target[] {
  const order = JSON.parse(orders.get('jobs')![0]!);
  const target = (name: string, texts: readonly string[], call: Call, type = 'application/json'): Target => ({
    name: `provider's reply: ${name}`,
    weight: 3,
    samples: texts.map(sampleOf),
    run: async (input) => {
      const client = createProviderClient(async () => {
        // In pieces, as sockets give them: a piece may end inside of a character.
        const pieces = [input.slice(0, input.length >> 1), input.slice(input.length >> 1)];
        const body = ReadableStream.from(pieces.filter((piece) => piece.length > 0)) as ReadableStream<Uint8Array>;
        return new Response(body, { headers: { 'content-type': type } });
      });
      try {
        await call(client, new AbortController().signal);
        return 'accepted';
      } catch (error) {
        return cleanError(error, REPLY_CODES);
      }
    },
  });
  const readJob: Call = async (client, signal) => {
    for await (const _event of await client.openJob('http://p', order, signal));
  };
  const streams = replies.get('jobs') ?? [];
  const refusal = JSON.stringify({
    error: { code: 'queue_full', message: 'busy' },
    refusal: { code: 'queue_full', atMs: 5, signature: `0x${'11'.repeat(64)}1b` },
  });
  return [
    target('manifest', replies.get('provider') ?? [], (client, signal) => client.manifest('http://p', signal)),
    target('evidence', replies.get('evidence') ?? [], (client, signal) =>
      client.evidence('http://p', JOB_ID, [0], signal),
    ),
    target('score', replies.get('scores') ?? [], (client, signal) =>
      client.score('http://p', { ...order, outputIds: [1, 2, 3] }, signal),
    ),
    target('event stream', streams, readJob, 'text/event-stream'),
    eventTarget(streams, readJob, target),
    refusalTarget(refusal),
  ];
}

/** One event's data is changed as JSON and put into a stream again. */
function eventTarget(
  streams: readonly string[],
  read: Call,
  target: (name: string, texts: readonly string[], call: Call, type?: string) => Target,
): Target {
  const blocks = streams.flatMap((stream) => stream.split('\n\n')).filter((block) => block.startsWith('event: '));
  const parts = blocks.map((block) => [/^event: (.*)$/m.exec(block)![1]!, /^data: (.*)$/m.exec(block)![1]!] as const);
  const framed = target('event', [], read, 'text/event-stream');
  const names = [...new Set(parts.map(([name]) => name))];
  let turn = 0;
  return {
    ...framed,
    samples: parts.map(([, data]) => sampleOf(data)),
    run: (input) => {
      const name = names[turn++ % names.length]!;
      return framed.run(new TextEncoder().encode(`event: ${name}\ndata: ${textOf(input).replaceAll('\n', ' ')}\n\n`));
    },
  };
}

function refusalTarget(refusal: string): Target {
  return {
    name: "provider's reply: refusal",
    weight: 3,
    samples: [sampleOf(refusal)],
    run: async (input) => {
      const client = createProviderClient(async () => new Response(input.slice(), { status: 503 }));
      try {
        await client.manifest('http://p', new AbortController().signal);
        throw new Violation('a refusal is taken for an answer');
      } catch (error) {
        const fate = cleanError(error, REPLY_CODES);
        return error instanceof ProviderFailure && error.refusal !== null ? 'accepted' : fate;
      }
    },
  };
}
