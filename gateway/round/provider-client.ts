/** The gateway's HTTP client to providers: bounded, parsed, abortable (SPEC.md §6). */
import { createParser } from 'eventsource-parser';
import type { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
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

/** The part of `fetch` that is used; the simulation joins applications by it without sockets. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Largest reply or single event: 2^20 tokens of full evidence would be more, but no job of ours is that long. */
const REPLY_BYTES_MAX = 32 * 1024 * 1024;

export type JobEvent =
  | { readonly kind: 'commitment'; readonly event: CommitmentEvent }
  | { readonly kind: 'reveal'; readonly event: RevealEvent }
  | { readonly kind: 'claim'; readonly event: ClaimEvent }
  | { readonly kind: 'error'; readonly code: string };

/** A refusal that the provider signed: a reason to skip it that an auditor can check. */
export interface RefusalEvidence {
  readonly code: string;
  readonly atMs: number;
  readonly signature: `0x${string}`;
}

/** A provider said no, or said nothing that can be read. */
export class ProviderFailure extends ProtocolError {
  readonly refusal: RefusalEvidence | null;

  constructor(
    code: 'provider_unreachable' | 'provider_malformed' | 'provider_refused',
    status: number,
    refusal: RefusalEvidence | null = null,
  ) {
    super(code, 'a provider did not do its part', { details: { status, refused: refusal?.code ?? null } });
    this.refusal = refusal;
  }
}

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

export function createProviderClient(fetch: Fetch): ProviderClient {
  const call = async (url: string, body: unknown, signal: AbortSignal): Promise<Response> => {
    const init: RequestInit =
      body === undefined
        ? { method: 'GET', signal }
        : { method: 'POST', signal, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch {
      if (signal.aborted) throw signal.reason;
      throw new ProviderFailure('provider_unreachable', 0, null);
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  };
  const json = async <T>(url: string, body: unknown, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> => {
    const response = await call(url, body, signal);
    const parsed = schema.safeParse(parseJson(await readBounded(response)));
    if (!parsed.success) throw new ProviderFailure('provider_malformed', response.status);
    return parsed.data;
  };
  const job = (url: string, jobId: Hash, action: string) => `${url}/v1/jobs/${jobId}/${action}`;
  return {
    manifest: (url, signal) => json(`${url}/v1/provider`, undefined, zManifestReply, signal),
    openJob: async (url, order, signal) => readEvents(await call(`${url}/v1/jobs`, order, signal)),
    permit: async (url, jobId, order, signal) => {
      await readBounded(await call(job(url, jobId, 'reveal'), order, signal));
    },
    cancel: async (url, jobId, signal) => {
      await readBounded(await call(job(url, jobId, 'cancel'), {}, signal));
    },
    evidence: async (url, jobId, positions, signal) =>
      (await json(job(url, jobId, 'evidence'), { positions }, zEvidenceReply, signal)).items,
    score: (url, order, signal) => json(`${url}/v1/scores`, order, zScoreReply, signal),
  };
}

async function refusalOf(response: Response): Promise<ProviderFailure> {
  const parsed = zProviderError.safeParse(parseJson(await readBounded(response).catch(() => '')));
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

async function* chunksOf(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw new ProviderFailure('provider_unreachable', response.status);
      });
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    // Also when the consumer stops early: the provider must see that nobody listens.
    await reader.cancel().catch(() => undefined);
  }
}

async function readBounded(response: Response): Promise<string> {
  let text = '';
  for await (const chunk of chunksOf(response)) {
    text += chunk;
    if (text.length > REPLY_BYTES_MAX) throw new ProviderFailure('provider_malformed', response.status);
  }
  return text;
}

const EVENT_SCHEMAS = { commitment: zCommitmentEvent, reveal: zRevealEvent, claim: zClaimEvent } as const;

function parseEvent(name: string | undefined, text: string): JobEvent {
  const data = parseJson(text);
  if (name === 'error') {
    const parsed = zErrorEvent.safeParse(data);
    return { kind: 'error', code: parsed.success ? parsed.data.code : 'internal_error' };
  }
  if (name !== 'commitment' && name !== 'reveal' && name !== 'claim') {
    throw new ProviderFailure('provider_malformed', 200);
  }
  const parsed = EVENT_SCHEMAS[name].safeParse(data);
  if (!parsed.success) throw new ProviderFailure('provider_malformed', 200);
  return { kind: name, event: parsed.data } as JobEvent;
}

async function* readEvents(response: Response): AsyncGenerator<JobEvent> {
  const ready: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: (message) => ready.push({ event: message.event, data: message.data }) });
  let sinceEvent = 0;
  for await (const chunk of chunksOf(response)) {
    parser.feed(chunk);
    sinceEvent = ready.length > 0 ? 0 : sinceEvent + chunk.length;
    if (sinceEvent > REPLY_BYTES_MAX) throw new ProviderFailure('provider_malformed', 200);
    for (const message of ready.splice(0)) yield parseEvent(message.event, message.data);
  }
}
