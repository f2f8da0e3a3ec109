/** `/v1/provider/…`: a provider asks to be admitted, and sees what it is owed and what it is accused of (SPEC.md §6.9). */
import { z } from 'zod';
import { ANSWER_KIND, zDisputeAnswer } from '#protocol/dispute-answer';
import { ProtocolError } from '#protocol/errors';
import type { Address, Hash } from '#protocol/hash';
import { safeParse, zHash, zTimeMs } from '#protocol/schema';
import { parseValue, zUrl } from '../admin/admin-body.ts';
import { type AdmitDeps, admitProvider } from '../admin/admit-provider.ts';
import { type AnswerDeps, answerDispute, answerOpening } from '../dispute/answer.ts';
import type { DisputeBundleWire } from '../dispute/bundle.ts';
import type { GatewayApp, GatewayContext, ProviderCaller } from '../http/context.ts';
import { disputeView } from '../http/dispute-view.ts';
import { earningsAccount } from '../ledger/accounts.ts';
import type { Log } from '../log.ts';
import {
  applicationOf,
  decideApplication,
  pendingApplications,
  putAdmission,
  putApplication,
} from '../store/admissions-repo.ts';
import { disputeById, disputeMoves, listDisputes } from '../store/disputes-repo.ts';
import { jobsOfProvider, jobTotalsOfProvider } from '../store/jobs-repo.ts';
import { balanceNano, bondOf, countedStakeNano, jackpotsOf } from '../store/ledger-repo.ts';
import { providerByAddress } from '../store/providers-repo.ts';
import { type ProviderAuthDeps, requireProvider } from './provider-auth.ts';

const LIST_MAX = 100;
/** Applications that nobody has decided: strangers may make keys as they like, and must not fill the disk. */
const PENDING_MAX = 1000;

const zApplication = z.strictObject({ url: zUrl, operator: z.string().min(1).max(128) });
const zRange = z.object({
  since_ms: z.coerce.number().pipe(zTimeMs).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(LIST_MAX),
});

export interface ProviderDeskDeps extends AdmitDeps, AnswerDeps, Omit<ProviderAuthDeps, 'isProvider'> {
  readonly log: AnswerDeps['log'];
  readonly events: Log;
  /** Providers that are admitted without an operator's word, by address. */
  readonly allowed: ReadonlySet<Address>;
  readonly stakeNano: bigint;
}

export function mountProviderDesk(app: GatewayApp, deps: ProviderDeskDeps): void {
  const { store } = deps;
  const isProvider = (address: Address) =>
    store.read(async (handle) => (await providerByAddress(handle, address)) !== null);
  const auth = requireProvider({ ...deps, isProvider });
  app.post('/v1/provider/application', requireProvider({ ...deps, isProvider }, { open: true }), async (c) =>
    c.json(await apply(deps, c.get('providerCall'))),
  );
  app.get('/v1/provider/account', auth, async (c) =>
    c.json(await accountView(deps, c.get('providerCall').provider, parseValue(zRange, c.req.query()).since_ms)),
  );
  app.get('/v1/provider/jobs', auth, async (c) => {
    const { since_ms: sinceMs, limit } = parseValue(zRange, c.req.query());
    const { provider } = c.get('providerCall');
    const rows = await store.read((handle) => jobsOfProvider(handle, provider, { sinceMs, limit }));
    const data = rows.map((job) => ({
      id: job.jobId,
      object: 'job',
      role: job.role,
      state: job.state,
      standing: job.standing,
      fault: job.fault,
      input_tokens: job.inputTokens,
      output_tokens: job.outputTokens,
      scored_tokens: job.scoredTokens,
      earned_nano: job.earnedNano.toString(),
      issued_at_ms: job.issuedAtMs,
      ended_at_ms: job.endedAtMs,
    }));
    return c.json({ object: 'list', data });
  });
  mountOwnDisputes(app, auth, deps);
}

function mountOwnDisputes(app: GatewayApp, auth: ReturnType<typeof requireProvider>, deps: ProviderDeskDeps): void {
  const { store } = deps;
  app.get('/v1/provider/disputes', auth, async (c) => {
    const { provider } = c.get('providerCall');
    const rows = await store.read((handle) => listDisputes(handle, { provider, limit: LIST_MAX }));
    return c.json({ object: 'list', data: rows.map(disputeView) });
  });
  const show = async (provider: Address, id: Hash) => {
    const found = await store.read(async (handle) => {
      const row = await disputeById(handle, id);
      return row && { row, moves: await disputeMoves(handle, id) };
    });
    // Bundles hold prompts: somebody else's dispute is as unknown as none.
    if (found?.row.provider !== provider) throw new ProtocolError('not_found', 'There is no such dispute.');
    const { row, moves } = found;
    const bundle = row.bundleJson === null ? null : (JSON.parse(row.bundleJson) as DisputeBundleWire);
    const answers = moves.filter(({ kind }) => kind === ANSWER_KIND).length;
    const { untilMs, left, positions } = answerOpening(row, answers, deps);
    return {
      ...disputeView(row),
      moves: moves.map(({ kind, moveJson, signature, atMs }) => ({
        kind,
        body: JSON.parse(moveJson) as unknown,
        signature,
        at_ms: atMs,
      })),
      bundle,
      answer: { until_ms: untilMs, left, positions },
    };
  };
  app.get('/v1/provider/disputes/:id', auth, async (c) =>
    c.json(await show(c.get('providerCall').provider, disputeIdOf(c))),
  );
  app.post('/v1/provider/disputes/:id/answer', auth, async (c) => {
    const { provider, body } = c.get('providerCall');
    const id = disputeIdOf(c);
    await answerDispute(deps, provider, id, parseValue(zDisputeAnswer, jsonOf(body)));
    deps.events.info('dispute_answered', { disputeId: id, provider });
    return c.json(await show(provider, id));
  });
}

function disputeIdOf(c: GatewayContext): Hash {
  const parsed = safeParse(zHash, c.req.param('id'));
  if (!parsed.success) throw new ProtocolError('not_found', 'There is no such dispute.');
  return parsed.data;
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new ProtocolError('invalid_json', 'The body is not JSON.', { cause });
  }
}

/** Enters an application; an allowed applicant is admitted at once. The same call again changes nothing. */
async function apply(deps: ProviderDeskDeps, { provider, body }: ProviderCaller) {
  const { store, clock, events } = deps;
  const { url, operator } = parseValue(zApplication, jsonOf(body));
  const atMs = clock.nowMs();
  const entered = await store.withTx(async (tx) => {
    const known = await applicationOf(tx, provider);
    // An operator's word stands until the applicant comes from another place.
    if (known !== null && known.state !== 'pending' && known.url === url) return known;
    if (known === null && (await pendingApplications(tx)) >= PENDING_MAX) {
      throw new ProtocolError('rate_limit_exceeded', 'Too many applications wait.', { retryAfterMs: 3_600_000 });
    }
    const application = { provider, url, operator, state: 'pending' as const, atMs, decidedAtMs: null };
    await putApplication(tx, application);
    return application;
  });
  let { state } = entered;
  if (state === 'pending' && deps.allowed.has(provider)) {
    await admitProvider(deps, { url, role: 'member', stakeNano: deps.stakeNano, expected: provider });
    await store.withTx(async (tx) => {
      await putAdmission(tx, { url, role: 'member', atMs });
      await decideApplication(tx, provider, 'admitted', atMs);
    });
    state = 'admitted';
  }
  events.info('provider_applied', { provider, url, reason: state });
  return { id: provider, object: 'provider_application', url, state, at_ms: entered.atMs };
}

async function accountView({ store }: ProviderDeskDeps, provider: Address, sinceMs: number) {
  return store.read(async (handle) => {
    const row = (await providerByAddress(handle, provider))!;
    const bond = await bondOf(handle, provider);
    const totals = await jobTotalsOfProvider(handle, provider, sinceMs);
    const jackpots = await jackpotsOf(handle, provider, sinceMs);
    return {
      id: provider,
      object: 'provider_account',
      status: row.status,
      url: row.url,
      stake_nano: (await countedStakeNano(handle, provider)).toString(),
      frozen_nano: bond.frozenNano.toString(),
      earnings_nano: (await balanceNano(handle, earningsAccount(provider))).toString(),
      since_ms: sinceMs,
      earned_nano: totals.reduce((sum, { earnedNano }) => sum + earnedNano, 0n).toString(),
      jackpots: { count: jackpots.count, earned_nano: jackpots.sumNano.toString() },
      jobs: totals.map(({ earnedNano, outputTokens, scoredTokens, ...total }) => ({
        ...total,
        output_tokens: outputTokens,
        scored_tokens: scoredTokens,
        earned_nano: earnedNano.toString(),
      })),
    };
  });
}
