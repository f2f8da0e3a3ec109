/** The provider's HTTP surface: parses, calls the services, renders (SPEC.md §6). */
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import type { ErrorCode } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { zEvidenceOrder, zJobOrder, zPermissionOrder, zScoreOrder } from '#protocol/messages';
import { safeParse, zHash } from '#protocol/schema';
import { zSuccessionOrder } from '#protocol/succession';
import { TRACEPARENT } from '#protocol/trace-context';
import { digests } from '#protocol/typed';
import type { ProviderDeps } from './deps.ts';
import { codeOf, errorResponse, ProviderError, type SignedRefusal } from './errors.ts';
import { trustedGateways } from './gateways.ts';
import { Admission } from './jobs/admission.ts';
import { jobStream } from './jobs/event-stream.ts';
import { JobService } from './jobs/job-service.ts';
import { Slots } from './jobs/slots.ts';
import { errorFields } from './log.ts';
import { signedManifest } from './manifest.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { mountOpenings } from './openings.ts';
import { ScoreService } from './scores/score-service.ts';

/** Most contradictions that one reply shows: one convicts. */
const TWO_ROOTS_MAX = 100;

/** A running provider: its app, and how to end it. */
export interface Provider {
  readonly app: Hono;
  /** Refuses new jobs from now on; known ones go on. */
  drain(): void;
  /** Jobs that are not over yet. */
  openCount(): number;
  /** Ends all streams and runs; stored transcripts stay. */
  close(): void;
}

/** The app alone, for callers that never drain it. */
export function createProviderApp(deps: ProviderDeps): Hono {
  return createProvider(deps).app;
}

/** A provider over its parts; nothing listens yet. */
export function createProvider(given: ProviderDeps): Provider {
  const gateways = trustedGateways(given);
  const deps = { ...given, gatewayAddresses: gateways.addresses };
  const slots = new Slots(deps.limits);
  const admission = new Admission(deps);
  const parts = { admission, slots, metrics: () => metrics };
  const jobs = new JobService(deps, parts);
  const scores = new ScoreService(deps, parts);
  const openCount = () => jobs.openCount + scores.openCount;
  const metrics = createMetrics(() => ({ running: slots.running, waiting: slots.waiting, open: openCount() }));
  const app = new Hono();
  app.onError((error, c) => errorReply(deps, metrics, error, c));
  app.notFound(() => errorResponse('not_found'));
  app.use('*', bodyLimit({ maxSize: deps.limits.bodyBytesMax, onError: () => errorResponse('request_too_large') }));
  mountStatus(app, deps, admission, metrics);
  mountJobs(app, jobs);
  app.post('/v1/scores', async (c) =>
    c.json(await scores.score(await parseBody(c, zScoreOrder), c.req.header(TRACEPARENT))),
  );
  app.post('/v1/gateways', async (c) => {
    gateways.succeed(await parseBody(c, zSuccessionOrder));
    return c.json({});
  });
  mountOpenings(app, deps);
  app.get('/v1/two-roots', (c) => c.json({ items: deps.store.twoRoots(TWO_ROOTS_MAX) }));
  for (const path of [
    '/v1/provider',
    '/v1/two-roots',
    '/v1/gateways',
    '/v1/jobs',
    '/v1/jobs/:id/:action',
    '/v1/scores',
  ]) {
    app.all(path, () => errorResponse('method_not_allowed'));
  }
  return {
    app,
    drain() {
      admission.draining = true;
    },
    openCount,
    close() {
      admission.draining = true;
      jobs.close();
      scores.close();
    },
  };
}

function mountStatus(app: Hono, deps: ProviderDeps, admission: Admission, metrics: Metrics): void {
  const manifest = signedManifest(deps);
  app.get('/v1/provider', (c) => c.json(manifest));
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', (c) => {
    if (admission.draining) return errorResponse('shutting_down');
    try {
      deps.store.checkWritable();
    } catch {
      return errorResponse('storage_unavailable');
    }
    return c.json({ status: 'ready' });
  });
  app.get('/metrics', async (c) => c.text(await metrics.render(), 200, { 'content-type': metrics.contentType }));
}

function mountJobs(app: Hono, jobs: JobService): void {
  app.post('/v1/jobs', async (c) => jobStream(jobs.order(await parseBody(c, zJobOrder), c.req.header(TRACEPARENT))));
  app.post('/v1/jobs/:id/reveal', async (c) => {
    jobs.permit(jobIdOf(c.req.param('id')), await parseBody(c, zPermissionOrder));
    return c.json({});
  });
  app.post('/v1/jobs/:id/cancel', async (c) => {
    await parseBody(c, z.strictObject({}));
    jobs.cancel(jobIdOf(c.req.param('id')));
    return c.json({});
  });
  app.post('/v1/jobs/:id/evidence', async (c) => {
    const { positions } = await parseBody(c, zEvidenceOrder);
    return c.json({ items: jobs.evidence(jobIdOf(c.req.param('id')), positions) });
  });
}

/** @throws {ProviderError} `invalid_json`, `invalid_request` */
async function parseBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  let body: unknown;
  try {
    body = await c.req.json();
  } catch (cause) {
    throw new ProviderError('invalid_json', { cause });
  }
  const parsed = safeParse(schema, body);
  // zod's messages quote the input, so nothing of them leaves.
  if (!parsed.success) throw new ProviderError('invalid_request');
  return parsed.data;
}

function jobIdOf(text: string): Hash {
  const parsed = safeParse(zHash, text);
  if (!parsed.success) throw new ProviderError('job_unknown');
  return parsed.data;
}

function errorReply(deps: ProviderDeps, metrics: Metrics, error: Error, c: Context): Response {
  const code = codeOf(error);
  const ticket = error instanceof ProviderError ? error.ticket : null;
  metrics.refused(code);
  const fields = { route: c.req.routePath, code, jobId: ticket?.jobId };
  if (code === 'internal_error' || code === 'storage_unavailable') {
    deps.log.error('call_failed', { ...fields, ...errorFields(error) });
  } else deps.log.info('call_refused', fields);
  return errorResponse(code, ticket === null ? undefined : signedRefusal(deps, code, ticket));
}

/** The refusal under this provider's signature: logged, it lets a draw skip the provider. */
function signedRefusal(deps: ProviderDeps, code: ErrorCode, ticket: { jobId: Hash; ticketHash: Hash }): SignedRefusal {
  const atMs = deps.clock.nowMs();
  const signature = deps.signer.sign(digests.refusal(deps.domain, { ...ticket, code, atMs }));
  return { code, atMs, signature };
}
