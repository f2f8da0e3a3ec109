/** Clients that ask without pause until the gateway is gone, and keep what they were given. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseSavedResponse } from '#protocol/verify-saved';
import type { SeededRng } from '../simulation/seeded-rng.ts';
import type { GatewayEvent } from './kill-points.ts';
import type { Witness } from './witness.ts';

/** One call under an Idempotency-Key, repeated in this life and later ones; `content` is what it was answered. */
export interface KeyedCall {
  readonly key: string;
  readonly body: string;
  content: string | null;
}

export interface TrafficOptions {
  readonly url: string;
  readonly apiKey: string;
  readonly model: string;
  readonly rng: SeededRng;
  readonly concurrency: number;
  /** Calls that went out under a key, from earlier lives too. */
  readonly calls: Map<string, KeyedCall>;
  readonly witness: Witness;
  readonly saw: (event: GatewayEvent) => void;
  readonly report: (problem: string) => void;
  /** A whole answer as a client saves it, for the offline verifier. */
  readonly saved: (text: string) => void;
  /** Milliseconds from a call to its whole answer. */
  readonly took: (ms: number) => void;
}

export interface TrafficCounts {
  answered: number;
  streamed: number;
  repeated: number;
  refused: number;
  broken: number;
}

/** Share of calls that go out under an Idempotency-Key. */
const KEYED_SHARE = 0.4;
/** Share of calls that repeat an earlier one. */
const REPEATED_SHARE = 0.2;
const STREAM_SHARE = 0.45;
const FAILED_PAUSE_MS = 5;
/** Share of clients that leave in the middle. */
const LEAVE_SHARE = 0.08;

/** Asks until the signal aborts. */
export async function drive(options: TrafficOptions, counts: TrafficCounts, signal: AbortSignal): Promise<void> {
  const client = async (id: number) => {
    const rng = options.rng.branch(String(id));
    while (!signal.aborted) {
      if (rng.chance(0.1)) await readCheckpoint(options, signal);
      const call = nextCall(options, rng);
      await ask(options, rng, call, counts, signal);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, (_, id) => client(id)));
}

function nextCall(options: TrafficOptions, rng: SeededRng): { body: string; key: string | null } {
  const { calls, model } = options;
  const known = [...calls.values()];
  if (known.length > 0 && rng.chance(REPEATED_SHARE)) {
    const open = known.filter(({ content }) => content === null);
    return rng.pick(open.length > 0 && rng.chance(0.7) ? open : known);
  }
  const stream = rng.chance(STREAM_SHARE);
  const body = JSON.stringify({
    model,
    // No two bodies are the same, so that a body names its call in the database.
    messages: [{ role: 'user', content: `Question ${rng.between(0, 2 ** 31)} of ${rng.between(0, 2 ** 31)}` }],
    max_tokens: rng.between(1, 24),
    temperature: rng.pick([0, 0, 0.7]),
    verification: rng.pick([
      { mode: 'quorum', n: 3 },
      { mode: 'quorum', n: 3 },
      { mode: 'quorum', n: 5 },
      { mode: 'single' },
      { mode: 'audited', audit_rate: 1 },
    ]),
    ...(stream ? { stream: true } : {}),
  });
  if (!rng.chance(KEYED_SHARE)) return { body, key: null };
  const key = `key-${calls.size}-${rng.between(0, 2 ** 31)}`;
  calls.set(key, { key, body, content: null });
  return { body, key };
}

async function ask(
  options: TrafficOptions,
  rng: SeededRng,
  { body, key }: { body: string; key: string | null },
  counts: TrafficCounts,
  signal: AbortSignal,
): Promise<void> {
  const { url, apiKey, saw, witness } = options;
  const leave = new AbortController();
  const leavesAfterMs = rng.chance(LEAVE_SHARE) ? rng.between(0, 60) : null;
  const timer = leavesAfterMs === null ? null : setTimeout(() => leave.abort(), leavesAfterMs);
  const begunAt = performance.now();
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${apiKey}`,
        'content-type': 'application/json',
        ...(key === null ? {} : { 'idempotency-key': key }),
      },
      body,
      signal: AbortSignal.any([signal, leave.signal]),
    });
    saw('first_byte');
    const text = await response.text();
    saw('answer');
    if (response.status !== 200) {
      counts.refused++;
      if (response.status !== 503 && response.status !== 502 && response.status !== 504) {
        options.report(`status ${response.status}: ${text.slice(0, 200)}`);
      }
      return;
    }
    const saved = parseSavedResponse(text);
    if (!saved?.assay?.attestation || !saved.content) {
      counts.broken++;
      return;
    }
    counts.answered++;
    options.took(performance.now() - begunAt);
    if (body.includes('"stream":true')) counts.streamed++;
    witness.attestation(saved.assay.attestation);
    if (saved.assay.receipt) witness.note(saved.assay.receipt.checkpoint);
    options.saved(text);
    if (key !== null) keepKeyed(options, key, `${saved.id} ${JSON.stringify(saved.content)}`, counts);
  } catch {
    counts.broken++;
    // Calls to a process that is gone fail at once; whoever waits for its end must be heard between them.
    await delay(FAILED_PAUSE_MS);
  } finally {
    if (timer) clearTimeout(timer);
  }
}

/** One key has one answer, whichever life of the gateway gives it. */
function keepKeyed({ calls, report }: TrafficOptions, key: string, content: string, counts: TrafficCounts) {
  const call = calls.get(key)!;
  if (call.content !== null) {
    counts.repeated++;
    if (call.content !== content) report(`two answers under the key ${key}`);
  }
  call.content = content;
}

async function readCheckpoint({ url, witness, saw }: TrafficOptions, signal: AbortSignal): Promise<void> {
  try {
    const response = await fetch(`${url}/v1/log/checkpoint`, { signal });
    const note = await response.text();
    saw('checkpoint');
    if (response.status === 200) witness.note(note);
  } catch {
    // The gateway is gone.
  }
}
