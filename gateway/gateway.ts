/** A gateway put together from its parts; main.ts, the tests and the simulation pass different clocks, keys and wires. */
import { ProtocolError } from '#protocol/errors';
import type { Hash } from '#protocol/hash';
import { PolicyDefault } from './admin/policy-default.ts';
import { admitWanted, type Genesis } from './admit-wanted.ts';
import { createApp } from './app.ts';
import { LogKeeper, leafOf } from './attest/log-keeper.ts';
import { ReceiptDesk } from './attest/receipts.ts';
import { SigningKeys } from './attest/signing-keys.ts';
import { EquilibriumRates } from './audit/audit-rates.ts';
import type { ChainWorker } from './chain/chain-worker.ts';
import { Breakers } from './committee/breakers.ts';
import { emptyCovers, loadCovers, saveCovers } from './committee/cover-store.ts';
import { Deadlines } from './committee/deadlines.ts';
import { EpochKeeper } from './committee/epochs.ts';
import { Exclusions } from './committee/exclusions.ts';
import { KeyAnnouncer } from './committee/key-announcer.ts';
import { Registry } from './committee/registry.ts';
import { ScorerRecords } from './committee/scorer-records.ts';
import { DisputeDesk } from './dispute/desk.ts';
import { hearMoves } from './dispute-moves.ts';
import { Events } from './events/events.ts';
import { EvidenceDesk } from './evidence/evidence-desk.ts';
import type { GatewayDeps } from './gateway-deps.ts';
import type { GatewayApp } from './http/context.ts';
import { keyLookup } from './key-lookup.ts';
import { keyedCalls } from './keyed-calls.ts';
import { KEY_RATES_DEFAULT } from './limits/key-limiter.ts';
import { errorFields } from './log.ts';
import { mountRoutes, type RouteParts } from './mount-routes.ts';
import { chainWorkerOf } from './on-chain.ts';
import { CHAT_LIMITS_DEFAULT } from './openai/limits.ts';
import { abortedEntry } from './round/conclude.ts';
import { linkAbort } from './round/deadline.ts';
import { Drain } from './round/drain.ts';
import { createPipeline, type Pipeline } from './round/pipeline.ts';
import { createProviderClient } from './round/provider-client.ts';
import { calibrationIn, modelRegistry } from './served-models.ts';
import { grantKey } from './store/grants.ts';
import { forgetExpired, recover } from './store/recover.ts';
import { RequestTraces } from './trace/request-traces.ts';

export class Gateway {
  readonly app: GatewayApp;
  readonly registry: Registry;
  readonly epochs: EpochKeeper;
  readonly logKeeper: LogKeeper;
  readonly desk: DisputeDesk;
  readonly evidence: EvidenceDesk;
  readonly breakers: Breakers;
  readonly signingKeys: SigningKeys;
  readonly exclusions: Exclusions;
  readonly scorers: ScorerRecords;
  readonly policyDefault: PolicyDefault;
  /** Its work on the chain; null in a gateway without one. */
  readonly chain: ChainWorker | null;
  readonly #announcer: KeyAnnouncer;
  readonly #deps: GatewayDeps;
  readonly #receipts: ReceiptDesk;
  readonly #stop = linkAbort([]);
  readonly #running = new Set<Promise<void>>();
  readonly #drain = new Drain();
  readonly #pipeline: Pipeline;
  readonly #covers = emptyCovers();
  readonly #rates: EquilibriumRates;
  readonly #events: Events;
  #ready = false;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    const { store, clock, rng, domain, limits } = deps;
    const client = createProviderClient(deps.fetch);
    const background = (work: Promise<void>) => this.#keep(work);
    this.logKeeper = new LogKeeper({ store, signer: deps.logSigner, domain, clock, head: deps.headMark });
    this.breakers = new Breakers({
      store,
      log: this.logKeeper,
      clock,
      background,
      onChange: (provider, state) => deps.metrics.breaker(provider, state),
    });
    const shared = { ...deps, client, breakers: this.breakers };
    this.registry = new Registry({ ...shared, manifestTimeoutMs: limits.manifestTimeoutMs });
    this.epochs = new EpochKeeper({
      store,
      registry: this.registry,
      clock,
      rng,
      box: deps.box,
      size: limits.epochSize,
      capNano: limits.stakeCapNano,
      auditPpm: limits.scorerTrialPpm ?? 0,
    });
    this.signingKeys = new SigningKeys({ store, log: this.logKeeper, clock, first: deps.signer, vault: deps.vault });
    const keys = this.signingKeys;
    const policyDefault = new PolicyDefault(store, deps.policyDefault);
    this.policyDefault = policyDefault;
    this.#announcer = new KeyAnnouncer({ fetch: deps.fetch, clock, domain, timeoutMs: limits.manifestTimeoutMs });
    this.exclusions = new Exclusions({ store, registry: this.registry, log: this.logKeeper, clock });
    this.scorers = new ScorerRecords({ ...deps, log: this.logKeeper, lines: deps.log, exclusions: this.exclusions });
    this.evidence = new EvidenceDesk({
      store,
      registry: this.registry,
      exclusions: this.exclusions,
      log: this.logKeeper,
      clock,
      domain,
      onStage: (operator, stage) => {
        this.epochs.renew();
        deps.log.warn('evidence_stage', { code: stage, operator });
      },
    });
    this.#events = new Events({ ...deps, background, stopping: this.#stop.signal });
    this.#rates = new EquilibriumRates({ ...deps, registry: this.registry, evidence: this.evidence });
    this.#receipts = new ReceiptDesk({ store, keys, domain, log: this.logKeeper, epochs: this.epochs });
    this.chain = chainWorkerOf(deps, this);
    this.desk = new DisputeDesk({
      ...shared,
      get signer() {
        return keys.active;
      },
      log: this.logKeeper,
      registry: this.registry,
      scoreTimeoutMs: limits.scoreTimeoutMs,
      textOf: (digest: Hash) => deps.models.find((model) => model.digest === digest)?.text ?? null,
      calibrationOf: (hash: Hash) => calibrationIn(deps.models, hash),
      appealMs: limits.appealMs,
      reexamine: { windowMs: limits.reexamineMs, withinMs: limits.audits.withinMs },
      onMove: hearMoves(deps, (kind) => {
        if (kind === 'settled') this.epochs.renew();
        if (kind === 'ruled') this.#keep(this.#pipeline.runAudits());
        this.#events.wake();
      }),
    });
    const traces = new RequestTraces(deps.traces ?? null);
    const answering = createPipeline({
      ...shared,
      get signer() {
        return keys.active;
      },
      clientFor: (requestId) => {
        const fetch = traces.fetchFor(requestId, deps.fetch);
        return fetch && createProviderClient(fetch);
      },
      registry: this.registry,
      epochs: this.epochs,
      log: this.logKeeper,
      deadlines: new Deadlines({
        store,
        log: this.logKeeper,
        clock,
        bounds: { leastMs: limits.sealLeastMs, mostMs: limits.roundTimeoutMs },
        placesOf: (digest, numericClass) => this.registry.placesOf(digest, numericClass),
        background,
      }),
      receipts: this.#receipts,
      desk: this.desk,
      scorers: this.scorers,
      evidence: this.evidence,
      cover: { covers: this.#covers, maxMs: limits.coverMaxMs },
      rates: this.#rates,
      modelOf: (id) => deps.models.find((model) => model.id === id) ?? null,
      scoreTimeoutMs: limits.scoreTimeoutMs,
      pipeline: limits,
      background,
      stopping: this.#stop.signal,
    });
    const pipeline = this.#drain.over(answering);
    this.#pipeline = pipeline;
    this.app = createApp({
      pipeline,
      quote: (request) => pipeline.quote(request),
      idempotency: keyedCalls({
        store,
        box: deps.box,
        clock,
        pipeline,
        background,
        inPlaceBytesMax: deps.packInPlaceBytesMax,
      }),
      keys: keyLookup(store),
      clock,
      rng,
      log: deps.log,
      metrics: deps.metrics,
      traces,
      models: modelRegistry(deps.models),
      limits: deps.chatLimits ?? CHAT_LIMITS_DEFAULT,
      get policyDefault() {
        return policyDefault.current;
      },
      keyRates: deps.keyRates ?? KEY_RATES_DEFAULT,
      routes: (app, auth) => mountRoutes(app, auth, deps, this.#parts()),
    });
  }

  #parts(): RouteParts {
    return {
      chain: this.chain,
      hub: this.#events.hub,
      receipts: this.#receipts,
      breakers: this.breakers,
      registry: this.registry,
      epochs: this.epochs,
      logKeeper: this.logKeeper,
      desk: this.desk,
      evidence: this.evidence,
      signingKeys: this.signingKeys,
      exclusions: this.exclusions,
      announcer: this.#announcer,
      policy: this.policyDefault,
      ready: () => this.#ready && !this.#drain.draining && !this.#stop.signal.aborted,
      stopping: this.#stop.signal,
    };
  }

  /** Closes what a crash left open, signs what it left unsigned, reads the registry. */
  async start(): Promise<void> {
    const { store, clock } = this.#deps;
    const nowMs = clock.nowMs();
    await store.withTx(async (tx) => {
      await recover(tx, nowMs, (request) => leafOf(abortedEntry(request, 'internal_error', nowMs)));
      await forgetExpired(tx, nowMs);
    });
    await this.logKeeper.start();
    await this.signingKeys.start();
    await this.policyDefault.start();
    await this.registry.load();
    await this.scorers.start();
    await this.evidence.start();
    await Promise.all([this.#rates.start(), loadCovers(store, this.#covers)]);
    await this.#receipts.start();
    this.#ready = true;
    this.#keep(this.desk.work(this.#stop.signal));
    if (this.chain !== null) this.#keep(this.chain.run(this.#stop.signal));
    await this.#pipeline.runAudits();
    await this.#events.run();
  }

  /** For a database that waits to be restored: what is public can be read, nothing is recovered, signed or accepted. */
  async startHeld(): Promise<void> {
    await this.logKeeper.startHeld();
    await this.registry.load();
  }

  /** Adds a key with a funded account unless it is there. */
  async grantKey(key: { keyId: string; keyHash: Hash; label: string; fundsNano: bigint }): Promise<void> {
    const { store, clock } = this.#deps;
    await store.withTx((tx) => grantKey(tx, { ...key, policy: null }, clock.nowMs()));
  }

  /** Admits providers, with their first stake, and fills the reserve. @returns URLs that could not be admitted */
  async admit(urls: readonly { url: string; role: 'member' | 'referee' }[], genesis: Genesis): Promise<string[]> {
    const { store, clock } = this.#deps;
    const failed = await admitWanted({ ...this.#parts(), store, clock }, urls, genesis);
    this.epochs.renew();
    return failed;
  }

  /** Rulings that became final, audits whose time has come, providers whose breakers are due, and what may be kept no longer; called on a timer. */
  async tick(): Promise<void> {
    await this.desk.settleDue();
    await this.#pipeline.runAudits();
    await this.#events.run();
    await saveCovers(this.#deps.store, this.#covers, this.#deps.clock.nowMs());
    await this.registry.probe(this.breakers, this.#stop.signal);
    await this.#deps.store.withTx((tx) => forgetExpired(tx, this.#deps.clock.nowMs()));
  }

  /** Waits for work that goes on after answers. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Takes no more requests and lets the running ones end. @returns whether all did within `patienceMs` milliseconds */
  drain(patienceMs: number): Promise<boolean> {
    return this.#drain.drain(this.#deps.clock, patienceMs);
  }

  /** Ends running requests, then waits for what they leave behind. */
  async stop(): Promise<void> {
    this.#stop.abort(new ProtocolError('shutting_down', 'The gateway is stopping.', { retryable: true }));
    await this.settled();
  }

  #keep(work: Promise<void>): void {
    const kept = work
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#deps.log.error('background_failed', errorFields(error));
      })
      .finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }
}
