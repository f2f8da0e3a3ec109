/** What a client or an operator sends to the gateway: bodies, headers, paths and queries. */

import { HandClock } from '../fixtures/hand-clock.ts';
import { createGateway, API_KEY as NETWORK_KEY } from '../fixtures/network.ts';
import { API_KEY, serveScripted } from '../http/openai-fixture.ts';
import { FAULTS_END_MS } from '../simulation/scenario.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';
import { CANARY, sampleOf } from './mutate.ts';
import type { Recorded } from './recorded.ts';
import { type Fate, judgeResponse, refuseCanary, type Target, type Targets, textOf } from './target.ts';

const ADMIN_KEY = 'sk-admin-fuzzed';

/** The client's own id of its call, which is logged because the client sent it for that. */
const CORRELATION = /"correlationId":"[^"]*"/;

const CHATS = [
  { model: 'minnow-5m', messages: [{ role: 'user', content: `${CANARY}?` }] },
  {
    model: 'minnow-5m',
    messages: [
      { role: 'system', content: `be ${CANARY}` },
      { role: 'user', content: [{ type: 'text', text: CANARY }] },
      { role: 'assistant', content: CANARY, refusal: null },
      { role: 'user', content: 'and?' },
    ],
    max_completion_tokens: 12,
    temperature: 0.7,
    top_p: 0.9,
    frequency_penalty: 0.5,
    presence_penalty: -0.5,
    seed: 42,
    stop: ['\n', CANARY],
    n: 1,
    stream: true,
    stream_options: { include_usage: true },
    logit_bias: { 17: -100 },
    verification: { mode: 'quorum', n: 5, agree: 4, release: 'verified' },
    user: CANARY,
    metadata: { [CANARY]: CANARY },
  },
  {
    model: 'minnow-5m:quorum-3',
    messages: [
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'w', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: CANARY },
    ],
    logprobs: true,
    top_logprobs: 3,
    tools: [{ type: 'function', function: { name: 'w', parameters: { type: 'object', properties: {} } } }],
    tool_choice: 'auto',
    response_format: { type: 'text' },
    verification: 'single',
  },
].map((body) => sampleOf(JSON.stringify(body)));

const TEXTS = [
  { model: 'minnow-5m', prompt: CANARY },
  { model: 'minnow-5m', prompt: [1, 300, 42], max_tokens: 4, echo: true, user: CANARY },
  {
    model: 'minnow-5m:quorum-3',
    prompt: [CANARY, 'and?'],
    max_tokens: 9,
    n: 2,
    logprobs: 3,
    temperature: 0.5,
    seed: -4,
    stop: [CANARY],
    stream: true,
    stream_options: { include_usage: true },
    best_of: 1,
    suffix: '',
  },
  {
    model: 'minnow-5m',
    prompt: [[5, 300], [7]],
    logit_bias: { 17: 5 },
    verification: { mode: 'quorum', n: 5 },
    echo: false,
  },
].map((body) => sampleOf(JSON.stringify(body)));

/** `METHOD path`, header lines, a blank line, a body. */
const CALLS = [
  'GET /v1/log/entries?start=0&end=9\n\n',
  'GET /v1/log/inclusion?index=1&size=4\n\n',
  'GET /v1/log/consistency?from=1&size=4\n\n',
  'GET /v1/log/tile/0/000.p/3\n\n',
  'GET /v1/log/tile/entries/000.p/2\n\n',
  'GET /v1/log/checkpoint\n\n',
  'GET /v1/disputes?provider=0x1111111111111111111111111111111111111111\n\n',
  'GET /v1/disputes/0x2222222222222222222222222222222222222222222222222222222222222222/bundle\n\n',
  'GET /v1/providers\n\n',
  'GET /v1/models/toy\n\n',
  'GET /v1/attestations/req_1\n\n',
  'GET /v1/quote?model=toy&verification=quorum\n\n',
  'GET /admin/keys\nadmin: 1\n\n',
  `POST /admin/keys\nadmin: 1\n\n{"label":"${CANARY}"}`,
  'POST /admin/providers\nadmin: 1\n\n{"url":"http://127.0.0.1:1","role":"member"}',
  'PUT /admin/policy\nadmin: 1\n\n{"policy":"quorum; n=3"}',
  'POST /admin/epochs\nadmin: 1\n\n{}',
  'PATCH /admin/keys/key-test\nadmin: 1\n\n{"budgetNano":"5","requestsPerMinute":9}',
  'PUT /admin/providers/0x1111111111111111111111111111111111111111/quarantine\nadmin: 1\n\n{"reason":"late"}',
  'POST /admin/keys/key-1/revoke\nadmin: 1\n\n{}',
  'GET /admin/disputes?limit=5\nadmin: 1\n\n',
  'GET /v1/provider/account\nassay-provider: 0x11\n\n',
  'POST /v1/provider/applications\n\n{"url":"http://127.0.0.1:1"}',
  `POST /v1/chat/completions\n\n{"model":"toy","messages":[{"role":"user","content":"${CANARY}"}]}`,
  `POST /v1/completions\n\n{"model":"toy","prompt":["${CANARY}",""],"max_tokens":2,"echo":true}`,
  'POST /v1/quote\n\n{"model":"toy","prompt":[[5],[6,7]],"max_tokens":3,"n":2}',
].map(sampleOf);

/** Nobody can be reached in the fuzzed gateway, so that a call that is right ends here. */
const NOBODY = ['committee_unavailable', 'reserve_empty', 'inconclusive', 'provider_unreachable'];

export async function gatewayTargets(recorded: Recorded): Promise<Targets> {
  const chat = await serveScripted();
  const spoken = async (init: RequestInit, route = 'chat/completions'): Promise<Fate> => {
    const request = new Request(`http://gateway/v1/${route}`, { method: 'POST', ...init });
    const fate = await judgeResponse(await chat.fetch(request));
    for (const line of chat.logLines.splice(0)) refuseCanary(line.replace(CORRELATION, ''), 'a log');
    chat.requests.length = 0;
    chat.aborted.length = 0;
    return fate;
  };
  const authorization = `Bearer ${API_KEY}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const routes = await routesTarget(recorded);
  const list: Target[] = [
    {
      name: 'gateway: chat body',
      weight: 3,
      samples: CHATS,
      run: (input) => spoken({ headers, body: input.slice() }),
    },
    {
      name: 'gateway: completion body',
      weight: 2,
      samples: TEXTS,
      run: (input) => spoken({ headers, body: input.slice() }, 'completions'),
    },
    {
      name: 'gateway: headers',
      samples: [
        `authorization: ${authorization}\nassay-verification: quorum; n=5; agree=4\nassay-nonce: ${CANARY}\n`,
        `authorization: ${authorization}\nidempotency-key: ${CANARY}\ncontent-type: application/json; charset=utf-8\n`,
        `authorization: ${authorization}\ncontent-length: 7\norigin: https://${CANARY}.example\nx-request-id: ${CANARY}\n`,
      ].map(sampleOf),
      run: (input) => spoken({ headers: headersOf(textOf(input)), body: CHATS[0]!.text }),
    },
    routes.target,
  ];
  return {
    list,
    close: async () => {
      await chat.close();
      await routes.close();
    },
  };
}

/** What Node would have let through: lines that are no header are left out. */
function headersOf(text: string): Headers {
  const headers = new Headers();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    try {
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    } catch {
      // No header to any parser.
    }
  }
  return headers;
}

/** The whole gateway over the store of the recorded run. */
async function routesTarget({ run }: Recorded): Promise<{ target: Target; close: () => Promise<void> }> {
  const lines: string[] = [];
  const write = (event: string, fields?: unknown) =>
    void lines.push(
      `${event} ${JSON.stringify(fields, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}`,
    );
  const gateway = createGateway({
    clock: new HandClock(FAULTS_END_MS + 2_000_000),
    recover: run.keys.recover,
    rng: (name) => new SeededRng(`fuzzed ${name}`),
    store: run.store,
    signer: run.keys.signer('gateway'),
    fetch: () => Promise.reject(new TypeError('connection refused')),
    model: TOY_MODEL,
    log: { debug: write, info: write, warn: write, error: write },
    operation: { adminKey: ADMIN_KEY, stakeNano: 1n, allowedProviders: [] },
  });
  await gateway.start();
  const target: Target = {
    name: 'gateway: routes',
    samples: CALLS,
    run: async (input) => {
      const request = requestOf(textOf(input));
      if (request === null) return 'rejected';
      const fate = await judgeResponse(await gateway.app.fetch(request), NOBODY);
      for (const line of lines.splice(0)) refuseCanary(line.replace(CORRELATION, ''), 'a log');
      return fate;
    },
  };
  return { target, close: () => gateway.stop() };
}

/** Null where no client could send it. */
function requestOf(text: string): Request | null {
  const end = text.indexOf('\n\n');
  const [first, ...lines] = (end < 0 ? text : text.slice(0, end)).split('\n');
  const [method = 'GET', path = '/'] = (first ?? '').split(' ');
  const headers = headersOf(lines.join('\n'));
  headers.set('authorization', `Bearer ${headers.has('admin') ? ADMIN_KEY : NETWORK_KEY}`);
  const body = method === 'GET' || method === 'HEAD' ? {} : { body: end < 0 ? '' : text.slice(end + 2) };
  try {
    return new Request(`http://gateway${path}`, { method, headers, ...body });
  } catch {
    return null;
  }
}
