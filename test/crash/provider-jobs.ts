/** The gateway's side of a provider that is killed: jobs are ordered, opened, resumed, and everything signed is kept. */
import { setTimeout as delay } from 'node:timers/promises';
import { canonicalJson } from '#protocol/canonical';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Hash } from '#protocol/hash';
import type { JobOrderWire, PermissionOrder, ScoreOrderWire } from '#protocol/messages';
import { recoverNative } from '#protocol/signer-native';
import { digests } from '#protocol/typed';
import { createProviderClient, type ProviderClient } from '../../gateway/round/provider-client.ts';
import { ProviderFailure } from '../../gateway/round/provider-failure.ts';
import { hashOf, jobOrder, PROVIDER, permit, scoreOrder } from '../http/provider-fixture.ts';
import type { SeededRng } from '../simulation/seeded-rng.ts';

export const PROVIDER_EVENTS = ['commitment', 'reveal', 'claim', 'score'] as const;
export type ProviderEvent = (typeof PROVIDER_EVENTS)[number];

/** One job with the permissions that were signed for it, which never change. */
export interface CrashJob {
  readonly jobId: Hash;
  readonly order:
    | { readonly kind: 'generate'; readonly wire: JobOrderWire }
    | { readonly kind: 'score'; readonly wire: ScoreOrderWire };
  readonly permissions: PermissionOrder[];
  /** `lost` and `done` are for ever. */
  state: 'open' | 'lost' | 'done';
}

export interface JobCounts {
  done: number;
  lost: number;
  resumed: number;
  scores: number;
  refused: number;
  broken: number;
}

/** Codes of a refusal that say nothing about the job: it is asked for again. */
const LATER = ['queue_full', 'shutting_down'];
const EXPIRES_MS = 600_000;
const FAILED_PAUSE_MS = 5;

export function newJob(rng: SeededRng, modelDigest: Hash): CrashJob {
  const jobId = hashOf(`crash job ${rng.between(0, 2 ** 31)} ${rng.between(0, 2 ** 31)}`);
  const nowMs = Date.now();
  const ticket = {
    roundId: hashOf(`round of ${jobId}`),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + EXPIRES_MS,
    retainUntilMs: nowMs + EXPIRES_MS,
  };
  const promptIds = Array.from({ length: rng.between(1, 20) }, () => rng.between(3, 4_000));
  const shared = { jobId, modelDigest, promptIds, maxTokens: rng.between(1, 16), ticket };
  const base = { jobId, permissions: [], state: 'open' as const };
  if (rng.chance(0.2)) {
    const outputIds = Array.from({ length: shared.maxTokens }, () => rng.between(3, 4_000));
    return { ...base, order: { kind: 'score', wire: scoreOrder(outputIds, shared) } };
  }
  const chunkSizes = rng.pick([[1], [2, 4], [16]]);
  return { ...base, order: { kind: 'generate', wire: jobOrder({ ...shared, chunkSizes }) } };
}

/** Everything that left a provider under its signature. */
export class ProviderWitness {
  /** What is said once: `commitment <job>/<index>`, `opening …`, `claim <job>`, `score <job>`. */
  readonly said = new Map<string, string>();
  readonly #report: (problem: string) => void;

  constructor(report: (problem: string) => void) {
    this.#report = report;
  }

  once(what: string, value: string): void {
    const before = this.said.get(what);
    if (before !== undefined && before !== value) this.#report(`equivocation: two of ${what}`);
    this.said.set(what, value);
  }

  signed(digest: Uint8Array, signature: `0x${string}`, what: string): void {
    if (recoverNative(digest, signature) !== PROVIDER.address) this.#report(`not signed by the provider: ${what}`);
  }
}

export interface JobRun {
  readonly url: string;
  readonly witness: ProviderWitness;
  readonly counts: JobCounts;
  readonly saw: (event: ProviderEvent) => void;
  readonly report: (problem: string) => void;
  readonly signal: AbortSignal;
}

const client: ProviderClient = createProviderClient((url, init) => fetch(url, init));

/** Orders the job, or resumes it, and takes it as far as it comes. */
export async function runJob(job: CrashJob, run: JobRun): Promise<void> {
  const { counts, report, signal } = run;
  const before = job.state;
  try {
    const ended = job.order.kind === 'score' ? await runScore(job, run) : await runGeneration(job, run);
    if (before === 'lost' && ended === 'done') report(`the lost job ${job.jobId} was done all the same`);
    if (before === 'done' && ended === 'lost') report(`the finished job ${job.jobId} is lost`);
    if (before === 'open' && ended !== 'open') counts[ended]++;
    if (ended !== 'open') job.state = ended;
  } catch (error) {
    if (error instanceof ProviderFailure && error.refusal) {
      const { code } = error.refusal;
      counts.refused++;
      if (code === 'job_lost') {
        if (before === 'done') report(`the finished job ${job.jobId} is lost`);
        if (before === 'open') counts.lost++;
        job.state = 'lost';
      } else if (!LATER.includes(code)) report(`job ${job.jobId} was refused: ${code}`);
      return;
    }
    counts.broken++;
    // Calls to a process that is gone fail at once; whoever waits for its end must be heard between them.
    await delay(FAILED_PAUSE_MS);
    if (!signal.aborted && error instanceof ProviderFailure && error.code === 'provider_malformed') {
      report(`job ${job.jobId}: malformed`);
    }
  }
}

async function runScore(job: CrashJob, { url, witness, counts, saw, signal }: JobRun): Promise<'done'> {
  const reply = await client.score(url, job.order.wire as ScoreOrderWire, signal);
  witness.signed(digests.score(LOCAL_DOMAIN, reply.score), reply.signature, `score ${job.jobId}`);
  witness.once(`score ${job.jobId}`, canonicalJson(reply));
  saw('score');
  counts.scores++;
  return 'done';
}

async function runGeneration(job: CrashJob, run: JobRun): Promise<'done' | 'lost' | 'open'> {
  const { url, witness, counts, saw, report, signal } = run;
  const { jobId } = job;
  const roundId = (job.order.wire as JobOrderWire).ticket.roundId as Hash;
  const resumes = job.permissions.length > 0;
  for await (const message of await client.openJob(url, job.order.wire as JobOrderWire, signal)) {
    if (message.kind === 'commitment') {
      const { index, commitment, signature } = message.event;
      witness.signed(digests.commitment(LOCAL_DOMAIN, { jobId, index, commitment }), signature, `commitment ${jobId}`);
      witness.once(`commitment ${jobId}/${index}`, commitment);
      saw('commitment');
      job.permissions[index] ??= permit(message.event, { roundId });
      // The stream goes on by itself where the chunk was opened before.
      void client.permit(url, jobId, job.permissions[index], signal).catch(() => undefined);
    } else if (message.kind === 'reveal') {
      const { opening, tokens, signature } = message.event;
      witness.signed(digests.reveal(LOCAL_DOMAIN, opening), signature, `opening ${jobId}`);
      witness.once(`opening ${jobId}/${opening.index}`, canonicalJson({ opening, tokens }));
      saw('reveal');
    } else if (message.kind === 'claim') {
      witness.signed(digests.claim(LOCAL_DOMAIN, message.event.claim), message.event.signature, `claim ${jobId}`);
      witness.once(`claim ${jobId}`, canonicalJson(message.event.claim));
      saw('claim');
      if (resumes) counts.resumed++;
      return 'done';
    } else if (message.code === 'job_lost') return 'lost';
    else {
      if (!signal.aborted) report(`job ${jobId} ended with ${message.code}`);
      return 'open';
    }
  }
  return 'open';
}
