/** The gateway's HTTP client to providers: bounded, parsed, abortable (SPEC.md §6). */

import { createParser } from 'eventsource-parser';
import type { z } from 'zod';
import type { Hash } from '#protocol/hash';
import {
  type ClaimEvent,
  type CommitmentEvent,
  type EvidenceItem,
  type JobOrderWire,
  type ManifestReply,
  type PermissionOrder,
  type RevealEvent,
  type ScoreOrderWire,
  type ScoreReply,
  zClaimEvent,
  zCommitmentEvent,
  zErrorEvent,
  zEvidenceReply,
  zManifestReply,
  zProviderError,
  zRevealEvent,
  zScoreReply,
} from '#protocol/messages';
import { safeParse } from '#protocol/schema';
import { ProviderFailure } from './provider-failure.ts';
import type { Reply, ReplyFetch } from './reply.ts';
import {
  DONE_BYTES_MAX,
  dropBody,
  ERROR_BYTES_MAX,
  evidenceBytesMax,
  expectType,
  MANIFEST_BYTES_MAX,
  readText,
  type StreamBounds,
  scoreBytesMax,
  streamBounds,
  textOf,
} from './reply-body.ts';

/** The platform's `fetch`, as tests and the simulation wrap it; the client itself takes less. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Nothing compressed is asked for, and nothing compressed is read. */
const GET_HEADERS = { 'accept-encoding': 'identity' };
const POST_HEADERS = { ...GET_HEADERS, 'content-type': 'application/json' };

export type JobEvent =
  | { readonly kind: 'commitment'; readonly event: CommitmentEvent }
  | { readonly kind: 'reveal'; readonly event: RevealEvent }
  | { readonly kind: 'claim'; readonly event: ClaimEvent }
  | { readonly kind: 'error'; readonly code: string };

export interface ProviderClient {
  manifest(url: string, signal: AbortSignal): Promise<ManifestReply>;
  /** Sends the order; the returned stream yields events in order and ends with the provider's stream. */
  openJob(url: string, order: JobOrderWire, signal: AbortSignal): Promise<AsyncGenerator<JobEvent>>;
  permit(url: string, jobId: Hash, order: PermissionOrder, signal: AbortSignal): Promise<void>;
  cancel(url: string, jobId: Hash, signal: AbortSignal): Promise<void>;
  evidence(
    url: string,
    jobId: Hash,
    positions: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly EvidenceItem[]>;
  score(url: string, order: ScoreOrderWire, signal: AbortSignal): Promise<ScoreReply>;
}

export function createProviderClient(fetch: ReplyFetch): ProviderClient {
  const call = async (url: string, body: unknown, signal: AbortSignal): Promise<Reply> => {
    const init: RequestInit = {
      signal,
      // A provider that points elsewhere would send prompts to where nobody admitted anybody.
      redirect: 'manual',
      ...(body === undefined
        ? { method: 'GET', headers: GET_HEADERS }
        : { method: 'POST', headers: POST_HEADERS, body: JSON.stringify(body) }),
    };
    let response: Reply;
    try {
      response = await fetch(url, init);
    } catch {
      if (signal.aborted) throw signal.reason;
      throw new ProviderFailure('provider_unreachable', 0, null);
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  };
  const json = async <T>(
    url: string,
    body: unknown,
    schema: z.ZodType<T>,
    bytesMax: number,
    signal: AbortSignal,
  ): Promise<T> => {
    const response = await call(url, body, signal);
    await expectType(response, 'application/json');
    const parsed = safeParse(schema, parseJson(await readText(response, bytesMax)));
    if (!parsed.success) throw new ProviderFailure('provider_malformed', response.status);
    return parsed.data;
  };
  const job = (url: string, jobId: Hash, action: string) => `${url}/v1/jobs/${jobId}/${action}`;
  const done = async (url: string, body: unknown, signal: AbortSignal) => {
    await readText(await call(url, body, signal), DONE_BYTES_MAX);
  };
  return {
    manifest: (url, signal) => json(`${url}/v1/provider`, undefined, zManifestReply, MANIFEST_BYTES_MAX, signal),
    openJob: async (url, order, signal) => {
      const response = await call(`${url}/v1/jobs`, order, signal);
      await expectType(response, 'text/event-stream');
      return readEvents(response, streamBounds(order));
    },
    permit: (url, jobId, order, signal) => done(job(url, jobId, 'reveal'), order, signal),
    cancel: (url, jobId, signal) => done(job(url, jobId, 'cancel'), {}, signal),
    evidence: async (url, jobId, positions, signal) => {
      const bytesMax = evidenceBytesMax(positions.length);
      return (await json(job(url, jobId, 'evidence'), { positions }, zEvidenceReply, bytesMax, signal)).items;
    },
    score: (url, order, signal) =>
      json(`${url}/v1/scores`, order, zScoreReply, scoreBytesMax(order.outputIds.length), signal),
  };
}

/** An error status: the provider's own refusal, if it is one; a redirect is not followed and says nothing. */
async function refusalOf(response: Reply): Promise<ProviderFailure> {
  if (response.status >= 300 && response.status < 400) {
    await dropBody(response);
    return new ProviderFailure('provider_malformed', response.status);
  }
  const isPlain = (response.headers.get('content-encoding') ?? 'identity') === 'identity';
  if (!isPlain) await dropBody(response);
  const text = isPlain ? await readText(response, ERROR_BYTES_MAX).catch(() => '') : '';
  const parsed = safeParse(zProviderError, parseJson(text));
  const refusal = parsed.success ? (parsed.data.refusal ?? null) : null;
  return new ProviderFailure('provider_refused', response.status, refusal);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const EVENT_SCHEMAS = { commitment: zCommitmentEvent, reveal: zRevealEvent, claim: zClaimEvent } as const;

function parseEvent(name: string | undefined, text: string): JobEvent {
  const data = parseJson(text);
  if (name === 'error') {
    const parsed = safeParse(zErrorEvent, data);
    return { kind: 'error', code: parsed.success ? parsed.data.code : 'internal_error' };
  }
  if (name !== 'commitment' && name !== 'reveal' && name !== 'claim') {
    throw new ProviderFailure('provider_malformed', 200);
  }
  const parsed = safeParse(EVENT_SCHEMAS[name], data);
  if (!parsed.success) throw new ProviderFailure('provider_malformed', 200);
  return { kind: name, event: parsed.data } as JobEvent;
}

/** Comments, empty lines and fields without an event count like events: a stream of nothing ends as well. */
async function* readEvents(response: Reply, bounds: StreamBounds): AsyncGenerator<JobEvent> {
  const ready: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: (message) => ready.push({ event: message.event, data: message.data }) });
  let sinceEvent = 0;
  for await (const piece of textOf(response, bounds.totalBytesMax)) {
    parser.feed(piece);
    sinceEvent = ready.length > 0 ? 0 : sinceEvent + piece.length;
    if (sinceEvent > bounds.eventBytesMax) throw new ProviderFailure('provider_malformed', 200);
    for (const message of ready.splice(0)) {
      if (message.data.length > bounds.eventBytesMax) throw new ProviderFailure('provider_malformed', 200);
      yield parseEvent(message.event, message.data);
    }
  }
}
