/** A gateway app over a scripted committee with minnow's real text model, served on a free port of 127.0.0.1. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { type ServerType, serve } from '@hono/node-server';
import { contentHash } from '#protocol/content';
import { ProtocolError } from '#protocol/errors';
import { sha256, u32 } from '#protocol/hash';
import { shownLogprobsHash, type TokenLogprobs } from '#protocol/logprobs';
import { policyOfText, policyText } from '#protocol/policy';
import { createTextModel, type TextModel } from '#protocol/text';
import { createApp } from '../../gateway/app.ts';
import { type ApiKey, hashApiKey } from '../../gateway/keys.ts';
import { createLog } from '../../gateway/log.ts';
import { createMetrics } from '../../gateway/metrics.ts';
import type { AnswerEvent, AnswerRequest, FinishKind, ModelEntry } from '../../gateway/openai/answer.ts';
import { IdempotencyDesk } from '../../gateway/openai/idempotency.ts';
import { CHAT_LIMITS_DEFAULT, type ChatLimits } from '../../gateway/openai/limits.ts';
import { watchConformance } from '../conformance/conformance-watch.ts';

export const API_KEY = 'sk-assay-test';
const FOLDER = new URL('../../provider/models/minnow/dist/minnow-5m/', import.meta.url);

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
}

let loaded: TextModel | undefined;

/** Minnow's tokenizer and template, read once. */
export function minnowText(): TextModel {
  loaded ??= createTextModel({
    config: readJson('config.json'),
    tokenizer: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    generationConfig: readJson('generation_config.json'),
  });
  return loaded;
}

/** What the scripted committee does with every request. */
export interface Script {
  /** The model's whole answer; stop strings and `max_tokens` cut it. */
  text: string;
  /** Answers of the choices after the first, where they are not the same. */
  others?: readonly string[];
  /** Token ids instead of `text`. */
  ids?: readonly number[];
  /** Thrown before the answer opens. */
  failFirst?: unknown;
  /** Thrown after this many tokens. */
  failAfter?: { tokens: number; error: unknown };
  /** After this many tokens the committee waits until the client leaves. */
  hangAfter?: number;
  /** Said in place of the true finish kind. */
  finish?: FinishKind;
}

export interface Served {
  readonly url: string;
  /** The app without a socket. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly script: Script;
  /** Every request that reached the committee. */
  readonly requests: AnswerRequest[];
  /** Requests whose signal aborted. */
  readonly aborted: AnswerRequest[];
  /** Resolves when the next request's signal aborts. */
  nextAbort(): Promise<void>;
  readonly logLines: string[];
  advanceMs(ms: number): void;
  /** @throws {Error} where a response broke OpenAI's contract */
  close(): Promise<void>;
}

/** Serves the app. Random bytes are a hash chain, time stands still unless it is moved. */
export async function serveScripted(options: { limits?: Partial<ChatLimits>; apiKey?: ApiKey } = {}): Promise<Served> {
  const script: Script = { text: 'The capital of France is Paris.' };
  const requests: AnswerRequest[] = [];
  const aborted: AnswerRequest[] = [];
  const logLines: string[] = [];
  let abortWaiters: (() => void)[] = [];
  let nowMs = 1_760_000_000_000;
  let draws = 0;
  const clock = { nowMs: () => nowMs, sleep: () => new Promise<void>(() => {}) };
  const known = options.apiKey ?? { keyId: 'key-1', policy: null };
  const model: ModelEntry = {
    id: 'minnow-5m',
    digest: `0x${'11'.repeat(32)}`,
    created: 1_750_000_000,
    ownedBy: 'assay',
    contextMax: 1024,
    text: minnowText(),
    calibrations: [],
    price: { inputNanoPerMtok: 1n, outputNanoPerMtok: 2n },
  };
  const onAbort = (request: AnswerRequest) => {
    aborted.push(request);
    for (const wake of abortWaiters) wake();
    abortWaiters = [];
  };
  const app = createApp({
    pipeline: {
      answer(request) {
        requests.push(request);
        request.signal.addEventListener('abort', () => onAbort(request), { once: true });
        return scripted(request, script);
      },
      sealedAnswer: () => Promise.reject(new Error('nothing is stored')),
    },
    idempotency: new IdempotencyDesk({
      box: { seal: (bytes) => Buffer.from(bytes).toString('base64'), open: (text) => Buffer.from(text, 'base64') },
      find: () => Promise.resolve({ outcome: 'next' }),
      keep: () => Promise.resolve(),
      sealedAnswer: () => Promise.reject(new Error('nothing is stored')),
      background: (work) => void work,
    }),
    models: { list: () => [model], find: (id) => (id === model.id ? model : null) },
    limits: { ...CHAT_LIMITS_DEFAULT, ...options.limits },
    policyDefault: policyOfText('quorum; n=3'),
    keys: { byHash: (hash) => (hash === hashApiKey(API_KEY) ? known : null) },
    clock,
    rng: { bytes: (length) => sha256(u32(draws++)).slice(0, length) },
    log: createLog({ clock, level: 'info', destination: { write: (line) => void logLines.push(line) } }),
    metrics: createMetrics(),
    routes: (extra, auth) => {
      extra.get('/healthz', (c) => c.json({ status: 'ok' }));
      extra.get('/v1/private', auth, (c) => c.json({ keyId: c.get('apiKey').keyId }));
      extra.get('/v1/broken', () => {
        throw new TypeError('prompt: my secret');
      });
    },
  });
  const watched = watchConformance((call) => app.fetch(call));
  const server = await new Promise<ServerType>((resolve) => {
    const listening = serve({ fetch: watched.fetch, hostname: '127.0.0.1', port: 0 }, () => resolve(listening));
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    fetch: watched.fetch,
    script,
    requests,
    aborted,
    logLines,
    nextAbort: () => new Promise((resolve) => abortWaiters.push(resolve)),
    advanceMs: (ms) => {
      nowMs += ms;
    },
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
      watched.assertClean();
    },
  };
}

async function* scripted(request: AnswerRequest, script: Script): AsyncGenerator<AnswerEvent> {
  if (script.failFirst !== undefined) throw script.failFirst;
  const { policy, signal } = request;
  yield { type: 'opened', security: { seats: policy.n, price_multiple: policy.n }, policyText: policyText(policy) };
  const choices = Array.from({ length: request.choices }, (_, choice) => transcript(request, script, choice));
  const longest = Math.max(...choices.map(({ ids }) => ids.length));
  for (let at = 0; at < longest; at++) {
    if (script.failAfter?.tokens === at) throw script.failAfter.error;
    if (script.hangAfter === at) await leaving(signal);
    for (const [choice, { ids }] of choices.entries()) {
      if (at >= ids.length) continue;
      const logprobs = request.logprobs === null ? null : [scriptedLogprobs(ids[at]!, request.logprobs)];
      yield { type: 'tokens', choice, ids: [ids[at]!], logprobs };
    }
  }
  yield {
    type: 'final',
    choices: choices.map(({ ids, finish }) => ({ finish: script.finish ?? finish, outputTokens: ids.length })),
    seed: request.seed ?? 7n,
    verdict: 'agreed',
    unverified: [],
    sealedLogprobs: null,
    sealedScores: null,
    seal: (content, shown) =>
      Promise.resolve({
        assay: {
          id: request.requestId,
          verdict: 'agreed',
          contentHash: contentHash(content),
          ...(shown === null ? {} : { logprobsHash: shownLogprobsHash(shown) }),
        },
        headers: {
          'assay-id': request.requestId,
          'assay-verdict': 'agreed',
          'assay-attestation': `/v1/attestations/${request.requestId}`,
          'assay-security': `seats=${policy.n}`,
        },
      }),
  };
}

/** The token itself at a half, then its neighbours, each half as likely. */
function scriptedLogprobs(id: number, top: number): TokenLogprobs {
  const halving = (at: number) => Math.round(-Math.log(2) * (at + 1) * 2 ** 16);
  return [halving(0), Array.from({ length: top }, (_, at) => [id + at, halving(at)] as const)];
}

function transcript(
  request: AnswerRequest,
  script: Script,
  choice: number,
): { ids: readonly number[]; finish: FinishKind } {
  const { text } = request.model;
  const said = choice === 0 ? script.text : (script.others?.[choice - 1] ?? script.text);
  const all = script.ids ?? [...text.encode(said), text.eosIds.at(-1)!];
  const cut = all.slice(0, request.maxTokens);
  const { stoppedAt } = text.finalText(cut, request.sampling.stop);
  if (stoppedAt !== null) return { ids: cut.slice(0, stoppedAt + 1), finish: 'stop_string' };
  return { ids: cut, finish: cut.length === all.length ? 'stop' : 'length' };
}

function leaving(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const leave = () => reject(new ProtocolError('client_closed', 'left'));
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
}
