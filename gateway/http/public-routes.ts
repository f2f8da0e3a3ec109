/** What anybody may read: providers, disputes, the log, health; and attestations and dispute bundles for the key that paid for them (DESIGN §9). */

import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import type { Address } from '#protocol/hash';
import { safeParse } from '#protocol/schema';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { ReceiptDesk } from '../attest/receipts.ts';
import type { BreakerView } from '../committee/breakers.ts';
import { servedBundle } from '../dispute/bundle.ts';
import { earningsAccount } from '../ledger/accounts.ts';
import { caseOfDispute } from '../store/chain-cases-repo.ts';
import { disputeById, disputeMoves, listDisputes } from '../store/disputes-repo.ts';
import type { Store } from '../store/handle.ts';
import { balanceNano, bondOf, countedStakeNano } from '../store/ledger-repo.ts';
import { logConsistency, logInclusion } from '../store/log-proofs.ts';
import { logRange, logSize } from '../store/log-repo.ts';
import { listProviders } from '../store/providers-repo.ts';
import { requestById } from '../store/requests-repo.ts';
import type { GatewayApp, GatewayMiddleware } from './context.ts';
import { disputeView } from './dispute-view.ts';
import { mountLogTiles } from './log-tiles.ts';

export interface PublicDeps {
  readonly store: Store;
  readonly log: LogKeeper;
  readonly receipts: ReceiptDesk;
  readonly breakers: { view(provider: Address): BreakerView };
  /** Whether requests can be served right now. */
  readonly ready: () => boolean;
}

/** Most rows of one list. */
const LIST_MAX = 100;
/** Most log entries of one page: an entry has at most about 300 bytes. */
const ENTRIES_MAX = 1000;

const zIndex = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

function parse<T>(schema: z.ZodType<T>, value: unknown, param: string): T {
  const parsed = safeParse(schema, value);
  if (!parsed.success) throw new ProtocolError('invalid_request', `Invalid value for '${param}'.`, { param });
  return parsed.data;
}

/** Mounts the routes; `auth` guards what belongs to one client. */
export function mountPublicRoutes(app: GatewayApp, auth: GatewayMiddleware, deps: PublicDeps): void {
  mountHealth(app, deps);
  mountDisputes(app, auth, deps);
  mountLog(app, deps);
  mountLogTiles(app, deps);
  app.get('/v1/providers', async (c) => {
    const data = await deps.store.read(async (handle) => {
      const rows = await listProviders(handle);
      const disputes = await listDisputes(handle, { limit: 1000 });
      return Promise.all(
        rows.map(async (row) => {
          const bond = await bondOf(handle, row.address);
          const own = disputes.filter((dispute) => dispute.provider === row.address);
          return {
            id: row.address,
            object: 'provider',
            operator: row.operator,
            role: row.role,
            region: row.region,
            numeric_class: row.numericClass,
            status: row.status,
            breaker: deps.breakers.view(row.address),
            stake_nano: (await countedStakeNano(handle, row.address)).toString(),
            frozen_nano: bond.frozenNano.toString(),
            earnings_nano: (await balanceNano(handle, earningsAccount(row.address))).toString(),
            disputes: own.length,
            disputes_upheld: own.filter((dispute) => dispute.ruling === 'upheld').length,
          };
        }),
      );
    });
    return c.json({ object: 'list', data });
  });
  app.get('/v1/attestations/:id', auth, async (c) => {
    const id = c.req.param('id');
    const request = await deps.store.read((handle) => requestById(handle, id));
    // Somebody else's attestation is as unknown as none: its statement holds the tokens of the answer.
    if (!request || request.keyId !== c.get('apiKey').keyId) {
      throw new ProtocolError('not_found', 'There is no such attestation.');
    }
    const { receipt, statement, overturnedBy, overturnedAtMs } = await deps.receipts.find(id);
    return c.json({
      assay: deps.receipts.member(receipt, statement, `/v1/attestations/${id}`),
      // What was signed stays as it was; what has become of it is said beside it.
      status: overturnedBy === null ? 'standing' : 'overturned',
      overturned: overturnedBy === null ? null : { dispute: overturnedBy, at_ms: overturnedAtMs },
    });
  });
}

function mountHealth(app: GatewayApp, { ready }: PublicDeps): void {
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', (c) => (ready() ? c.json({ status: 'ready' }) : c.json({ status: 'not_ready' }, 503)));
}

function mountDisputes(app: GatewayApp, auth: GatewayMiddleware, { store }: PublicDeps): void {
  app.get('/v1/disputes', async (c) => {
    const provider = c.req.query('provider') as Address | undefined;
    const filter = provider === undefined ? { limit: LIST_MAX } : { provider, limit: LIST_MAX };
    const rows = await store.read((handle) => listDisputes(handle, filter));
    return c.json({ object: 'list', data: rows.map(disputeView) });
  });
  app.get('/v1/disputes/:id', async (c) => {
    const id = c.req.param('id');
    const found = await store.read(async (handle) => {
      const row = await disputeById(handle, id);
      return row && { row, moves: await disputeMoves(handle, id), onChain: await caseOfDispute(handle, id) };
    });
    if (!found) throw new ProtocolError('not_found', 'There is no such dispute.');
    const moves = found.moves.map(({ kind, moveJson, signature, atMs }) => ({
      kind,
      body: JSON.parse(moveJson) as unknown,
      signature,
      at_ms: atMs,
    }));
    // Where the dispute stands before the chain's referees; null where it is none of theirs.
    return c.json({ ...disputeView(found.row), moves, case: found.onChain });
  });
  app.get('/v1/disputes/:id/bundle', auth, async (c) => {
    const id = c.req.param('id');
    const { keyId } = c.get('apiKey');
    const bundleJson = await store.read(async (handle) => {
      const row = await disputeById(handle, id);
      const request = row && (await requestById(handle, row.requestId));
      return request?.keyId === keyId ? row!.bundleJson : null;
    });
    // It holds the prompt: anybody else's is as unknown as none, or one that is kept no longer.
    if (bundleJson === null) throw new ProtocolError('not_found', 'There is no such dispute bundle.');
    return c.json(servedBundle(bundleJson));
  });
}

/** Reads the log as far as a signed checkpoint covers it: what nobody has signed could be another entry tomorrow. */
function mountLog(app: GatewayApp, { store, log }: PublicDeps): void {
  const covered = () => log.latest?.size ?? 0;
  const requireCovered = (size: number) => {
    if (size > covered()) throw new ProtocolError('not_found', 'No signed checkpoint covers that much of the log.');
  };
  app.get('/v1/log/checkpoint', async (c) => {
    const size = await store.read(logSize);
    const checkpoint = await log.covering(size - 1);
    return c.body(checkpoint.note, 200, { 'content-type': 'text/plain; charset=utf-8' });
  });
  app.get('/v1/log/keys', (c) => c.json(log.keys));
  app.get('/v1/log/entries', async (c) => {
    const start = parse(zIndex, c.req.query('start') ?? '0', 'start');
    const end = parse(zIndex, c.req.query('end') ?? String(start + ENTRIES_MAX), 'end');
    const before = Math.min(end, start + ENTRIES_MAX, covered());
    const rows = await store.read((handle) => logRange(handle, start, before));
    const data = rows.map(({ logIndex, leafHash, entryJson }) => ({
      index: logIndex,
      leaf_hash: leafHash,
      entry: JSON.parse(entryJson) as unknown,
    }));
    return c.json({ object: 'list', data });
  });
  app.get('/v1/log/inclusion', async (c) => {
    const index = parse(zIndex, c.req.query('index'), 'index');
    const size = parse(zIndex, c.req.query('size'), 'size');
    requireCovered(size);
    return c.json({ index, size, proof: await store.read((handle) => logInclusion(handle, index, size)) });
  });
  app.get('/v1/log/consistency', async (c) => {
    const from = parse(zIndex, c.req.query('from'), 'from');
    const size = parse(zIndex, c.req.query('size'), 'size');
    requireCovered(size);
    return c.json({ from, size, proof: await store.read((handle) => logConsistency(handle, from, size)) });
  });
}
